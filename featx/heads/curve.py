"""Accuracy against the number of training images: what more images would bring."""

import csv
import io
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypedDict, Unpack

import numpy as np

from .. import backend
from ..cache.file import Cache
from ..dataset import splits
from ..errors import InputError
from ..keywords import takes
from ..metrics import corrected_half_width, get_metric
from ..names import HeadName, MetricName, ViewName
from ..network.views import make_view
from ..plain import plain
from ..progress import Progress, as_function, shows_progress
from . import registry
from .crossval import Fold
from .display import CurveDisplay
from .folds import images_to_compare, make_folds, usable_part
from .forecast import Forecast, forecast
from .leaderboard import rank
from .settings import CompareSettings
from .subsets import Measured, Trial

__all__ = [
    "CurveChanges",
    "CurvePoint",
    "CurveResult",
    "CurveSettings",
    "curve",
]

_POINTS = 7
_SMALLEST = 5


@dataclass(frozen=True)
class CurveSettings:
    """Which head is trained on how many images.

    Attributes
    ----------
    head : str
        The head to train; "best" is the choice of a comparison of the default heads.
    view : str, optional
        What the head sees of an image; by default the best of its own views.
    sizes : tuple of int
        Training images of each class; by default about seven, from 5 on. All images are the last
        size in any case.
    draws : int
        Random choices of the images at most: a small size has as many as would fit into all
        images without sharing any.
    folds, repeats : int
        Folds and repeats of the cross-validation over images.
    metric : str
        The metric that parameters, and a head that is not given, are chosen by.
    min_per_class : int
        Classes with fewer different images are left out, with a warning.
    seed : int
        Seed of the folds, of the choices of images and of the head.
    """

    head: str = "best"
    view: str | None = None
    sizes: Sequence[int] = ()
    draws: int = 5
    folds: int = 5
    repeats: int = 1
    metric: str = "accuracy"
    min_per_class: int = 2
    seed: int = 0


class CurveChanges(TypedDict, total=False):
    """The fields of `CurveSettings` as keywords, for editors and type checkers."""

    head: HeadName | Literal["best"]
    view: ViewName | None
    sizes: Sequence[int]
    draws: int
    folds: int
    repeats: int
    metric: MetricName
    min_per_class: int
    seed: int


@dataclass(frozen=True)
class CurvePoint:
    """How good the head is after some number of training images.

    Attributes
    ----------
    per_class : int
        Training images of each class; a class that has fewer keeps all. At the last point, the
        mean of the classes.
    images : float
        Training images in all, the mean of the folds.
    accuracy, log_loss : float
        Mean of the folds.
    accuracy_half_width, log_loss_half_width : float
        Half the 95 % interval; not a number where there is one image to score.
    draws : int
        Random choices of the images that the mean is over, in each fold.
    """

    per_class: int
    images: float
    accuracy: float
    accuracy_half_width: float
    log_loss: float
    log_loss_half_width: float
    draws: int


