"""From examples to a fitted head: settings chosen and probabilities calibrated on inner folds."""

import functools
import logging
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import softmax
from threadpoolctl import threadpool_limits

from .. import backend
from ..dataset import splits
from ..errors import InputError
from ..metrics import Metric
from .calibration import (
    TemperatureScaled,
    best_inverse_temperature,
    decision_scores,
    mean_log_loss,
)
from .registry import Head
from .rowspace import RowSpace

__all__ = ["Examples", "Trained", "one_thread", "train"]

log = logging.getLogger("featx")

_INNER_FOLDS = 3
_WIDE = 4  # the exact tolerance costs about as much as this many times the columns


def one_thread(head: Head | None = None) -> AbstractContextManager[Any]:
    """Return a context in which BLAS and OpenMP use one thread.

    Sums in another order differ in their last bits, and of two candidates that are nearly equal
    another one wins. In one thread, a head is the same on any number of cores, in a worker of a
    comparison and in the process of `fit`. Keras heads are left alone: they are not trained by
    BLAS.

    Parameters
    ----------
    head : Head, optional
        The head that is trained inside.
    """
    return nullcontext() if head and head.keras else threadpool_limits(1)


@dataclass(frozen=True, eq=False)
class Examples:
    """Images to train on, copies and all.

    Attributes
    ----------
    X : ndarray of float32 or float64, shape (images, 1 + copies, d)
        Rows of length 1; copy 0 is the original.
    y : ndarray of int, shape (images,)
    units : ndarray of int, shape (images,)
        See `splits.leakage_groups`.
    reduced_from : int
        Columns before `in_row_space`; 0 when the columns are the features themselves.
    widths : tuple of int
        Columns of each block of the view; see `views.View`.
    """

    X: np.ndarray
    y: np.ndarray
    units: np.ndarray
    reduced_from: int = 0
    widths: tuple[int, ...] = ()

    def take(self, chosen: np.ndarray) -> "Examples":
        """Return some of the images."""
        return replace(self, X=self.X[chosen], y=self.y[chosen], units=self.units[chosen])

    @property
    def originals(self) -> np.ndarray:
        """Rows of the originals, shape (images, d)."""
        return self.X[:, 0]

    def in_row_space(self) -> tuple["Examples", RowSpace]:
        """Return the same examples in the space that their rows span, and that space."""
        columns = self.X.shape[2]
        with one_thread():
            space = RowSpace(self.X.reshape(-1, columns))
        rows = space.Z.reshape(*self.X.shape[:2], -1)
        return replace(self, X=rows, reduced_from=columns), space

    @property
    def is_wide(self) -> bool:
        """Whether there are so many more columns than rows that the row space is worth its cost."""
        return self.X.shape[2] > _WIDE * self.X.shape[0] * self.X.shape[1]


@dataclass(frozen=True, eq=False)
class Trained:
    """A fitted head.

    Attributes
    ----------
    classifier : estimator
        Takes rows of length 1 and gives `predict_proba` ordered by `classes_`.
    settings : dict
        The parameters that were selected.
    out_of_fold : ndarray of float64, shape (images, classes), or None
        Probabilities for each original by classifiers that were not trained on it.
    """

    classifier: Any
    settings: dict[str, Any]
    out_of_fold: np.ndarray | None


@dataclass(frozen=True, eq=False)
class _Trial:
    """A candidate and its result on inner folds: (utility, mean log likelihood)."""

    settings: dict[str, Any]
    score: tuple[float, float] = (np.nan, np.nan)
    inverse_temperature: float = 1.0
    out_of_fold: np.ndarray | None = None


def train(
    head: Head,
    examples: Examples,
    *,
    candidates: Sequence[dict[str, Any]],
    metric: Metric,
    seed: int,
    out_of_fold: bool = False,
) -> Trained:
    """Choose the best of the candidates on inner folds, calibrate it, and fit it on all examples.

    Parameters
    ----------
    head : Head
    examples : Examples
        Labels are 0 to classes − 1, and every class is among them.
    candidates : sequence of dict
        From `Head.param_candidates`.
    metric : Metric
        The metric that candidates are chosen by. Ties are broken by log loss, then by order.
    seed : int
    out_of_fold : bool
        Try the candidates on inner folds even where there is nothing to choose or to calibrate.

    Raises
    ------
    InputError
        When the head cannot learn from these examples.
    """
    with backend.own_settings(), one_thread(head):
        return _train(head, examples, candidates, metric, seed, out_of_fold)


