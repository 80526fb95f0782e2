"""The images that heads are compared on, and the folds of them, where images are few."""

import logging
from collections.abc import Sequence

import numpy as np

from ..cache.file import Cache
from ..cache.removed import require_listed
from ..dataset import splits
from ..errors import InputError, printable

__all__ = ["images_to_compare", "make_folds", "possible_folds", "repeated_folds", "usable_part"]

log = logging.getLogger("featx")


def usable_part(
    cache: Cache, least: int, *, holds_out: bool = False
) -> tuple[Cache, dict[str, int]]:
    """Return a view of a cache without the classes that have too few images, and which these are.

    Parameters
    ----------
    cache : Cache
    least : int
        How many different images of a class are trained on at least.
    holds_out : bool
        Whether images for the test are still to be taken from them.

    Raises
    ------
    InputError
        When there are no two classes to train on; see `splits.rare_classes`.
    """
    require_listed(cache)
    splits.require_classes(cache.catalog)
    takes = int(holds_out and not cache.catalog.splits.any())
    rare = splits.rare_classes(cache.catalog, cache.digests, least, takes)
    for name, count in rare.items():
        log.warning(
            "The class %s is left out: it has %d different images%s, and --min-per-class is %d.",
            printable(name), count, ", one for the test" if takes else " to train on", least,
        )  # fmt: skip
    return cache.without_classes(rare) if rare else cache, rare


def possible_folds(wanted: int, y: np.ndarray, units: np.ndarray, classes: Sequence[str]) -> int:
    """Return the wanted number of folds, or that of the rarest class's images or groups.

    A class needs an image in each fold. With fewer than two images of a class there are no folds
    at all, and `splits.folds` says so.
    """
    counts = {label: len(np.unique(units[y == label])) for label in np.unique(y).tolist()}
    rarest = min(counts, key=lambda label: counts[label])
    if not 2 <= counts[rarest] < wanted:
        return wanted
    log.warning(
        "%d folds in place of %d: the class %s has %d different images to compare on.",
        counts[rarest], wanted, printable(classes[rarest]), counts[rarest],
    )  # fmt: skip
    return counts[rarest]


def repeated_folds(
    count: int, repeats: int, seed: int, y: np.ndarray, units: np.ndarray, classes: Sequence[str]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the folds of all repeats; each repeat has other ones.

    Raises
    ------
    InputError
        When there are no repeats; see also `splits.folds`.
    """
    if repeats < 1:
        raise InputError(f"The number of repeats is {repeats}. Expected 1 or more.")
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for repeat in range(repeats):
        found += splits.folds(y, units, count, seed + repeat, classes)
    return found


def make_folds(
    wanted: int, repeats: int, seed: int, y: np.ndarray, units: np.ndarray, classes: Sequence[str]
) -> tuple[int, list[tuple[np.ndarray, np.ndarray]], str]:
    """Return how many folds there are a repeat, the folds of all repeats, and what they are.

    See `possible_folds` and `repeated_folds`.
    """
    count = possible_folds(wanted, y, units, classes)
    repeated = f", repeated {repeats} times" if repeats > 1 else ""
    rule = f"{count}-fold cross-validation{repeated}"
    return count, repeated_folds(count, repeats, seed, y, units, classes), rule


def images_to_compare(
    cache: Cache, seed: int
) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]] | None]:
    """Return the labelled images to compare heads on, without those of a test split.

    Beside them is the fold to do it with, where a val split gives one; see `Split.to_compare_on`.

    Raises
    ------
    InputError
        When they cannot be trained on; see `splits.train_test`.
    """
    images = splits.labelled_images(cache.catalog, cache.digests)
    if not cache.catalog.splits[images].any():
        return images, None
    return splits.train_test(cache.catalog, cache.digests, 0.5, seed).to_compare_on()
