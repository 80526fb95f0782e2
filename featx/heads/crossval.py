"""Heads trained and tried on folds, on all cores, with the matrices made once and shared."""

import contextlib
import errno
import logging
import multiprocessing
import os
import pickle
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..cache.file import Cache
from ..engines.joblib_engine import is_configured
from ..errors import FeatxError, InputError, StorageError, printable
from ..metrics import Metric
from ..network.activations import Activations
from ..network.views import View, make_view
from ..progress import Progress
from .registry import Head
from .training import Examples, one_thread, train

__all__ = ["Fold", "Outcome", "Task", "cross_validate", "examples_of"]

_MOST_KEPT = 2 << 30  # bytes of features, and of rows of folds, that are kept in memory

log = logging.getLogger("featx")

#: Positions to train on, and to validate on.
Fold = tuple[np.ndarray, np.ndarray]


def examples_of(
    cache: Cache,
    view: View,
    images: np.ndarray,
    units: np.ndarray,
    read: Sequence[Activations] = (),
) -> Examples:
    """Return images of a cache as examples.

    Parameters
    ----------
    cache : Cache
    view : View
        Fitted, or one that need not be.
    images : ndarray of int, shape (n,)
        Labelled images.
    units : ndarray of int
        The group of each image of the cache; see `splits.leakage_groups`.
    read : sequence of Activations, optional
        What the cache has of these images, where it was read before.

    Raises
    ------
    InputError
        When features are not finite numbers.
    """
    if read:
        X = np.concatenate([view.rows(some.flat()) for some in read])
    else:
        X = cache.matrix(view, images=images).X
    X = X.reshape(len(images), 1 + cache.fingerprint.copies, -1)
    bad = images[~np.isfinite(X).all(axis=(1, 2))]
    if len(bad):
        raise InputError(
            f"{len(bad)} of {len(images)} images have features that are not finite numbers, "
            f"for example {printable(cache.catalog.paths[bad[0]])}. Extract them with --overwrite."
        )
    widths = tuple(view.widths.values())
    return Examples(X, cache.catalog.labels[images], units[images], widths=widths)


@dataclass(eq=False)
class _Read:
    """What the views with a projection see of some images, read once where memory allows it.

    Attributes
    ----------
    cache : Cache
    images : ndarray of int
    """

    cache: Cache
    images: np.ndarray
    _kept: list[Activations] = field(default_factory=list)

    def blocks(self, view: View) -> list[Activations]:
        """Return the images with their copies, or nothing where that is not worth the memory."""
        each = sum(np.prod(one.shape) for one in self.cache.fingerprint.each)
        size = each * len(self.images) * 2
        if not self._kept and view.kind.projected and size <= _MOST_KEPT:
            blocks = self.cache.blocks(self.images, self.cache.fingerprint.copies, view)
            self._kept = [some for _, some in blocks]
        return self._kept if view.kind.projected else []

    def originals(self, view: View, chosen: np.ndarray) -> Iterator[Activations]:
        """Yield the originals of images by their positions, to fit a view by."""
        kept = self.blocks(view)
        if not kept:
            yield from (some for _, some in self.cache.blocks(self.images[chosen], 0, view))
        start = 0
        for some in kept:
            yield some.take(chosen[(chosen >= start) & (chosen < start + len(some))] - start)
            start += len(some)


