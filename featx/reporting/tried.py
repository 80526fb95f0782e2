"""The images that a model is tried on for its report, and which images are not among them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..cache.file import Cache
from ..dataset.catalog import NO_LABEL
from ..errors import InputError, printable
from ..model.model import Model
from ..model.predictions import Predictions
from ..scoring.evaluate import EvaluateResult, evaluate

__all__ = ["Tried", "try_model"]

#: What the images are called that `evaluate` takes by default.
_NAMES = {"the test split": "test images", "the val split": "validation images"}
_HELD_OUT = "held-out images"
_TRAINING = "training images, each predicted without it"


@dataclass(frozen=True, eq=False)
class Tried:
    """What a model predicted for images of a cache.

    Attributes
    ----------
    parts : list of Predictions
        The test images and the training images, whichever there are.
    names : tuple of str
        What the images of each part are called.
    notes : list of str
        Sentences on images that are in no part, and on labels that changed.
    """

    parts: list[Predictions]
    names: tuple[str, ...]
    notes: list[str]


def try_model(model: Model, cache: Cache) -> Tried:
    """Return the test images and the training images, each predicted by who did not know it.

    Raises
    ------
    InputError
        When there are neither.
    """
    trained = set(model.trained_on)
    if not trained.intersection(cache.digests.tolist()):
        raise InputError(
            f"{printable(cache.path)} has none of the {len(trained)} images that the model was "
            "trained on. Give the cache that it was fitted on: --cache features.h5."
        )
    parts, names, problems = [], [], []
    notes: list[str] = []
    for split in (None, "train"):
        try:
            found = evaluate(model, cache, split=split)
        except InputError as error:  # no image is left, or the model has no such probabilities
            problems.append(str(error))
            continue
        parts.append(found.predictions)
        names.append(_TRAINING if split else _NAMES.get(found.rule, _HELD_OUT))
        if not split:
            notes += _left_out(found)
    if not parts:
        raise InputError(" ".join(problems))
    return Tried(parts, tuple(names), notes + _other_images(model, cache, trained))


def _left_out(found: EvaluateResult) -> list[str]:
    notes = []
    if found.unknown:
        named = ", ".join(f"{printable(name)} ({count})" for name, count in found.unknown.items())
        notes.append(f"Left out are images of classes that the model does not know: {named}.")
    if found.unlabelled:
        notes.append(f"Left out are {found.unlabelled} images without a label.")
    return notes


def _other_images(model: Model, cache: Cache, trained: set[str]) -> list[str]:
    notes = []
    catalog, digests = cache.catalog, cache.digests
    is_trained = np.array([digest in trained for digest in digests], bool)
    if catalog.test_split == "test":
        between = int((catalog.splits == "val").sum())
        if between:
            notes.append(
                f"{between} images of the val split, by which the head was chosen, are neither "
                "tested on nor trained on."
            )
    changed = _changed_labels(model, catalog.labels_for(model.classes), digests, is_trained)
    if changed:
        notes.append(
            f"{changed} training images have another label now than when the model was fitted; "
            "fit it again."
        )
    return notes


def _changed_labels(
    model: Model, labels: np.ndarray, digests: np.ndarray, is_trained: Sequence[bool] | np.ndarray
) -> int:
    """Return how many training images have another label in the cache than in the model."""
    then = dict(zip(model.trained_on, model.training["labels"].tolist(), strict=True))
    now = zip(digests[is_trained], labels[is_trained].tolist(), strict=True)
    return sum(then[digest] != label for digest, label in now if label != NO_LABEL)
