"""A model tried on images whose labels are known: scores, intervals, mistakes."""

import contextlib
import os
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, TypedDict, Unpack

import numpy as np

from .. import backend
from ..cache.file import Cache
from ..dataset.catalog import NO_LABEL, Catalog, split_of
from ..dataset.scan import Source, as_catalog, paths_of
from ..errors import InputError, printable
from ..images import decode
from ..images.decode import SkippedImage
from ..images.listed import digest_of
from ..keywords import takes
from ..metrics import Scores, class_scores, compute_scores, intervals, share_interval
from ..model.file import load
from ..model.model import Model
from ..model.predictions import Mistake, Predictions
from ..names import SplitName
from ..plain import plain
from ..progress import Progress, adding_up, as_function, shows_progress
from .display import EvaluateDisplay
from .rows import KNOWN, open_rows

__all__ = ["EvaluateChanges", "EvaluateResult", "EvaluateSettings", "evaluate"]


@dataclass(frozen=True)
class EvaluateSettings:
    """Which images a model is tried on, and how.

    Attributes
    ----------
    split : {"train", "val", "test"}, optional
        By default the test images of a source that has a test split, else those of `val`, else
        all; images that the model was trained on are left out. "train" is the opposite: the images
        that it was trained on, each with the probabilities by a classifier that was not trained on
        it. They are kept in the model, so no network runs.
    tta : int
        See `scoring.ScoreSettings`.
    mistakes : int
        How many of the worst mistakes are reported.
    seed : int
        Seed of the bootstrap samples.
    """

    split: str | None = None
    tta: int = 0
    mistakes: int = 10
    seed: int = 0


class EvaluateChanges(TypedDict, total=False):
    """The fields of `EvaluateSettings` as keywords, for editors and type checkers."""

    split: SplitName | None
    tta: int
    mistakes: int
    seed: int


