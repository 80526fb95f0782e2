"""Splits over pictures that cannot leak.

All copies of a picture are one thing here, and so are pictures with the very same bytes and
pictures of one group: none of these ever stands on both sides of a split.
"""

from dataclasses import dataclass

import numpy as np

from .catalog import NO_LABEL, Catalog
from .errors import InputError, shown

__all__ = ["Split", "require_classes", "train_test", "units"]


@dataclass(frozen=True, eq=False)
class Split:
    """Which pictures to train on and which to test on.

    Attributes
    ----------
    train, test : ndarray of int
        Indices of labelled pictures.
    rule : str
        How the split came about, for people to read.
    left_out : int
        Labelled training pictures that are on neither side, because their bytes or group are
        those of a test picture.
    """

    train: np.ndarray
    test: np.ndarray
    rule: str
    left_out: int = 0


def units(catalog: Catalog, digests: np.ndarray) -> np.ndarray:
    """Return, for each picture, the number of the unit that must stay together.

    Parameters
    ----------
    catalog : Catalog
    digests : ndarray of str, shape (n,)
        SHA-256 of each picture's file.

    Returns
    -------
    ndarray of int, shape (n,)
        Equal for pictures with equal bytes or an equal group, also through others.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(catalog)
    contents = np.unique(digests.astype(str), return_inverse=True)[1]
    names, groups = np.unique(catalog.groups.astype(str), return_inverse=True)
    grouped = np.flatnonzero(names[groups] != "")
    one = np.concatenate([np.arange(count), grouped])
    other = np.concatenate(
        [count + contents, count + contents.max(initial=0) + 1 + groups[grouped]]
    )
    nodes = 2 * count + len(names) + 1
    links = coo_array((np.ones(len(one)), (one, other)), shape=(nodes, nodes))
    return connected_components(links, directed=False)[1][:count]


def train_test(catalog: Catalog, digests: np.ndarray, test_size: float, seed: int) -> Split:
    """Return which pictures to train on and which to test on.

    Pre-made splits are respected: the `test` split is for testing, the `val` split when there is
    no `test`. Without splits, a stratified share of the pictures is held out.

    Parameters
    ----------
    catalog : Catalog
    digests : ndarray of str, shape (n,)
    test_size : float
        Share of the pictures that is held out, when there are no splits.
    seed : int

    Raises
    ------
    InputError
        When equal pictures have different labels, or there are too few of a class.
    """
    _check_labels_agree(catalog, digests)
    if not 0 < test_size < 1:
        raise InputError(f"The test size is {test_size:g}. Expected a share between 0 and 1.")
    labelled = np.flatnonzero(catalog.labels != NO_LABEL)
    together = units(catalog, digests)
    present = set(catalog.splits[labelled])
    if present == {""} or not present:
        return _holdout(catalog, labelled, together, test_size, seed)
    name = "test" if "test" in present else "val"
    if not present >= {"train", name}:
        raise InputError(
            f"The labelled pictures have the splits {', '.join(sorted(present))}. "
            "Expected train, and test or val."
        )
    test = labelled[catalog.splits[labelled] == name]
    train = labelled[catalog.splits[labelled] == "train"]
    clean = ~np.isin(together[train], together[test])
    rule = f"trained on the train split, tested on the {name} split"
    _check_all_trained(catalog, train[clean])
    return Split(train[clean], test, rule, int((~clean).sum()))


def _holdout(
    catalog: Catalog, labelled: np.ndarray, together: np.ndarray, test_size: float, seed: int
) -> Split:
    from sklearn.model_selection import train_test_split

    found, first = np.unique(together[labelled], return_index=True)
    labels = catalog.labels[labelled[first]]
    counts = np.bincount(labels, minlength=len(catalog.classes))
    few = [name for name, count in zip(catalog.classes, counts, strict=True) if count < 2]
    if few:
        raise InputError(
            f"The class {shown(few[0])!r} has {counts[catalog.classes.index(few[0])]} different "
            "pictures; to train and to test, every class needs at least 2."
        )
    share = max(test_size, len(catalog.classes) / len(found))
    train, _ = train_test_split(found, test_size=share, random_state=seed, stratify=labels)
    inside = np.isin(together[labelled], train)
    rule = f"a stratified {test_size:.0%} of the pictures held out, seed {seed}"
    return Split(labelled[inside], labelled[~inside], rule)


def _check_labels_agree(catalog: Catalog, digests: np.ndarray) -> None:
    """Refuse pictures with the same bytes and different labels, naming some."""
    first: dict[str, int] = {}
    clashes = []
    for index in np.flatnonzero(catalog.labels != NO_LABEL).tolist():
        other = first.setdefault(digests[index], index)
        if catalog.labels[other] != catalog.labels[index]:
            pair = (
                f"{shown(catalog.paths[i])} ({shown(catalog.classes[catalog.labels[i]])})"
                for i in (other, index)
            )
            clashes.append("  " + " = ".join(pair))
    if clashes:
        more = f"\n  and {len(clashes) - 10} more" if len(clashes) > 10 else ""
        raise InputError(
            f"{len(clashes)} pictures have the very bytes of one with another label:\n"
            + "\n".join(clashes[:10])
            + f"{more}\nRemove or relabel one of each."
        )


def require_classes(catalog: Catalog) -> None:
    """Check that there is something to tell apart.

    Raises
    ------
    InputError
        When the pictures have no labels, or only one class.
    """
    if not len(catalog.classes):
        raise InputError(
            "The pictures have no labels. Put them into one folder a class, or give a manifest "
            "with a label column, and extract again: that costs no forward pass."
        )
    if len(catalog.classes) == 1:
        raise InputError(
            f"There is one class, {shown(catalog.classes[0])!r}, with {len(catalog)} pictures. "
            "A classifier needs at least 2."
        )


def _check_all_trained(catalog: Catalog, train: np.ndarray) -> None:
    missing = sorted(set(range(len(catalog.classes))) - set(catalog.labels[train].tolist()))
    if missing:
        raise InputError(
            f"The class {shown(catalog.classes[missing[0]])!r} has no picture to train on."
        )