@dataclass(frozen=True, eq=False)
class Task:
    """One fold of one head on one view."""

    name: str
    head: Head
    view: str
    fold: int
    candidates: list[dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a task.

    Attributes
    ----------
    probabilities : ndarray of float64, shape (validation images, classes), or None
    fit_seconds, score_seconds : float
        To choose settings and fit; to score 1,000 images from their features.
    size : int
        Bytes of the fitted head.
    settings : dict
        The parameters that were selected.
    error : str
        Why there are no probabilities, or "".
    """

    name: str
    view: str
    fold: int
    probabilities: np.ndarray | None = None
    fit_seconds: float = 0.0
    score_seconds: float = 0.0
    size: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    error: str = ""


def cross_validate(
    tasks: Sequence[Task],
    cache: Cache,
    images: np.ndarray,
    units: np.ndarray,
    folds: Sequence[Fold],
    *,
    metric: Metric,
    seed: int,
    budget: float | None = None,
    progress: Progress | None = None,
) -> list[Outcome]:
    """Do the tasks, on all cores, and return their outcomes in any order.

    Where the caller chose a backend with ``joblib.parallel_config``, that does them, but for heads
    with Keras, which stay in this process.

    Parameters
    ----------
    tasks : sequence of Task
    cache, images, units
        See `examples_of`.
    folds : sequence of (ndarray, ndarray)
        Positions in `images` to train and to validate on.
    metric : Metric
        The metric that parameters are selected by.
    seed : int
    budget : float, optional
        Seconds after which no further task is started.
    progress : callable, optional
        See `progress.Progress`; the detail is the head of the last fold.
    """
    import joblib
    from joblib.parallel import get_active_backend

    deadline = time.monotonic() + (np.inf if budget is None else budget)
    read = _Read(cache, images)
    plain: dict[tuple[str, int], Examples] = {}
    reduced: dict[tuple[str, int], Examples] = {}

    def examples(task: Task) -> Examples:
        """Return the rows for a task, made once for each view.

        A view with a projection has rows of its own in each fold: it is fitted on the images that
        are trained on there.
        """
        view = make_view(task.view, cache.fingerprint)
        key = (task.view, -1 if view.is_fitted else task.fold)
        if key not in plain:
            view = view.fitted(read.originals(view, folds[task.fold][0]))
            plain[key] = examples_of(cache, view, images, units, read.blocks(view))
            of_folds = [other for other in plain if other[1] >= 0]
            if len(of_folds) > max(1, _MOST_KEPT // plain[key].X.nbytes):
                for rows in (plain, reduced):  # the oldest are made again where they are needed
                    rows.pop(of_folds[0], None)
        if not (task.head.distances and plain[key].is_wide):
            return plain[key]
        if key not in reduced:
            reduced[key] = plain[key].in_row_space()[0]
        return reduced[key]

    def in_time(some: Sequence[Task]) -> Iterator[Any]:
        for task in some:
            if time.monotonic() >= deadline:
                return
            some_rows = examples(task)
            # The matrix by itself: a backend that sends large arrays only once can see it then.
            rest = replace(some_rows, X=some_rows.X[:0])
            yield joblib.delayed(_outcome_of)(
                task, some_rows.X, rest, folds[task.fold], metric, seed
            )

    found: list[Outcome] = []

    def collect(some: Iterator[Outcome]) -> None:
        for outcome in some:
            found.append(outcome)
            if progress:
                progress(len(found), len(tasks), outcome.name)

    # Networks use all cores by themselves, and TensorFlow is not loaded in every worker.
    light = [task for task in tasks if not task.head.keras]
    heavy = [task for task in tasks if task.head.keras]
    if not _has_semaphores():
        log.warning("This system has no semaphores (see /dev/shm), so one process does all folds.")
        heavy = list(tasks)
    elif get_active_backend()[0].nesting_level:  # we are in a worker: the other ones are busy too
        heavy = list(tasks)
    elif light and is_configured():  # the caller chose where folds are done
        jobs = get_active_backend()[1]
        workers = joblib.Parallel(
            n_jobs=-1 if jobs is None else jobs, return_as="generator_unordered"
        )
        with one_thread():  # threads of this process would lift one another's limit
            collect(workers(in_time(light)))
    elif light:
        with joblib.parallel_config("loky", inner_max_num_threads=1), _room_for_rows():
            workers = joblib.Parallel(
                n_jobs=min(os.cpu_count() or 1, len(light)), return_as="generator_unordered"
            )
            collect(workers(in_time(light)))
    collect(joblib.Parallel(n_jobs=1, return_as="generator_unordered")(in_time(heavy)))
    return found


@contextlib.contextmanager
def _room_for_rows() -> Iterator[None]:
    """Say what is wrong where the matrices that processes share find no room.

    Raises
    ------
    StorageError
        When the folder for them is full.
    """
    try:
        yield
    except pickle.PicklingError as error:
        full = "|".join(map(str, (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)))
        if not re.search(rf"Errno ({full})\b", str(error.__cause__)):
            raise
        raise StorageError(
            "There is no room for the rows that the processes of a comparison share. Free space "
            "in /dev/shm and in the folder for temporary files, or name another folder: "
            "JOBLIB_TEMP_FOLDER=FOLDER."
        ) from error


def _has_semaphores() -> bool:
    """Tell whether this system has what processes that work together need."""
    try:
        multiprocessing.get_context().Semaphore()
    except (ImportError, OSError):
        return False
    return True


def _outcome_of(
    task: Task, X: np.ndarray, rest: Examples, fold: Fold, metric: Metric, seed: int
) -> Outcome:
    """Return the outcome of a task whose matrix came by itself."""
    return _outcome(task, replace(rest, X=X), fold, metric, seed)


def _outcome(task: Task, examples: Examples, fold: Fold, metric: Metric, seed: int) -> Outcome:
    """Train on one side of a fold and predict the other; a failure is an outcome too."""
    inside, outside = fold
    try:
        begun = time.perf_counter()
        trained = train(
            task.head, examples.take(inside), candidates=task.candidates, metric=metric, seed=seed
        )
        fitted = time.perf_counter()
        with one_thread(task.head):
            probabilities = trained.classifier.predict_proba(examples.originals[outside])
        scored = time.perf_counter()
        return Outcome(
            task.name,
            task.view,
            task.fold,
            np.asarray(probabilities, np.float64),
            fitted - begun,
            (scored - fitted) / len(outside) * 1000,
            _size(trained.classifier, examples),
            trained.settings,
        )
    except FeatxError as error:
        reason = str(error)
    except Exception as error:
        # Whatever a classifier raises, an own one from outside included, is a row of the table.
        reason = f"{type(error).__name__}: {error}"
    return Outcome(task.name, task.view, task.fold, error=reason)


def _size(classifier: Any, examples: Examples) -> int:
    """Return the bytes of a fitted classifier, as it would be over all columns."""
    inner = getattr(classifier, "estimator_", classifier)
    if hasattr(inner, "to_bytes"):
        return len(inner.to_bytes()[0])
    size = len(pickle.dumps(classifier, pickle.HIGHEST_PROTOCOL))  # only its length is used
    columns = examples.X.shape[2]
    return size * max(columns, examples.reduced_from) // columns
