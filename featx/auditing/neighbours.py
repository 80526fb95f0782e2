"""The most similar images of each image, by the cosine of their rows, in blocks."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..progress import Progress, ignore_progress

__all__ = ["NOBODY", "Neighbours", "nearest", "nearest_apart"]

#: Stands where an image has fewer neighbours than were asked for.
NOBODY = -1

_BLOCK = 2048  # rows; a block of cosines takes 16 MiB


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The most similar rows of each row, most similar first.

    Attributes
    ----------
    index : ndarray of int64, shape (n, k)
        Rows; `NOBODY` where there are fewer than k.
    cosine : ndarray of float32, shape (n, k)
        Their cosines; −inf where there is nobody.
    """

    index: np.ndarray
    cosine: np.ndarray

    @classmethod
    def empty(cls, count: int, k: int) -> "Neighbours":
        """Return neighbours of `count` rows that have none yet."""
        return cls(np.full((count, k), NOBODY), np.full((count, k), -np.inf, np.float32))

    def add(self, cosines: np.ndarray, rows: slice, columns: slice) -> None:
        """Take in a block of cosines, (rows, columns); only what beats a row's last one counts."""
        k = self.index.shape[1]
        beats = cosines > self.cosine[rows, -1:]
        if beats.shape[1] > k and not np.isfinite(self.cosine[rows, -1]).any():
            best = np.argpartition(cosines, -k, axis=1)[:, -k:]
            beats = np.zeros_like(beats)
            np.put_along_axis(beats, best, True, axis=1)
            beats &= np.isfinite(cosines)
        row, column = np.nonzero(beats)
        if not len(row):
            return
        touched, row = np.unique(row, return_inverse=True)
        here = touched + rows.start
        which = np.concatenate([np.repeat(np.arange(len(here)), k), row])
        index = np.concatenate([self.index[here].ravel(), column + columns.start])
        cosine = np.concatenate([self.cosine[here].ravel(), cosines[touched[row], column]])
        order = np.lexsort((-cosine, which))
        first = np.searchsorted(which[order], np.arange(len(here)))
        chosen = order[first[:, np.newaxis] + np.arange(k)]
        self.index[here], self.cosine[here] = index[chosen], cosine[chosen]


def nearest(rows: np.ndarray, k: int, progress: Progress | None = None) -> Neighbours:
    """Return the `k` most similar other rows of each row.

    Each pair of blocks is computed once, so memory is that of the rows, of the result and of a few
    blocks of cosines.

    Parameters
    ----------
    rows : ndarray of float32, shape (n, d)
        Rows of length 1.
    k : int
    progress : callable, optional
        See `progress.Progress`; counts rows, of the work as a whole.

    Examples
    --------
    >>> rows = np.array([[1, 0], [0.8, 0.6], [0, 1]], np.float32)
    >>> nearest(rows, 1).index.tolist()
    [[1], [0], [1]]
    """
    told = progress or ignore_progress
    found = Neighbours.empty(len(rows), k)
    blocks = list(_blocks(len(rows)))
    pairs = [(one, one) for one in blocks]  # first, so that most other cosines are too low at once
    pairs += [(one, two) for at, one in enumerate(blocks) for two in blocks[at + 1 :]]
    told(0, len(rows), "comparing")
    for done, (one, two) in enumerate(pairs, start=1):
        cosines = rows[one] @ rows[two].T
        if one is two:
            np.fill_diagonal(cosines, -np.inf)
        found.add(cosines, one, two)
        if one is not two:
            found.add(np.ascontiguousarray(cosines.T), two, one)
        told(done * len(rows) // len(pairs), len(rows), "comparing")
    return found


def nearest_apart(
    rows: np.ndarray, k: int, units: np.ndarray, queries: np.ndarray | None = None
) -> Neighbours:
    """Return the `k` most similar rows of other units.

    Parameters
    ----------
    rows : ndarray of float32, shape (n, d)
        Rows of length 1.
    k : int
    units : ndarray of int, shape (n,)
        Rows of one unit are not each other's neighbours.
    queries : ndarray of int, optional
        Rows whose neighbours are wanted, in this order; all by default.
    """
    chosen = np.arange(len(rows)) if queries is None else queries
    found = Neighbours.empty(len(chosen), k)
    for some in _blocks(len(chosen)):
        for columns in _blocks(len(rows)):
            cosines = rows[chosen[some]] @ rows[columns].T
            cosines[units[chosen[some], np.newaxis] == units[columns]] = -np.inf
            found.add(cosines, some, columns)
    return found


def _blocks(count: int) -> Iterator[slice]:
    for start in range(0, count, _BLOCK):
        yield slice(start, min(start + _BLOCK, count))
