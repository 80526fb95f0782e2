"""Probabilities of images by heads that were not trained on them, nor on their doubles."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..cache.file import Cache
from ..heads.crossval import Fold
from ..heads.leaderboard import CompareResult, rank
from ..heads.settings import CompareSettings
from ..progress import Progress

__all__ = ["MANY", "OutOfFold", "few_units", "make_folds", "out_of_fold", "score_of"]

log = logging.getLogger("featx")

#: Of more images than this, one cheap head gives the probabilities: others would take too much
#: memory and time.
MANY = 10_000
_CHEAP = ("lda", "avg")


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """What heads say of images that they were not trained on.

    Attributes
    ----------
    probabilities : ndarray of float64, shape (images, classes)
        Mean over the heads that are tied with the best.
    board : CompareResult
        How the heads were compared.
    heads : tuple of str
        The heads that the mean is over, each with its view.
    """

    probabilities: np.ndarray
    board: CompareResult
    heads: tuple[str, ...]

    @property
    def is_chance(self) -> bool:
        """Whether no head can be told from one that ignores the images."""
        return any(entry.tied and entry.head == "dummy" for entry in self.board.entries)


def few_units(y: np.ndarray, units: np.ndarray) -> list[int]:
    """Return the labels that have fewer than two units, by the most frequent label of each unit."""
    counts: dict[int, int] = dict.fromkeys(np.unique(y).tolist(), 0)
    for label in _unit_labels(y, units)[0].tolist():
        counts[label] += 1
    return [label for label, count in counts.items() if count < 2]


def make_folds(y: np.ndarray, units: np.ndarray, count: int, seed: int) -> list[Fold]:
    """Return stratified folds over images, with every unit on one side.

    A class may have fewer units than there are folds: each is trained on where the other ones are
    tested. (`splits.folds` refuses that, because heads cannot be compared well so.)

    Parameters
    ----------
    y, units : ndarray of int, shape (n,)
        Every class has two units or more; see `few_units`.
    count : int
    seed : int

    Returns
    -------
    list of (ndarray of int, ndarray of int)
        Positions to train on and to test on; each image is tested once.
    """
    labels, numbers = _unit_labels(y, units)
    sizes = np.bincount(numbers)
    random = np.random.default_rng(seed)
    fold = np.empty(len(labels), np.int64)
    filled = np.zeros(count)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        own = random.permutation(own)
        own = own[np.argsort(-sizes[own], kind="stable")]
        used = np.zeros(count)  # images of the class in each fold
        units_in = np.zeros(count)
        for unit in own.tolist():
            target = min(range(count), key=lambda at: (used[at], units_in[at], filled[at], at))
            fold[unit] = target
            used[target] += sizes[unit]
            units_in[target] += 1
            filled[target] += sizes[unit]
    tested = fold[numbers]
    folds = [(np.flatnonzero(tested != at), np.flatnonzero(tested == at)) for at in range(count)]
    return [(inside, outside) for inside, outside in folds if len(outside)]


def _unit_labels(y: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the most frequent label of each unit, and the number of each image's unit."""
    numbers = np.unique(units, return_inverse=True)[1]
    pairs, counts = np.unique(np.stack([numbers, y], axis=1), axis=0, return_counts=True)
    order = np.lexsort((-counts, pairs[:, 0]))
    first = np.unique(pairs[order, 0], return_index=True)[1]
    return pairs[order][first, 1], numbers


def out_of_fold(
    cache: Cache,
    images: np.ndarray,
    folds: Sequence[Fold],
    heads: tuple[str, ...],
    seed: int,
    progress: Progress | None = None,
) -> OutOfFold:
    """Return the probabilities of images, each by heads that were trained on other folds.

    Parameters
    ----------
    cache : Cache
        Its groups keep together what must not be separated by inner folds.
    images : ndarray of int, shape (n,)
    folds : sequence of (ndarray, ndarray)
        See `make_folds`.
    heads : tuple of str
        Heads to compare; by default those of `compare`. Of very many images, one cheap head is
        used in any case.
    seed : int
    progress : callable, optional
        See `progress.Progress`; counts folds.

    Raises
    ------
    InputError
        When there is no such head, or none can be trained.
    """
    settings = CompareSettings(heads=heads, seed=seed)
    if len(images) > MANY:
        head, view = _CHEAP
        log.warning(
            "There are more than %s images, so one cheap head (%s on %s) gives the probabilities.",
            f"{MANY:,}", head, view,
        )  # fmt: skip
        settings = replace(settings, heads=(head,), views=(view,))
    board = rank(cache, images, settings, folds=folds, progress=progress)
    tied = [entry for entry in board.entries if entry.tied and entry.head != "dummy"]
    tied = tied or [board.choice]
    given = [entry.out_of_fold for entry in tied if entry.out_of_fold is not None]
    probabilities = np.mean(given, axis=0)
    return OutOfFold(probabilities, board, tuple(f"{entry.head} on {entry.view}" for entry in tied))


def score_of(
    cache: Cache,
    images: np.ndarray,
    folds: Sequence[Fold],
    board: CompareResult,
    seed: int,
    progress: Progress | None = None,
) -> float:
    """Return the accuracy that the head of a board's choice has on other folds."""
    choice = board.choice
    settings = CompareSettings(heads=(choice.head,), views=(choice.view,), seed=seed)
    found = rank(cache, images, settings, folds=folds, progress=progress)
    return next(entry.score for entry in found.entries if entry.head == choice.head)