def _train(
    head: Head,
    examples: Examples,
    candidates: Sequence[dict[str, Any]],
    metric: Metric,
    seed: int,
    out_of_fold: bool,
) -> Trained:
    if head.leaves_out:
        return _left_out(head, examples, candidates[0], metric, seed)
    rows, space = examples, None
    if head.distances and examples.is_wide:
        rows, space = examples.in_row_space()
    if head.linear and rows.reduced_from:
        candidates = [_exact(settings) for settings in candidates]
    chosen = _Trial(_default(head, candidates))
    if head.calibrated or len(candidates) > 1 or out_of_fold:
        fewest = min(len(np.unique(rows.units[rows.y == label])) for label in np.unique(rows.y))
        if fewest < 2:
            log.warning(
                "Some class has one image to train on: settings are the defaults, and "
                "probabilities are not calibrated."
            )
        else:
            folds = splits.folds(rows.y, rows.units, min(_INNER_FOLDS, fewest), seed)
            chosen = _best(head, rows, folds, candidates, metric, seed)
    if head.linear and space:
        classifier = space.widen(_fit(head, chosen.settings, rows, seed))
    else:
        classifier = _fit(head, chosen.settings, examples, seed)
    if head.calibrated:
        classifier = TemperatureScaled.of(classifier, chosen.inverse_temperature)
    return Trained(classifier, chosen.settings, chosen.out_of_fold)


def _left_out(
    head: Head, examples: Examples, settings: dict[str, Any], metric: Metric, seed: int
) -> Trained:
    """Fit a head that chooses for itself, and calibrate it on its scores for left-out images."""
    classifier = _fit(head, settings, examples, seed, metric)
    trial = _judged(classifier.left_out_, examples.y, metric, head.calibrated)
    return Trained(
        TemperatureScaled.of(classifier, trial.inverse_temperature),
        {**settings, "alpha": classifier.alpha_},
        trial.out_of_fold,
    )


def _worth(metric: Metric, scores: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    return _judged(scores, y, metric, calibrated=True).score


def _judged(scores: np.ndarray, y: np.ndarray, metric: Metric, calibrated: bool) -> _Trial:
    """Return how good the scores of images are that were not trained on."""
    temperature = best_inverse_temperature(scores, y) if calibrated else 1.0
    probabilities = softmax(temperature * scores, axis=1)
    score = (metric.utility(y, probabilities), -mean_log_loss(temperature * scores, y))
    return _Trial({}, score, temperature, probabilities)


def _exact(settings: dict[str, Any]) -> dict[str, Any]:
    # In another basis a solver stops elsewhere; only near the optimum is the result the same.
    return {**settings, "tol": min(settings["tol"], 1e-8)} if "tol" in settings else settings


def _default(head: Head, candidates: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the candidate with the head's defaults, or the first where all differ."""
    for settings in candidates:
        if all(settings[name] == head.default_params[name] for name in head.param_grid):
            return settings
    return candidates[0]


def _best(
    head: Head,
    rows: Examples,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    candidates: Sequence[dict[str, Any]],
    metric: Metric,
    seed: int,
) -> _Trial:
    """Return the trial with the best score; of equals the likelier, then the first."""
    trials, failures = [], []
    for settings in candidates:
        try:
            trials.append(_trial(head, rows, folds, settings, metric, seed))
        except InputError as error:  # 15 neighbours of 12 images
            failures.append(error)
    if not trials:
        raise failures[0]
    return max(trials, key=lambda trial: trial.score)


def _trial(
    head: Head,
    examples: Examples,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    settings: dict[str, Any],
    metric: Metric,
    seed: int,
) -> _Trial:
    """Try one candidate on inner folds."""
    scores = np.empty((len(examples.y), examples.y.max() + 1))
    for inside, outside in folds:
        fitted = _fit(head, settings, examples.take(inside), seed)
        try:
            scores[outside] = decision_scores(fitted, examples.originals[outside])
        except ValueError as error:
            raise InputError(f"This head cannot score with {settings}: {error}") from error
    return replace(_judged(scores, examples.y, metric, head.calibrated), settings=settings)


def _fit(
    head: Head,
    settings: dict[str, Any],
    examples: Examples,
    seed: int,
    metric: Metric | None = None,
) -> Any:
    each = examples.X.shape[1]
    X = examples.X.reshape(-1, examples.X.shape[2])
    y = np.repeat(examples.y, each)
    classifier = head.build(settings, seed)
    if head.by_rows:
        classifier.set_params(**head.by_rows(len(X)))
    try:
        with warnings.catch_warnings():
            # That a solver stopped short shows in the score of its settings.
            warnings.simplefilter("ignore")
            units = np.repeat(examples.units, each)
            if head.keras:
                return classifier.fit(X, y, groups=units)
            if head.leaves_out:
                originals = np.arange(0, len(X), each)
                judge = functools.partial(_worth, metric) if metric else None
                return classifier.fit(X, y, units, examples.widths, originals, judge)
            return classifier.fit(X, y)
    except ValueError as error:
        raise InputError(f"This head cannot learn from {len(y)} rows: {error}") from error
