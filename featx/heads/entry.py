"""An entry of a comparison: a head on a view of features, with its score on all folds."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..metrics import METRICS, Metric, corrected_half_width
from ..names import HeadName, ViewName
from .crossval import Fold, Outcome

__all__ = ["Entry", "entry_of", "rank_entries"]

_DRAWS = 500  # bootstrap samples, where there is a single fold


@dataclass(frozen=True, eq=False)
class Entry:
    """One head on one view of one network's features, or of two networks' side by side.

    Attributes
    ----------
    head, view : str
    score : float
        Mean of the metric over the folds, for the whole procedure: choice of settings and
        calibration included. A log loss is positive, and lower is better. NaN after an error.
    ci95_half_width : float
        Half the width of the 95 % interval around the score.
    tied : bool
        Whether the head is not significantly worse than the best.
    log_loss : float
        Mean log loss over the folds; 0 is best.
    fit_seconds : float
        To choose settings and fit, a fold.
    score_seconds : float
        To score 1,000 images from their features.
    size : int
        Bytes of the fitted head.
    settings : dict
        The parameters that were selected in most folds.
    out_of_fold : ndarray of float64, shape (images, classes), or None
        For each image the mean of the probabilities by models not trained on it; rows of
        images that were in no validation fold are not numbers.
    error : str
        Why there is no score, or "".
    network : str
        What the features are called; see `candidates.Candidate`.
    gmac : float
        What they cost an image: multiplications of convolutions in 1e9, of all passes. Before the
        last layer that is an upper bound.
    """

    head: HeadName
    view: ViewName
    score: float = np.nan
    ci95_half_width: float = np.nan
    tied: bool = False
    log_loss: float = np.nan
    fit_seconds: float = np.nan
    score_seconds: float = np.nan
    size: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    out_of_fold: np.ndarray | None = field(default=None, repr=False)
    error: str = ""
    network: str = ""
    gmac: float = np.nan
    _draws: np.ndarray | None = field(default=None, repr=False)

    @property
    def half_width(self) -> float:
        """The name that `ci95_half_width` had until now; it goes with version 0.2."""
        return self.ci95_half_width

    def as_dict(self) -> dict[str, Any]:
        """Return the row as plain values, for JSON and CSV; None where there is no number."""

        def number(value: float, digits: int) -> float | None:
            return round(value, digits) if np.isfinite(value) else None

        return {
            "head": self.head,
            "view": self.view,
            "pool": self.view,  # its name until now; it goes with 0.2
            "network": self.network,
            "gmac": number(self.gmac, 3),
            "score": number(self.score, 6),
            "ci95_half_width": number(self.ci95_half_width, 6),
            "half_width": number(self.ci95_half_width, 6),  # its name until now; it goes with 0.2
            "tied": self.tied,
            "log_loss": number(self.log_loss, 6),
            "fit_seconds": number(self.fit_seconds, 4),
            "score_seconds": number(self.score_seconds, 4),
            "size": self.size,
            "settings": dict(self.settings),
            "error": self.error,
        }


def entry_of(
    entry: Entry,
    found: Sequence[Outcome],
    y: np.ndarray,
    folds: Sequence[Fold],
    measure: Metric,
    seed: int,
) -> Entry:
    """Return an entry with what came of its tasks on all folds.

    Parameters
    ----------
    entry : Entry
        Its head, view and network.
    found : sequence of Outcome
    y : ndarray of int, shape (images,)
    folds : sequence of (ndarray, ndarray)
    measure : Metric
    seed : int
        Of the bootstrap, where there is a single fold.
    """
    failed = [outcome.error for outcome in found if outcome.error]
    if failed:
        return replace(entry, error=failed[0])
    if len(found) < len(folds):
        return replace(entry, error="not finished within the budget")
    found = sorted(found, key=lambda outcome: outcome.fold)
    total = np.zeros((len(y), int(y.max()) + 1))
    seen = np.zeros(len(y))
    scores, losses = [], []
    for outcome, (_, outside) in zip(found, folds, strict=True):
        probabilities = np.asarray(outcome.probabilities)
        seen[outside] += 1
        try:
            total[outside] += probabilities
            scores.append(measure.score(y[outside], probabilities))
            losses.append(METRICS["log-loss"].score(y[outside], probabilities))
        except ValueError as error:
            # A curve of a fold that lacks a class; an own classifier with other columns.
            return replace(entry, error=str(error))
    with np.errstate(invalid="ignore"):
        out_of_fold = total / seen[:, np.newaxis]
    draws = np.array(scores)
    if len(folds) == 1:
        outside = folds[0][1]
        draws = _bootstrap(y[outside], out_of_fold[outside], measure, seed)
    chosen = Counter(tuple(outcome.settings.items()) for outcome in found).most_common(1)[0][0]
    return replace(
        entry,
        score=float(np.mean(scores)),
        ci95_half_width=_half_width(draws, len(folds), folds),
        fit_seconds=float(np.mean([outcome.fit_seconds for outcome in found])),
        score_seconds=float(np.mean([outcome.score_seconds for outcome in found])),
        size=int(np.mean([outcome.size for outcome in found])),
        log_loss=float(np.mean(losses)),
        settings=dict(chosen),
        out_of_fold=out_of_fold,
        _draws=draws,
    )


def _bootstrap(y: np.ndarray, probabilities: np.ndarray, measure: Metric, seed: int) -> np.ndarray:
    """Return scores on images drawn with replacement, the same draws for every head."""
    random = np.random.default_rng(seed)
    drawn = random.integers(0, len(y), (_DRAWS, len(y)))
    whole = [rows for rows in drawn if len(np.unique(y[rows])) == len(np.unique(y))]
    return np.array([measure.score(y[rows], probabilities[rows]) for rows in whole or [drawn[0]]])


def _half_width(draws: np.ndarray, count: int, folds: Sequence[Fold]) -> float:
    if count == 1:
        return float(1.96 * draws.std())
    inside, outside = folds[0]
    return corrected_half_width(draws, len(outside) / len(inside))


def rank_entries(entries: Sequence[Entry], folds: Sequence[Fold], sign: int) -> list[Entry]:
    """Sort the entries, best first, and mark those that are not significantly worse than it.

    A `sign` of −1 means that lower scores are better.
    """
    found = sorted(entries, key=lambda entry: (not np.isfinite(entry.score), -sign * entry.score))
    best = found[0]
    marked = []
    for entry in found:
        tied = entry is best
        if entry._draws is not None and best._draws is not None and entry is not best:
            difference = best._draws - entry._draws
            tied = sign * (best.score - entry.score) <= _half_width(difference, len(folds), folds)
        marked.append(replace(entry, tied=bool(tied and np.isfinite(entry.score))))
    return marked
