"""Splits over images that cannot leak.

All copies of an image are one thing here, and so are images with the very same bytes and
images of one group: none of these ever stands on both sides of a split.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import InputError, printable
from .catalog import NO_LABEL, Catalog

__all__ = [
    "Split",
    "folds",
    "held_out",
    "labelled_images",
    "leakage_groups",
    "rare_classes",
    "require_classes",
    "train_test",
]


@dataclass(frozen=True, eq=False)
class Split:
    """Which images to train on and which to test on.

    Attributes
    ----------
    train, test : ndarray of int
        Indices of labelled images.
    rule : str
        How the split came about, for people to read.
    validation : ndarray of int
        Images to choose a model by: the `val` split, where there is a `test` split too.
    left_out : int
        Labelled images that are on no side, because their bytes or group are those of a test
        image (or, to train on, of a validation image).
    """

    train: np.ndarray
    test: np.ndarray
    rule: str
    validation: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    left_out: int = 0

    def to_compare_on(self) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]] | None]:
        """Return the images to compare models on, and the fold to do it with, if one is given.

        The test images are not among them. Positions in the fold are those in the images.
        """
        if not len(self.validation):
            return self.train, None
        positions = np.arange(len(self.train) + len(self.validation))
        fold = (positions[: len(self.train)], positions[len(self.train) :])
        return np.concatenate([self.train, self.validation]), [fold]


def leakage_groups(catalog: Catalog, digests: np.ndarray) -> np.ndarray:
    """Return, for each image, the number of the unit that must stay together.

    Parameters
    ----------
    catalog : Catalog
    digests : ndarray of str, shape (n,)
        SHA-256 of each image's file.

    Returns
    -------
    ndarray of int, shape (n,)
        Equal for images with equal bytes or an equal group, also through others.
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
    """Return which images to train on and which to test on.

    Pre-made splits are respected: the `test` split is for testing, the `val` split when there is
    no `test`. Without splits, a stratified share of the images is held out.

    Parameters
    ----------
    catalog : Catalog
    digests : ndarray of str, shape (n,)
    test_size : float
        Share of the images that is held out, when there are no splits.
    seed : int

    Raises
    ------
    InputError
        When equal images have different labels, or there are too few of a class.
    """
    if not 0 < test_size < 1:
        raise InputError(f"The test size is {test_size:g}. Expected a share between 0 and 1.")
    found = labelled_images(catalog, digests)
    together = leakage_groups(catalog, digests)
    present = set(catalog.splits[found])
    if present == {""}:
        return _holdout(catalog, found, together, test_size, seed)
    name = catalog.take(found).test_split
    if not present >= {"train", name}:
        raise InputError(
            f"The labelled images have the splits {', '.join(sorted(present))}. "
            "Expected train, and test or val."
        )
    test, validation, train = (
        found[catalog.splits[found] == wanted]
        for wanted in (name, "val" if name == "test" else "", "train")
    )
    apart = ~np.isin(together[validation], together[test])
    clean = ~np.isin(together[train], together[np.concatenate([test, validation])])
    rule = f"trained on the train split, tested on the {name} split"
    _check_all_trained(catalog, train[clean])
    return Split(train[clean], test, rule, validation[apart], int((~clean).sum() + (~apart).sum()))


def rare_classes(
    catalog: Catalog, digests: np.ndarray, least: int, more: int = 0
) -> dict[str, int]:
    """Return the classes that have too few different images to train on, with their numbers.

    Parameters
    ----------
    catalog : Catalog
    digests : ndarray of str, shape (n,)
    least : int
        How many different images or groups a class needs to train on; those of the train split, if
        there is one.
    more : int
        How many it needs besides, for the test.

    Raises
    ------
    InputError
        When fewer than two classes would be left, or `least` is below 1.
    """
    if least < 1:
        raise InputError(f"min per class is {least}. Expected 1 or more.")
    units = leakage_groups(catalog, digests)
    trained = catalog.labels != NO_LABEL
    if catalog.splits.any():
        trained &= catalog.splits == "train"
    counts = {
        name: len(np.unique(units[trained & (catalog.labels == label)]))
        for label, name in enumerate(catalog.classes)
    }
    rare = {name: count for name, count in counts.items() if count < least + more}
    if rare and len(counts) - len(rare) < 2:
        few = ", ".join(f"{printable(name)} ({count})" for name, count in list(rare.items())[:5])
        held_out = f", {more} of them for the test" if more else ""
        advice = "Add images, or lower --min-per-class." if least > 2 else "Add images."
        raise InputError(
            f"2 classes or more need {least + more} different images each{held_out}. Too few "
            f"have: {few}. {advice}"
        )
    return rare


def labelled_images(catalog: Catalog, digests: np.ndarray) -> np.ndarray:
    """Return the indices of all labelled images, when they can be trained on.

    Raises
    ------
    InputError
        When equal images have different labels, or a class has no image.
    """
    _check_labels_agree(catalog, digests)
    found = np.flatnonzero(catalog.labels != NO_LABEL)
    _check_all_trained(catalog, found)
    return found


