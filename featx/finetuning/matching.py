"""The images of a model in another cache: for training, for validation, for the test."""

from dataclasses import dataclass

import numpy as np

from ..cache.file import Cache
from ..dataset.catalog import NO_LABEL
from ..errors import InputError, printable
from ..model.model import Model

__all__ = ["Matched", "match_images"]


@dataclass(frozen=True, eq=False)
class Matched:
    """Images of a cache, with labels that are indices into the model's classes.

    Attributes
    ----------
    train, y_train : ndarray of int
        The images that the model was trained on, in its order.
    validation, y_validation : ndarray of int
        The `val` split, where there is a `test` split too.
    test, y_test : ndarray of int
        The `test` split, or `val`, or all images that were not trained on.
    """

    train: np.ndarray
    y_train: np.ndarray
    validation: np.ndarray
    y_validation: np.ndarray
    test: np.ndarray
    y_test: np.ndarray


def match_images(model: Model, cache: Cache) -> Matched:
    """Find a model's images in a cache, by their bytes.

    Raises
    ------
    InputError
        When a training image is missing or has another label, or no image is left to test on.
    """
    listed = cache.catalog
    labels = _labels(model, cache)
    index = cache.index()
    digests = model.trained_on
    missing = sum(digest not in index for digest in digests)
    if missing:
        raise InputError(
            f"{printable(cache.path)} does not hold {missing} of the {len(digests)} images that "
            "the model was trained on. Give a cache of the same images."
        )
    train = np.array([index[digest] for digest in digests])
    expected = model.training["labels"]
    different = np.flatnonzero(labels[train] != expected)
    if len(different):
        row = train[different[0]]
        label = listed.labels[row]
        now = "no label" if label == NO_LABEL else repr(printable(listed.classes[label]))
        was = printable(model.classes[expected[different[0]]])
        raise InputError(
            f"{len(different)} training images have another label than when the model was "
            f"fitted, for example {printable(listed.paths[row])}: {was!r} then, {now} now. Fit "
            "again."
        )
    free = (labels != NO_LABEL) & ~np.isin(cache.digests, digests)
    name = listed.test_split
    test = np.flatnonzero(free & (listed.splits == name))
    if not len(test):
        raise InputError(f"{printable(cache.path)} has no labelled image left to test on.")
    validation = np.empty(0, np.int64)
    if name == "test":
        apart = ~np.isin(cache.digests, cache.digests[test])
        validation = np.flatnonzero(free & apart & (listed.splits == "val"))
    return Matched(train, labels[train], validation, labels[validation], test, labels[test])


def _labels(model: Model, cache: Cache) -> np.ndarray:
    """Return the labels of all images as indices into the model's classes."""
    if (cache.labels == NO_LABEL).all():
        raise InputError(f"The images of {printable(cache.path)} have no labels.")
    return cache.catalog.labels_for(model.classes)