@dataclass(frozen=True, eq=False, repr=False)
class EvaluateResult(EvaluateDisplay):
    """What `evaluate` found.

    Attributes
    ----------
    classes : tuple of str
    scores : Scores
    intervals : dict
        95 % intervals: Wilson's of the accuracy, the others by bootstrap, see `metrics.intervals`.
    by_class : list of dict
        See `metrics.class_scores`; in the order of `classes`.
    mistakes : list of Mistake
        The most confident ones.
    predictions : Predictions
        The images, one by one.
    rule : str
        A sentence that says which images these are.
    trained_on : int
        Images left out because the model was trained on their very bytes.
    unlabelled : int
        Images left out because they have no label.
    unknown : dict of int
        Images left out because the model does not know their class, by class.
    skipped : list of SkippedImage
    seconds : float
    """

    classes: tuple[str, ...]
    scores: Scores
    intervals: dict[str, tuple[float, float]]
    by_class: list[dict[str, float]]
    mistakes: list[Mistake]
    predictions: Predictions
    rule: str
    trained_on: int
    unlabelled: int
    unknown: dict[str, int]
    skipped: list[SkippedImage]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain values, for JSON."""
        rows = zip(self.classes, self.by_class, strict=True)
        return {
            "classes": list(self.classes),
            **self.scores.as_dict(),
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
            "by_class": [{"class": name, **row} for name, row in rows],
            "mistakes": [dict(vars(mistake)) for mistake in self.mistakes],
            "split": self.rule,
            "trained_on": self.trained_on,
            "unlabelled": self.unlabelled,
            "unknown": self.unknown,
            "skipped": plain(self.skipped),
            "seconds": self.seconds,
        }


@takes(EvaluateSettings, EvaluateChanges)
@shows_progress
@backend.own_settings()
def evaluate(
    model: Model | str | os.PathLike[str],
    source: Source | Cache,
    settings: EvaluateSettings | None = None,
    *,
    progress: Progress | bool | None = None,
    **changes: Unpack[EvaluateChanges],
) -> EvaluateResult:
    """Compare what a model says of images with their labels.

    Images that the model was trained on, byte for byte, are left out and counted.

    Parameters
    ----------
    model : Model or path
    source : path, several paths, Catalog, or Cache
        Class folders, a manifest with labels, or a cache made with the model's network.
    settings : EvaluateSettings, optional
    progress : callable or True, optional
        True shows a bar; else see `progress.Progress`.
    **changes
        Fields of `EvaluateSettings`, over those of `settings`.

    Returns
    -------
    EvaluateResult
        Scores with intervals, by class, and the mistakes.

    Raises
    ------
    InputError
        When a setting is wrong, or no image is left.
    CorruptError, IncompatibleError
        When a cache cannot be read, or is not of the model's network.

    Examples
    --------
    >>> import featx
    >>> evaluated = featx.evaluate("model.featx", "photos", split="test")  # doctest: +SKIP
    >>> evaluated.scores.images  # doctest: +SKIP
    20
    """
    progress = as_function(progress)
    settings = replace(settings or EvaluateSettings(), **changes)
    begun = time.monotonic()
    if not isinstance(model, Model):
        model = load(model)
    if split_of(settings.split or "") == "train":
        return _evaluate_trained(model, source, settings, begun)
    trained = set(model.trained_on)
    with open_rows(model, source, copies=settings.tta, labelled=True) as opened:
        listed = opened.catalog
        chosen, rule = _chosen(listed, settings.split)
        labelled = chosen[listed.labels[chosen] != NO_LABEL]
        known, unknown = _known(listed, labelled, model)
        labels = listed.labels_for(model.classes, known)
        rows = opened.picked(known, trained, adding_up(progress, len(known)))
    ok = rows.is_ok
    if not ok.any():
        raise InputError(
            f"No image is left to evaluate on ({rule}): {len(chosen) - len(labelled)} have no "
            f"label, {sum(unknown.values())} are of classes that the model does not know, "
            f"{rows.reasons.count(KNOWN)} were trained on, "
            f"{len(known) - rows.reasons.count(KNOWN)} cannot be read. Give others."
        )
    skipped = [
        SkippedImage(path, reason, detail)
        for path, reason, detail in zip(rows.paths, rows.reasons, rows.details, strict=True)
        if reason not in ("", KNOWN)
    ]
    probabilities = model.predict_proba_rows(rows.X)
    paths = listed.paths[known[ok]]
    return _judged(
        Predictions(
            model.classes,
            listed.root,
            paths,
            np.array(rows.digests, dtype=object)[ok],
            labels[ok],
            probabilities,
        ),
        settings,
        begun,
        rule=rule,
        trained_on=rows.reasons.count(KNOWN),
        unlabelled=len(chosen) - len(labelled),
        unknown=unknown,
        skipped=skipped,
    )


def _judged(
    predictions: Predictions, settings: EvaluateSettings, begun: float, **counts: Any
) -> EvaluateResult:
    y, probabilities = predictions.y, predictions.probabilities
    right = int((predictions.predicted == y).sum())
    return EvaluateResult(
        classes=predictions.classes,
        scores=compute_scores(y, probabilities),
        intervals={
            **intervals(y, probabilities, settings.seed),
            "accuracy": share_interval(right, len(y)),
        },
        by_class=class_scores(y, probabilities),
        mistakes=predictions.mistakes(settings.mistakes),
        predictions=predictions,
        seconds=round(time.monotonic() - begun, 3),
        **counts,
    )


def _evaluate_trained(
    model: Model, source: Source | Cache, settings: EvaluateSettings, begun: float
) -> EvaluateResult:
    """Return how well the images of the training are told by classifiers that lack them."""
    if settings.tta:
        raise InputError("The probabilities of training images are without copies: leave tta out.")
    listed, digests = _digested(source, model.fingerprint.trunk.bits)
    labelled = np.flatnonzero(listed.labels != NO_LABEL)
    known, unknown = _known(listed, labelled, model)
    there, probabilities = model.out_of_fold(digests[known])
    if not len(there):
        raise InputError(
            f"The model was trained on none of the {len(known)} labelled images here. Give the "
            "cache or the folder that it was fitted on."
        )
    predictions = Predictions(
        model.classes,
        listed.root,
        listed.paths[known[there]],
        digests[known[there]],
        listed.labels_for(model.classes, known[there]),
        probabilities,
    )
    return _judged(
        predictions,
        settings,
        begun,
        rule="the images that the model was trained on, each by a classifier that was not",
        trained_on=0,
        unlabelled=len(listed) - len(labelled),
        unknown=unknown,
        skipped=[],
    )


def _chosen(listed: Catalog, split: str | None) -> tuple[np.ndarray, str]:
    """Return the indices of the images to evaluate on, and which these are in words."""
    present = set(listed.splits)
    if split is None:
        split = listed.test_split
        if not split:
            return np.arange(len(listed)), "all images"
    elif split_of(split) not in present:
        there = ", ".join(sorted(filter(None, present))) or "none"
        raise InputError(f"There is no split {printable(split)!r} here. The splits are: {there}.")
    name = split_of(split)
    return np.flatnonzero(listed.splits == name), f"the {name} split"


def _known(listed: Catalog, images: np.ndarray, model: Model) -> tuple[np.ndarray, dict[str, int]]:
    """Return the images whose class the model knows, and how many each other class has."""
    if not len(images):
        raise InputError(
            "The images have no labels to compare with. Put them into one folder a class, or "
            "give a manifest with a label column."
        )
    is_known = listed.labels_for(model.classes, images) != NO_LABEL
    names = Counter(listed.classes[label] for label in listed.labels[images[~is_known]])
    if not is_known.any():
        raise InputError(
            f"The model knows none of the classes {', '.join(map(printable, sorted(names)))}. It "
            f"knows {', '.join(map(printable, model.classes))}."
        )
    return images[is_known], dict(sorted(names.items()))


def _digested(source: Source | Cache, bits: int) -> tuple[Catalog, np.ndarray]:
    """Return the images of a source, and the SHA-256 of each file; "" where it cannot be read."""
    if isinstance(source, Cache):
        return source.catalog, source.digests
    given = paths_of(source)
    if len(given) == 1 and Cache.is_cache(given[0]):
        with Cache.open(given[0]) as cache:
            return cache.catalog, cache.digests
    listed = as_catalog(source)
    digests = []
    for index in range(len(listed)):
        digest = ""
        with contextlib.suppress(decode.Rejected):
            digest = digest_of(listed, index, bits)
        digests.append(digest)
    return listed, np.array(digests, dtype=object)
