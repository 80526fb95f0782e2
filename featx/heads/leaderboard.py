"""Every head on the same folds, ranked; heads not significantly worse than the best are tied."""

import csv
import io
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ..cache.file import Cache
from ..dataset import splits
from ..errors import InputError, require_one_of
from ..metrics import get_metric
from ..network.fingerprint import Fingerprint
from ..network.views import VIEWS, make_view, views_of
from ..progress import Progress
from . import registry
from .candidates import Candidate, candidates_of
from .crossval import Fold, Task, cross_validate
from .display import CompareDisplay
from .entry import Entry, entry_of, rank_entries
from .folds import make_folds
from .settings import CompareSettings, as_names

__all__ = ["PREFERENCES", "CompareResult", "Entry", "Preference", "rank"]

log = logging.getLogger("featx")


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
    networks : dict of list of str
        The features that heads were compared on: what they are called in the entries → the paths
        of their caches.
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
    networks: dict[str, list[str]] = field(default_factory=dict)

    @property
    def cheapest(self) -> Entry:
        """Of the choice and those tied with the best, the one that is quickest to score with."""
        some = [entry for entry in self.entries if entry.tied and entry.head != "dummy"]
        several = len(self.networks) > 1
        return min([self.choice, *some], key=lambda one: PREFERENCES["fast"].cost(one, several))

    def as_dict(self) -> dict[str, Any]:
        """Return the board as plain values, for JSON."""
        return {
            "metric": self.metric,
            "rule": self.rule,
            "split": self.rule,
            "images": self.images,
            "folds": self.folds,
            "repeats": self.repeats,
            "choice": {name: getattr(self.choice, name) for name in ("head", "view", "network")},
            "networks": self.networks,
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
    """Which of the tied heads is chosen, in words, and what is lowest in it.

    What is lowest is told by an entry, and by whether there are several networks: beside what they
    cost, how quick a head is by itself does not count.
    """

    words: str
    cost: Callable[[Entry, bool], tuple[float, ...]]


#: Rules by which one of the tied heads is chosen, by name.
PREFERENCES: Mapping[str, Preference] = MappingProxyType(
    {
        "best": Preference("the one with the lowest log loss", lambda entry, _: (entry.log_loss,)),
        "small": Preference("the smallest", lambda entry, _: (entry.size,)),
        "fast": Preference(
            "the quickest to score with",
            lambda entry, several: (
                np.nan_to_num(entry.gmac, nan=np.inf),
                entry.log_loss if several else entry.score_seconds,
            ),
        ),
    }
)


def rank(
    features: Cache | Sequence[Candidate],
    images: np.ndarray,
    settings: CompareSettings,
    *,
    folds: Sequence[Fold] | None = None,
    more: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> CompareResult:
    """Compare heads on images of a cache, or on the features of several.

    Parameters
    ----------
    features : Cache or sequence of Candidate
        Of the same images, in the same order.
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
    if isinstance(features, Cache):
        features = candidates_of([features])
    cache = features[0].cache
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
    tasks = [
        _tasks(settings, len(folds), more or {}, candidate.cache.fingerprint, is_first=not at)
        for at, candidate in enumerate(features)
    ]
    told = _Told(progress, sum(map(len, tasks)))
    started = time.monotonic()
    entries: list[Entry] = []
    for candidate, own in zip(features, tasks, strict=True):
        left = settings.budget
        if left is not None:
            left -= time.monotonic() - started
        found = cross_validate(
            own,
            candidate.cache,
            images,
            units,
            folds,
            metric=measure,
            seed=settings.seed,
            budget=left,
            progress=told.next(len(own)),
        )
        pairs: list[Any] = list(dict.fromkeys((task.name, task.view) for task in own))
        for name, view in pairs:
            entry = Entry(name, view, network=candidate.network, gmac=candidate.gmac(view))
            outcomes = [o for o in found if (o.name, o.view) == (name, view)]
            entries.append(entry_of(entry, outcomes, y, folds, measure, settings.seed))
    keys = [(entry.head, entry.view, entry.network) for entry in entries]
    entries = rank_entries(entries, folds, measure.sign)
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
                PREFERENCES[settings.prefer].cost(entry, len(features) > 1),
                keys.index((entry.head, entry.view, entry.network)),
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
        networks={one.network: list(map(str, one.cache.paths)) for one in features},
    )


@dataclass
class _Told:
    """The progress of several comparisons as that of one."""

    progress: Progress | None
    total: int
    _done: int = 0

    def next(self, count: int) -> Progress | None:
        """Return what the next comparison, of so many tasks, tells its progress to."""
        before, self._done = self._done, self._done + count
        progress = self.progress
        if progress is None:
            return None
        return lambda done, _, detail=None: progress(before + done, self.total, detail)


def _tasks(
    settings: CompareSettings,
    folds: int,
    more: Mapping[str, Any],
    made: Fingerprint,
    *,
    is_first: bool,
) -> list[Task]:
    """Return the tasks, cheap heads first, so that a budget reaches most of them.

    The dummy, which ignores features, is compared on the first ones alone.
    """
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
    if not is_first:
        del rows["dummy"]
    tasks = []
    for name, head in rows.items():
        changes = head.overrides(settings.options.get(name, {}), settings.class_weight)
        candidates = head.param_candidates(changes)
        own = views if views and name != "dummy" else head.views_in(made)
        for view in sorted(own, key=list(VIEWS).index):
            tasks += [Task(name, head, view, fold, candidates) for fold in range(folds)]
    return tasks
