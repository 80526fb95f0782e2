"""How unlike the training images an image is.

The distance of an image is the mean Euclidean distance from its row to the nearest rows of the
training images; the distance of a training image leaves out its own group. The novelty of an
image is the fraction of training images with a smaller distance: it is spread evenly over 0 to 1
for images like the training ones, and it is 1 for quite different images. It is one minus the
conformal p-value of nearest-neighbour anomaly detection (Laxhammar and Falkman 2010).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

__all__ = ["Novelty"]

_NEAREST = 5
#: The reference rows are at most so many, and hold at most so many numbers.
_MOST_ROWS = 2048
_MOST_NUMBERS = 4 << 20
_MOST_DISTANCES = 8192
_BLOCK = 1024


@dataclass(frozen=True, eq=False)
class Novelty:
    """The rows of training images, and the distances between them, that novelty is told by.

    Attributes
    ----------
    reference : ndarray of float16, shape (r, d)
        Rows of the training images, or of a random choice where there are many.
    distances : ndarray of float32, shape (m,)
        Sorted distances of training images to their nearest neighbours of other groups in
        `reference`; evenly spaced ranks where there are many.
    """

    reference: np.ndarray
    distances: np.ndarray

    @classmethod
    def of(
        cls, rows: np.ndarray, units: np.ndarray, seed: int, columns: int | None = None
    ) -> "Novelty | None":
        """Return what to keep of training images, or None when they form a single group.

        Parameters
        ----------
        rows : ndarray of float, shape (n, d)
            Rows of length 1 of the original images, without copies.
        units : ndarray of int, shape (n,)
            See `splits.leakage_groups`: images of one unit are not each other's neighbours.
        seed : int
            Seed of the choice of reference rows where there are too many.
        columns : int, optional
            How many of the last columns are compared; all by default. They are the last block of a
            view: one layer tells novelty well, and the file stays small.
        """
        rows = rows[:, rows.shape[1] - (columns or rows.shape[1]) :]
        if len(np.unique(units)) < 2:
            return None
        most = max(2, min(_MOST_ROWS, _MOST_NUMBERS // rows.shape[1]))
        chosen = np.arange(len(rows))
        if len(rows) > most:
            chosen = np.sort(np.random.default_rng(seed).choice(len(rows), most, replace=False))
        reference = rows[chosen].astype(np.float16)
        distances = np.concatenate(
            [
                _distances(rows[block], reference, units[block], units[chosen])
                for block in _blocks(len(rows))
            ]
        )
        distances = np.sort(distances[np.isfinite(distances)])
        if not len(distances):
            return None
        if len(distances) > _MOST_DISTANCES:
            even = np.linspace(0, len(distances) - 1, _MOST_DISTANCES)
            distances = distances[np.rint(even).astype(int)]
        return cls(reference, distances.astype(np.float32))

    def score(self, rows: np.ndarray) -> np.ndarray:
        """Return the novelty of images, 0 to 1.

        Parameters
        ----------
        rows : ndarray of float, shape (n, d)
            Rows as those of the training images; the last columns count, as in `of`.

        Returns
        -------
        ndarray of float64, shape (n,)

        Examples
        --------
        >>> rows = np.eye(4)[[0, 0, 1, 1, 2, 2]]
        >>> novelty = Novelty.of(rows, np.arange(6), seed=0)
        >>> novelty.score(np.eye(4)[[0, 3]]).tolist()
        [0.0, 1.0]
        """
        found = np.empty(len(rows))
        rows = rows[:, rows.shape[1] - self.reference.shape[1] :]
        for block in _blocks(len(rows)):
            distances = _distances(rows[block], self.reference).astype(np.float32)
            found[block] = np.searchsorted(self.distances, distances) / len(self.distances)
        return found


def _blocks(count: int) -> Iterator[slice]:
    for start in range(0, count, _BLOCK):
        yield slice(start, start + _BLOCK)


def _distances(
    rows: np.ndarray,
    reference: np.ndarray,
    units: np.ndarray | None = None,
    reference_units: np.ndarray | None = None,
) -> np.ndarray:
    """Return the mean distance of each row to its nearest neighbours of other units.

    A row without such neighbours has an infinite distance.
    """
    rows, reference = rows.astype(np.float32), reference.astype(np.float32)
    squares = (
        (rows**2).sum(axis=1)[:, np.newaxis] + (reference**2).sum(axis=1) - 2 * rows @ reference.T
    )
    distances = np.sqrt(np.maximum(squares, 0))
    if units is not None and reference_units is not None:
        distances[units[:, np.newaxis] == reference_units] = np.inf
    nearest = min(_NEAREST, len(reference))
    nearest_ones = np.partition(distances, nearest - 1, axis=1)[:, :nearest]
    finite = np.isfinite(nearest_ones)
    counts = finite.sum(axis=1)
    total = np.where(finite, nearest_ones, 0).sum(axis=1)
    return np.where(counts > 0, total / np.maximum(counts, 1), np.inf)
