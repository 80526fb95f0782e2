"""The rows of a cache: which images they are, and what a head gets of them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..dataset.catalog import Catalog

__all__ = ["CacheRows", "Matrix"]


class Matrix(NamedTuple):
    """Features as scikit-learn takes them.

    `X` is float32 of shape (rows, d), `y` the int32 labels (rows,), and `image` the index of
    the image in the cache that each row comes from (rows,).
    """

    X: np.ndarray
    y: np.ndarray
    image: np.ndarray

    @property
    def picture(self) -> np.ndarray:
        """`image` by the name that it had until now; it goes with version 0.2."""
        return self.image


@dataclass(frozen=True, eq=False)
class CacheRows:
    """The rows of a cache.

    Attributes
    ----------
    catalog : Catalog
    digests : ndarray of str, shape (n,)
        SHA-256 of the bytes that were decoded, in hexadecimal.
    sizes : ndarray of int32, shape (n, 2)
        Width and height of the upright image.
    """

    catalog: Catalog
    digests: np.ndarray
    sizes: np.ndarray

    def is_same(self, other: "CacheRows") -> bool:
        """Tell whether other rows are of the same images, with the same labels, in one order."""
        mine, theirs = self.catalog, other.catalog
        return (
            np.array_equal(self.digests, other.digests)
            and all(
                np.array_equal(getattr(mine, name), getattr(theirs, name))
                for name in ("paths", "labels", "splits", "groups")
            )
            and mine.classes == theirs.classes
            and mine.root.resolve() == theirs.root.resolve()
        )
