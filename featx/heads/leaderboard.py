"""Every head on the same folds, ranked; heads not significantly worse than the best are tied."""

import csv
import io
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ..cache.file import Cache
from ..dataset import splits
from ..errors import InputError, require_one_of
from ..metrics import METRICS, Metric, corrected_half_width, get_metric
from ..names import HeadName, ViewName
from ..network.fingerprint import Fingerprint
from ..network.views import VIEWS, make_view, views_of
from ..progress import Progress
from . import registry
from .crossval import Fold, Outcome, Task, cross_validate
from .display import CompareDisplay
from .folds import make_folds
from .settings import CompareSettings, as_names

__all__ = ["PREFERENCES", "CompareResult", "Entry", "Preference", "rank"]

log = logging.getLogger("featx")

_DRAWS = 500  # bootstrap samples, where there is a single fold


@dataclass(frozen=True, eq=False)
class Entry:
    """One head on one view.

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


@dataclass(frozen=True, eq=False, repr=False)
class CompareResult(CompareDisplay):
    """Entries, best first; those with an error last.

    Attributes
    ----------
    entries : list of Entry
    choice : Entry
        The one with the lowest log loss of those tied with the best, or what `prefer` says; of
        equals, the first of the registry. Never the dummy.
    metric : str
    rule : str
        A description of the folds that heads were compared on.
    images : int
    folds, repeats : int
    seconds : float
    prefer : str
        What the choice among tied heads was by.
    files, y : ndarray of str, shape (images,)
        The files of the images that were compared on, and their classes.
    cv : list of (ndarray of int, ndarray of int)
        The folds as positions in `files`, to train and to validate on: `cv` of GridSearchCV.
    """

    entries: list[Entry]
    choice: Entry
    metric: str
    rule: str
    images: int
    folds: int
    repeats: int
    seconds: float
    prefer: str = "best"
    files: np.ndarray = field(default_factory=lambda: np.empty(0, object))
    y: np.ndarray = field(default_factory=lambda: np.empty(0, object))
    cv: list[Fold] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the board as plain values, for JSON."""
        return {
            "metric": self.metric,
            "rule": self.rule,
            "split": self.rule,
            "images": self.images,
            "folds": self.folds,
            "repeats": self.repeats,
            "choice": {"head": self.choice.head, "view": self.choice.view},
            "entries": [entry.as_dict() for entry in self.entries],
            "seconds": self.seconds,
        }

    def as_csv(self) -> str:
        """Return the entries as CSV with a header."""
        text = io.StringIO()
        rows = [entry.as_dict() for entry in self.entries]
        writer = csv.DictWriter(text, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()


class Preference(NamedTuple):
    """Which of the tied heads is chosen, in words, and what is lowest in it."""

    words: str
    cost: Callable[[Entry], float]


#: Rules by which one of the tied heads is chosen, by name.
PREFERENCES: Mapping[str, Preference] = MappingProxyType(
    {
        "best": Preference("the one with the lowest log loss", lambda entry: entry.log_loss),
        "small": Preference("the smallest", lambda entry: entry.size),
        "fast": Preference("the quickest to score with", lambda entry: entry.score_seconds),
    }
)


def rank(
    cache: Cache,
    images: np.ndarray,
    settings: CompareSettings,
    *,
    folds: Sequence[Fold] | None = None,
    more: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> CompareResult:
    """Compare heads on images of a cache.

    Parameters
    ----------
    cache : Cache
    images : ndarray of int, shape (n,)
        Labelled images to compare on.
    settings : CompareSettings
    folds : sequence of (ndarray, ndarray), optional
        Positions in `images` to train and to validate on, of splits that are given; made by
        `settings` by default.
    more : mapping, optional
        Name → a scikit-learn classifier of your own, compared as it is.
    progress : callable, optional
        See `progress.Progress`; the detail is the head of the last fold.

    Raises
    ------
    InputError
        When a setting is wrong, or there are too few images of a class.
    """
    begun = time.monotonic()
    measure = get_metric(settings.metric)
    require_one_of("preference", settings.prefer, PREFERENCES)
    units = splits.leakage_groups(cache.catalog, cache.digests)
    y = cache.catalog.labels[images]
    crossed = folds is None
    rule = "trained on the train split, compared on the val split"
    if folds is None:
        groups, classes = units[images], cache.catalog.classes
        count, folds, rule = make_folds(
            settings.folds, settings.repeats, settings.seed, y, groups, classes
        )
        settings = replace(settings, folds=count)
    if not cache.fingerprint.layers and not settings.views:
        log.info(
            "This cache has no layer pools, so heads are not compared on the view layers. A new "
            "extraction keeps them (featx extract FOLDER -o NEW.h5): on 17 kinds of flowers they "
            "brought the accuracy from 0.96 to 0.98."
        )
    tasks = _tasks(settings, len(folds), more or {}, cache.fingerprint)
    found = cross_validate(
        tasks,
        cache,
        images,
        units,
        folds,
        metric=measure,
        seed=settings.seed,
        budget=settings.budget,
        progress=progress,
    )
    keys: list[Any] = list(dict.fromkeys((task.name, task.view) for task in tasks))
    entries = [
        _entry(name, view, [o for o in found if (o.name, o.view) == (name, view)], y, folds,
               measure, settings.seed)
        for name, view in keys
    ]  # fmt: skip
    entries = _ranked(entries, folds, measure.sign)
    if not np.isfinite(entries[0].score):
        raise InputError(f"No head could be compared. {entries[0].head}: {entries[0].error}")
    real = [entry for entry in entries if entry.head != "dummy" and np.isfinite(entry.score)]
    if not real:
        failed = next((entry for entry in entries if entry.error), None)
        why = f" {failed.head}: {failed.error}" if failed else ""
        raise InputError(f"No head but the dummy was compared.{why}")
    if any(entry.tied and entry.head == "dummy" for entry in entries):
        log.warning("No head can be told from one that ignores the images (dummy).")
    return CompareResult(
        entries=entries,
        choice=min(
            [entry for entry in real if entry.tied] or real[:1],
            key=lambda entry: (
                PREFERENCES[settings.prefer].cost(entry),
                keys.index((entry.head, entry.view)),
            ),
        ),
        metric=settings.metric,
        rule=rule,
        images=len(images),
        folds=settings.folds if crossed else len(folds),
        repeats=settings.repeats if crossed else 1,
        seconds=round(time.monotonic() - begun, 3),
        prefer=settings.prefer,
        files=np.array([str(cache.catalog.file(image)) for image in images], object),
        y=np.array(cache.catalog.classes, object)[y],
        cv=[(np.asarray(inside), np.asarray(outside)) for inside, outside in folds],
    )


def _tasks(
    settings: CompareSettings, folds: int, more: Mapping[str, Any], made: Fingerprint
) -> list[Task]:
    """Return the tasks, cheap heads first, so that a budget reaches most of them."""
    wanted = as_names(settings.heads) or registry.DEFAULT_HEADS
    if wanted == ("all",):
        wanted = tuple(registry.HEADS)
    for name in (*wanted, *settings.options):
        registry.get_head(name)
    views = as_names(settings.views)
    if views == ("all",):
        views = views_of(made)
    for view in views:
        make_view(view, made)  # refuses one that the cache has not
    rows = {name: head for name, head in registry.HEADS.items() if name in ("dummy", *wanted)}
    for name in settings.options:
        if name not in rows:
            raise InputError(
                f"There are options of {name}, which is not compared. Add it to the heads: "
                f"{','.join([*wanted, name])}."
            )
    taken = sorted(set(more) & set(registry.HEADS))
    if taken:
        raise InputError(f"The name {taken[0]!r} is that of a head of the table. Choose another.")
    rows |= {name: registry.from_estimator(estimator) for name, estimator in more.items()}
    tasks = []
    for name, head in rows.items():
        changes = head.overrides(settings.options.get(name, {}), settings.class_weight)
        candidates = head.param_candidates(changes)
        own = views if views and name != "dummy" else head.views_in(made)
        for view in sorted(own, key=list(VIEWS).index):
            tasks += [Task(name, head, view, fold, candidates) for fold in range(folds)]
    return tasks


def _entry(
    name: HeadName,
    view: ViewName,
    found: Sequence[Outcome],
    y: np.ndarray,
    folds: Sequence[Fold],
    measure: Metric,
    seed: int,
) -> Entry:
    failed = [outcome.error for outcome in found if outcome.error]
    if failed:
        return Entry(name, view, error=failed[0])
    if len(found) < len(folds):
        return Entry(name, view, error="not finished within the budget")
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
            return Entry(name, view, error=str(error))
    with np.errstate(invalid="ignore"):
        out_of_fold = total / seen[:, np.newaxis]
    draws = np.array(scores)
    if len(folds) == 1:
        outside = folds[0][1]
        draws = _bootstrap(y[outside], out_of_fold[outside], measure, seed)
    chosen = Counter(tuple(outcome.settings.items()) for outcome in found).most_common(1)[0][0]
    return Entry(
        name,
        view,
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


def _ranked(entries: Sequence[Entry], folds: Sequence[Fold], sign: int) -> list[Entry]:
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