@dataclass(frozen=True, eq=False, repr=False)
class CurveResult(CurveDisplay):
    """A learning curve, and what twice as many images would bring.

    Attributes
    ----------
    head, view, metric : str
    points : list of CurvePoint
        In the order of their sizes; the last one is of all images.
    forecast : Forecast or None
        None where it cannot be told.
    sentence : str
        The forecast in words, or why there is none.
    rule : str
        A description of the folds.
    images : int
        Images that were trained and validated on.
    seconds : float
    """

    head: str
    view: str
    metric: str
    points: list[CurvePoint]
    forecast: Forecast | None
    sentence: str
    rule: str
    images: int
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain values, for JSON; None where an interval is not known."""
        found: dict[str, Any] = plain(self)
        for point in found["points"]:
            for name in ("accuracy_half_width", "log_loss_half_width"):
                point[name] = point[name] if np.isfinite(point[name]) else None
        return found

    def as_csv(self) -> str:
        """Return the points as CSV with a header."""
        text = io.StringIO()
        rows = [vars(point) for point in self.points]
        writer = csv.DictWriter(text, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()


@takes(CurveSettings, CurveChanges)
@shows_progress
@backend.own_settings()
def curve(
    features: str | os.PathLike[str] | Cache,
    settings: CurveSettings | None = None,
    *,
    progress: Progress | bool | None = None,
    **changes: Unpack[CurveChanges],
) -> CurveResult:
    """Train a head on more and more of the images, and score it on the same folds as `compare`.

    In each fold only the training side is made smaller; images that are one unit (equal files, one
    group) are taken together, and the head is scored on the whole validation side. The settings of
    the head are chosen anew on each choice of images. The last point is what `compare` reports. A
    `test` split is never touched.

    Parameters
    ----------
    features : path or Cache
        A cache made by `extract`.
    settings : CurveSettings, optional
    progress : callable or True, optional
        True shows a bar; else see `progress.Progress`;
        the detail is the head of the last fold.
    **changes
        Fields of `CurveSettings`, over those of `settings`.

    Returns
    -------
    CurveResult
        Accuracy and log loss by training images, and what more images would probably bring.

    Raises
    ------
    InputError
        When the cache cannot be trained on, or a setting is wrong.
    CorruptError, IncompatibleError
        When the cache cannot be read.

    Examples
    --------
    >>> import featx
    >>> grown = featx.curve("features.h5", head="ridge", view="layers")  # doctest: +SKIP
    >>> grown.head, grown.view  # doctest: +SKIP
    ('ridge', 'layers')
    """
    progress = as_function(progress)
    settings = replace(settings or CurveSettings(), **changes)
    begun = time.monotonic()
    if settings.draws < 1:
        raise InputError(f"The number of draws is {settings.draws}. Expected 1 or more.")
    get_metric(settings.metric)
    with Cache.opened(features) as whole:
        cache, _ = usable_part(whole, settings.min_per_class)
        trial = _trial(cache, settings, progress)
        sizes = _sizes(settings.sizes, trial.full)
        measured = _measured(trial, [*sizes, None], progress)
    ahead, sentence = forecast(
        np.array([some.images for some in measured]) / len(cache.catalog.classes),
        np.stack([some.accuracy for some in measured], axis=1),
        np.stack([some.log_loss for some in measured], axis=1),
        trial.share,
        settings.seed,
    )
    return CurveResult(
        head=trial.name,
        view=trial.view,
        metric=settings.metric,
        points=[
            CurvePoint(
                per_class=some.size,
                images=round(some.images, 2),
                accuracy=float(some.accuracy.mean()),
                accuracy_half_width=_half_width(some.accuracy, trial.share),
                log_loss=float(some.log_loss.mean()),
                log_loss_half_width=_half_width(some.log_loss, trial.share),
                draws=some.draws,
            )
            for some in measured
        ],
        forecast=ahead,
        sentence=sentence,
        rule=trial.rule,
        images=len(trial.images),
        seconds=round(time.monotonic() - begun, 3),
    )


def _trial(cache: Cache, settings: CurveSettings, progress: Progress | None) -> Trial:
    """Return the head that is tried and its folds: those of `compare`."""
    images, given = images_to_compare(cache, settings.seed)
    units = splits.leakage_groups(cache.catalog, cache.digests)
    count, rule = settings.folds, "trained on the train split, scored on the val split"
    folds: Sequence[Fold] = given or ()
    if not given:
        y, groups, classes = cache.catalog.labels[images], units[images], cache.catalog.classes
        count, folds, rule = make_folds(
            settings.folds, settings.repeats, settings.seed, y, groups, classes
        )
    name, view = _own(cache, settings)
    if not (name and view):
        wanted = CompareSettings(
            heads=(name,) if name else (),
            views=(view,) if view else (),
            metric=settings.metric,
            folds=count,
            repeats=settings.repeats,
            seed=settings.seed,
        )
        choice = rank(cache, images, wanted, folds=given, progress=progress).choice
        name, view = choice.head, choice.view
    return Trial(
        cache=cache,
        images=images,
        units=units,
        folds=folds,
        rule=rule,
        name=name,
        view=view,
        draws=settings.draws,
        metric=settings.metric,
        seed=settings.seed,
    )


def _measured(
    trial: Trial, sizes: Sequence[int | None], progress: Progress | None
) -> list[Measured]:
    """Return the scores at each size, and tell of the folds of all sizes together."""
    tried = [trial.draws_at(size) * len(trial.folds) for size in sizes]
    total, before, found = sum(tried), 0, []

    def tell(done: int, _: int, detail: int | str | None = None, /) -> None:
        if progress:
            progress(before + done, total, detail)

    for size, folds in zip(sizes, tried, strict=True):
        found.append(trial.at(size, tell))
        before += folds
    return found


def _own(cache: Cache, settings: CurveSettings) -> tuple[str, str]:
    """Return the head and the view as far as there is no choice; "" where there is one."""
    name, view = "" if settings.head == "best" else settings.head, settings.view or ""
    if name:
        registry.get_head(name)
    if view:
        make_view(view, cache.fingerprint)  # refuses one that the cache has not
    if name and not view:
        views = registry.get_head(name).views_in(cache.fingerprint)
        view = views[0] if len(views) == 1 else ""
    return name, view


def _sizes(wanted: Sequence[int], full: float) -> list[int]:
    """Return the sizes before that of all images, ascending.

    Raises
    ------
    InputError
        When one that is wanted is not smaller than all images, or below 1.
    """
    if not wanted:
        first = min(_SMALLEST, max(2, int(full // 3)))
        found = np.geomspace(first, max(full, first), _POINTS)[:-1].round().astype(int).tolist()
        return sorted({size for size in found if size < full})
    for size in wanted:
        if not 1 <= size < full:
            raise InputError(
                f"The size {size} is not below the {full:.0f} training images a class that a fold "
                "has. Expected sizes from 1 up to that; all images are the last point in any case."
            )
    return sorted(set(wanted))


def _half_width(values: np.ndarray, share: float) -> float:
    return corrected_half_width(values, share) if len(values) > 1 else float("nan")
