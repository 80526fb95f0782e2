"""A head trained on a part of the training side of each fold, and scored on the other side."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..cache.file import Cache
from ..errors import InputError
from ..metrics import METRICS
from ..network.views import VIEWS
from ..progress import Progress
from . import registry
from .crossval import Fold, Outcome, Task, cross_validate
from .training import one_thread

__all__ = ["Measured", "Trial", "draw_subset"]

_BOTH = ("accuracy", "log-loss")


def draw_subset(y: np.ndarray, units: np.ndarray, size: int, seed: Sequence[int]) -> np.ndarray:
    """Return random positions of at least `size` images of each class, or all that it has.

    Whole units are drawn, and of each class at least two, so that settings can be chosen on inner
    folds. What is drawn for a size is part of what the same seed draws for a larger one.

    Parameters
    ----------
    y : ndarray of int, shape (n,)
    units : ndarray of int, shape (n,)
        See `splits.leakage_groups`.
    size : int
    seed : sequence of int

    Returns
    -------
    ndarray of int
        Ascending.
    """
    names, own = np.unique(units, return_inverse=True)
    place = np.random.default_rng(seed).permutation(len(names))[own]
    found = []
    for label in np.unique(y):
        there = np.flatnonzero(y == label)
        there = there[np.argsort(place[there], kind="stable")]
        starts = np.flatnonzero(np.diff(place[there], prepend=-1))
        taken = max(2, int(np.searchsorted(starts, size)))
        found.append(there[: starts[taken] if taken < len(starts) else len(there)])
    return np.sort(np.concatenate(found))


@dataclass(frozen=True, eq=False)
class Measured:
    """Scores at one size.

    Attributes
    ----------
    size : int
        Training images of each class; at the size of all images, their mean.
    images : float
        Training images in all, the mean of the folds.
    draws : int
        Random choices of the images in each fold.
    accuracy, log_loss : ndarray of float64
        Of each fold, or of each validation image where there is a single fold.
    """

    size: int
    images: float
    draws: int
    accuracy: np.ndarray
    log_loss: np.ndarray


@dataclass(frozen=True, eq=False)
class Trial:
    """A head on a view, and the folds that it is tried on.

    Attributes
    ----------
    cache : Cache
    images : ndarray of int
    units : ndarray of int
        Of all images of the cache.
    folds : sequence of (ndarray, ndarray)
    rule : str
    name, view : str
    draws : int
        Random choices of the images, at most.
    metric : str
        The metric that the settings of the head are chosen by.
    seed : int
    """

    cache: Cache
    images: np.ndarray
    units: np.ndarray
    folds: Sequence[Fold]
    rule: str
    name: str
    view: str
    draws: int
    metric: str
    seed: int

    @property
    def full(self) -> float:
        """Training images a class, the mean of classes and folds."""
        trained = sum(len(inside) for inside, _ in self.folds) / len(self.folds)
        return trained / len(self.cache.catalog.classes)

    @property
    def share(self) -> float:
        """Images tested on for each one trained on; 0 where images stand for folds."""
        inside, outside = self.folds[0]
        return len(outside) / len(inside) if len(self.folds) > 1 else 0.0

    def draws_at(self, size: int | None) -> int:
        """Return how many random choices of so many images of each class are tried in a fold."""
        return 1 if size is None else min(self.draws, max(1, int(self.full // size)))

    def at(self, size: int | None, progress: Progress | None = None) -> Measured:
        """Return the scores after `size` training images of each class, or after all (None)."""
        y, draws = self.cache.catalog.labels[self.images], self.draws_at(size)
        folds = [
            (self._inside(inside, y, size, (number, draw)), outside)
            for number, (inside, outside) in enumerate(self.folds)
            for draw in range(draws)
        ]
        if size is not None and VIEWS[self.view].projected:
            found = self._one_by_one(folds, progress)
        else:
            found = self._outcomes(self.images, folds, progress)
        scores = self._scores(found, y, folds, draws)
        trained = float(np.mean([len(inside) for inside, _ in folds]))
        return Measured(size or round(self.full), trained, draws, scores[:, 0], scores[:, 1])

    def _outcomes(
        self, images: np.ndarray, folds: Sequence[Fold], progress: Progress | None
    ) -> list[Outcome]:
        head = registry.get_head(self.name)
        candidates = head.param_candidates({})
        return cross_validate(
            [Task(self.name, head, self.view, at, candidates) for at in range(len(folds))],
            self.cache,
            images,
            self.units,
            folds,
            metric=METRICS[self.metric],
            seed=self.seed,
            progress=progress,
        )

    def _one_by_one(self, folds: Sequence[Fold], progress: Progress | None) -> list[Outcome]:
        """Return the outcomes on a view that is fitted in each fold.

        Such a view makes rows of its own of all images that it is given. That is most of the work,
        so it is given only those of the fold.
        """
        found = []
        for number, (inside, outside) in enumerate(folds):
            both = np.union1d(inside, outside)
            alone = (np.searchsorted(both, inside), np.searchsorted(both, outside))
            with one_thread():  # more of them wait for one another in small decompositions
                outcome = self._outcomes(self.images[both], [alone], None)[0]
            found.append(replace(outcome, fold=number))
            if progress:
                progress(number + 1, len(folds), self.name)
        return found

    def _inside(
        self, inside: np.ndarray, y: np.ndarray, size: int | None, seed: tuple[int, int]
    ) -> np.ndarray:
        if size is None:
            return inside
        units = self.units[self.images[inside]]
        return inside[draw_subset(y[inside], units, size, (self.seed, *seed))]

    def _scores(
        self, found: Sequence[Outcome], y: np.ndarray, folds: Sequence[Fold], draws: int
    ) -> np.ndarray:
        """Return accuracy and log loss of each fold or image, the means over the draws.

        Raises
        ------
        InputError
            When the head failed on some fold.
        """
        scores = []
        for outcome in sorted(found, key=lambda outcome: outcome.fold):
            if outcome.probabilities is None:
                raise InputError(f"{self.name} on {self.view} failed: {outcome.error}")
            truth, probabilities = y[folds[outcome.fold][1]], outcome.probabilities
            if len(self.folds) > 1:
                both = [METRICS[name].score(truth, probabilities) for name in _BOTH]
                scores.append(np.array([both]))
            else:
                scores.append(_by_image(truth, probabilities))
        return np.array(scores).reshape(len(self.folds), draws, -1, 2).mean(axis=1).reshape(-1, 2)


def _by_image(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return accuracy and log loss of each image, shape (n, 2)."""
    true = probabilities[np.arange(len(truth)), truth] / probabilities.sum(axis=1)
    loss = -np.log(np.maximum(true, np.finfo(np.float64).eps))
    return np.stack([probabilities.argmax(axis=1) == truth, loss], axis=1)