def folds(
    y: np.ndarray, units: np.ndarray, count: int, seed: int, classes: Sequence[str] = ()
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return stratified folds over images, with every unit on one side.

    Parameters
    ----------
    y : ndarray of int, shape (n,)
        Label of each image.
    units : ndarray of int, shape (n,)
        From `leakage_groups`.
    count : int
    seed : int
    classes : sequence of str, optional
        Names of the labels, for the message.

    Returns
    -------
    list of (ndarray of int, ndarray of int)
        Positions to train on and to validate on; each image is validated on once.

    Raises
    ------
    InputError
        When a class has fewer units than there are folds, or none is left to train on in one.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    if count < 2:
        raise InputError(f"The number of folds is {count}. Expected 2 or more.")
    for label in np.unique(y):
        found = len(np.unique(units[y == label]))
        if found < count:
            name = printable(classes[label]) if len(classes) else str(label)
            raise InputError(
                f"The class {name!r} has too few different images or groups to train on: {found}, "
                f"and {count} folds need {count} or more. Add images, leave the class out, or use "
                "fewer folds, at least 2."
            )
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    found_folds = list(splitter.split(y, y, units))
    for inside, _ in found_folds:
        for label in np.setdiff1d(y, y[inside]):
            name = printable(classes[label]) if len(classes) else str(label)
            raise InputError(
                f"All images of the class {name!r} fell into one fold: its groups are few and "
                "large. Use fewer folds, another seed, or smaller groups."
            )
    return found_folds


def held_out(
    y: np.ndarray, units: np.ndarray, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return positions to train on and a stratified share held out, with every unit on one side.

    Parameters
    ----------
    y, units
        See `folds`.
    share : float
        About how much is held out.
    seed : int

    Raises
    ------
    InputError
        When some class has one unit only.
    """
    fewest = min(len(np.unique(units[y == label])) for label in np.unique(y))
    if fewest < 2:
        raise InputError(
            "Some class has one image to train on, so none of it can be held out. Add images, "
            "or give a val split."
        )
    return folds(y, units, max(2, min(round(1 / share), fewest)), seed)[0]


def _holdout(
    catalog: Catalog, images: np.ndarray, together: np.ndarray, test_size: float, seed: int
) -> Split:
    from sklearn.model_selection import train_test_split

    found, first = np.unique(together[images], return_index=True)
    labels = catalog.labels[images[first]]
    counts = np.bincount(labels, minlength=len(catalog.classes))
    few = [name for name, count in zip(catalog.classes, counts, strict=True) if count < 2]
    if few:
        raise InputError(
            f"The class {printable(few[0])!r} has too few different images: "
            f"{counts[catalog.classes.index(few[0])]}; to train and to test, every class needs at "
            "least 2."
        )
    share = max(test_size, len(catalog.classes) / len(found))
    train, _ = train_test_split(found, test_size=share, random_state=seed, stratify=labels)
    inside = np.isin(together[images], train)
    rule = f"a stratified {test_size:.0%} of the images held out, seed {seed}"
    return Split(images[inside], images[~inside], rule)


def _check_labels_agree(catalog: Catalog, digests: np.ndarray) -> None:
    """Refuse images with the same bytes and different labels, naming some."""
    first: dict[str, int] = {}
    clashes = []
    for index in np.flatnonzero(catalog.labels != NO_LABEL).tolist():
        other = first.setdefault(digests[index], index)
        if catalog.labels[other] != catalog.labels[index]:
            pair = (
                f"{printable(catalog.paths[i])} ({printable(catalog.classes[catalog.labels[i]])})"
                for i in (other, index)
            )
            clashes.append("  " + " = ".join(pair))
    if clashes:
        more = f"\n  and {len(clashes) - 10} more" if len(clashes) > 10 else ""
        raise InputError(
            f"{len(clashes)} images have the very bytes of one with another label:\n"
            + "\n".join(clashes[:10])
            + f"{more}\nRemove or relabel one of each."
        )


def require_classes(catalog: Catalog) -> None:
    """Check that there is something to tell apart.

    Raises
    ------
    InputError
        When the images have no labels, or only one class.
    """
    if not len(catalog.classes):
        raise InputError(
            "The images have no labels. Put them into one folder a class, or give a manifest "
            "with a label column, and extract again: that costs no forward pass."
        )
    if len(catalog.classes) == 1:
        raise InputError(
            f"There is one class, {printable(catalog.classes[0])!r}, with {len(catalog)} images. "
            "A classifier needs at least 2."
        )


def _check_all_trained(catalog: Catalog, train: np.ndarray) -> None:
    missing = sorted(set(range(len(catalog.classes))) - set(catalog.labels[train].tolist()))
    if missing:
        raise InputError(
            f"The class {printable(catalog.classes[missing[0]])!r} has no image to train on."
        )
