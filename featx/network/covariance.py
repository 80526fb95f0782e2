"""How the channels of an image vary together over its positions: second-order pooling.

The positions are vectors of channels, less the mean of the training images, projected on the first
principal directions of the training images. Their covariance Σ becomes a row by its matrix square
root (Lin, RoyChowdhury and Maji 2015; Li et al. 2017), of which the upper triangle is kept, scaled
so that the length of a row is that of the matrix.
"""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

__all__ = ["RIDGE", "Moments", "Projection"]

_DIRECTIONS = 96
#: The share of the mean eigenvalue that is added to the covariance.
RIDGE = 1e-3
_BLOCK = 32  # images that a thread does at a time


class Moments:
    """Sums over the positions of images, block by block, of which a projection is made."""

    def __init__(self) -> None:
        self._count, self._total, self._moment = 0, np.zeros(1), np.zeros(1)

    def add(self, features: np.ndarray) -> None:
        """Add the images of a block, (n, height, width, channels), whose values are finite."""
        images = features[np.isfinite(features).all(axis=(1, 2, 3))]
        positions = images.reshape(-1, features.shape[3]).astype(np.float32)
        self._count += len(positions)
        self._total = self._total + positions.sum(axis=0, dtype=np.float64)
        self._moment = self._moment + (positions.T @ positions).astype(np.float64)

    def projection(self) -> "Projection":
        """Return the projection for what was added."""
        mean = self._total / max(self._count, 1)
        with threadpool_limits(1):  # several threads take ten times as long on a busy machine
            _, vectors = np.linalg.eigh(self._moment / max(self._count, 1) - np.outer(mean, mean))
        directions = vectors[:, ::-1][:, :_DIRECTIONS]
        return Projection(mean.astype(np.float32), directions.astype(np.float32))


@dataclass(frozen=True, eq=False)
class Projection:
    """Mean and principal directions of the positions of training images.

    Attributes
    ----------
    mean : ndarray of float32, shape (channels,)
    directions : ndarray of float32, shape (channels, k)
        Orthonormal columns, the one with the largest variance first.
    """

    mean: np.ndarray
    directions: np.ndarray

    @staticmethod
    def width(channels: int) -> int:
        """Return how many columns a row has."""
        count = min(_DIRECTIONS, channels)
        return count * (count + 1) // 2

    @classmethod
    def of(cls, blocks: Iterable[np.ndarray]) -> "Projection":
        """Return the projection for the features of training images.

        Parameters
        ----------
        blocks : iterable of ndarray, shape (n, height, width, channels)
        """
        moments = Moments()
        for features in blocks:
            moments.add(features)
        return moments.projection()

    def rows(self, features: np.ndarray) -> np.ndarray:
        """Return images as rows of length 1, float32 (n, width).

        An image's row does not depend on the images beside it, to the last bit. That of an image
        with values that are not finite is not a number.

        Parameters
        ----------
        features : ndarray of float, shape (n, height, width, channels)
        """
        count, height, width, channels = features.shape
        positions = features.reshape(count, height * width, channels)
        blocks = [positions[start : start + _BLOCK] for start in range(0, len(positions), _BLOCK)]
        if not blocks:
            return np.empty((0, self.width(channels)), np.float32)
        with threadpool_limits(1), ThreadPoolExecutor(os.cpu_count() or 1) as threads:
            return np.concatenate(list(threads.map(self._rows, blocks)))

    def _rows(self, positions: np.ndarray) -> np.ndarray:
        usable = np.isfinite(positions).all(axis=(1, 2))
        if not usable.all():
            rows = np.full((len(positions), self.width(positions.shape[2])), np.nan, np.float32)
            rows[usable] = self._rows(positions[usable])
            return rows
        x = (positions.astype(np.float32) - self.mean) @ self.directions  # (n, positions, k)
        count, k = x.shape[1:]
        across = x.transpose(0, 2, 1)
        traces = np.einsum("nij,nij->n", x, x) / count
        ridge = np.maximum(RIDGE * traces / k, 1e-12)[:, np.newaxis]
        if count < k:
            # Σ = XᵀX / count + ridge has the eigenvectors of the smaller XXᵀ. With XXᵀ = U W Uᵀ,
            # √Σ is √ridge plus XᵀU G UᵀX, where 1/G = count (√(W / count + ridge) + √ridge).
            values, vectors = np.linalg.eigh(x @ across)
            values = np.maximum(values, 0)
            factors = (np.sqrt(values / count + ridge) + np.sqrt(ridge)) * count
            half = (vectors / np.sqrt(factors)[:, np.newaxis]).transpose(0, 2, 1) @ x
        else:
            values, vectors = np.linalg.eigh(across @ x / count)
            lengths = np.sqrt(np.maximum(values, 0) + ridge) - np.sqrt(ridge)
            half = (vectors * np.sqrt(lengths)[:, np.newaxis]).transpose(0, 2, 1)
        roots = half.transpose(0, 2, 1) @ half
        roots[:, np.arange(k), np.arange(k)] += np.sqrt(ridge)
        upper = np.triu_indices(k)
        rows = roots[:, upper[0], upper[1]] * np.where(upper[0] == upper[1], 1, np.sqrt(2))
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        return rows.astype(np.float32)
