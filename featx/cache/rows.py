"""The rows of a cache: which images they are, and what a head gets of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..dataset.catalog import Catalog
from .contents import as_bytes

__all__ = ["CacheRows", "ListedRows", "Matrix", "Rows"]

_BLOCK = 1 << 14


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


class Rows:
    """The rows of a cache, which are looked at in blocks.

    Attributes
    ----------
    root : Path
        What the paths are relative to.
    classes : tuple of str
    sizes : ndarray of int32, shape (n, 2)
        Width and height of the upright images.
    """

    root: Path
    classes: tuple[str, ...]
    sizes: np.ndarray

    @property
    def content(self) -> np.ndarray:
        """SHA-256 of the bytes that were decoded, uint8 (n, 32)."""
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def listed(self, start: int, stop: int) -> Catalog:
        """Return the catalog of some rows."""
        raise NotImplementedError

    def blocks_listed(self) -> Iterator[tuple[int, Catalog]]:
        """Yield the catalog of all rows in blocks, with the position of the first of each."""
        for start in range(0, len(self), _BLOCK):
            yield start, self.listed(start, min(start + _BLOCK, len(self)))

    def is_same(self, other: "Rows") -> bool:
        """Tell whether other rows are of the same images, with the same labels, in one order."""
        return (
            len(self) == len(other)
            and self.classes == other.classes
            and self.root.resolve() == other.root.resolve()
            and all(
                np.array_equal(self.content[start:][:_BLOCK], other.content[start:][:_BLOCK])
                and _is_same(one, two)
                for (start, one), (_, two) in zip(
                    self.blocks_listed(), other.blocks_listed(), strict=True
                )
            )
        )


def _is_same(one: Catalog, two: Catalog) -> bool:
    columns = ("paths", "labels", "splits", "groups")
    return all(np.array_equal(getattr(one, name), getattr(two, name)) for name in columns)


@dataclass(frozen=True, eq=False)
class CacheRows(Rows):
    """Rows of a cache that are in memory.

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

    def __len__(self) -> int:
        return len(self.digests)

    @property
    def root(self) -> Path:  # type: ignore[override]
        """What the paths are relative to."""
        return self.catalog.root

    @property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names of the classes."""
        return self.catalog.classes

    @property
    def content(self) -> np.ndarray:
        """`digests` as bytes, uint8 (n, 32)."""
        return as_bytes(self.digests)

    def listed(self, start: int, stop: int) -> Catalog:
        """Return the catalog of some rows."""
        return self.catalog.block(start, stop)


class ListedRows(Rows):
    """Those images of a catalog that have features.

    Parameters
    ----------
    catalog : Catalog
        All images that are listed.
    chosen : ndarray of int64, shape (n,)
        The indices of the rows in it, ascending.
    content : ndarray of uint8, shape (n, 32)
    sizes : ndarray of int32, shape (n, 2)
    """

    def __init__(
        self, catalog: Catalog, chosen: np.ndarray, content: np.ndarray, sizes: np.ndarray
    ) -> None:
        self.catalog = catalog
        self.root, self.classes = catalog.root, catalog.classes
        self.chosen = chosen
        self._content = content
        self.sizes = sizes

    @property
    def content(self) -> np.ndarray:
        """SHA-256 of the bytes that were decoded, uint8 (n, 32)."""
        return self._content

    def __len__(self) -> int:
        return len(self.chosen)

    def listed(self, start: int, stop: int) -> Catalog:
        """Return the catalog of some rows."""
        chosen = self.chosen[start:stop]
        first, last = (int(chosen[0]), int(chosen[-1]) + 1) if len(chosen) else (0, 0)
        some = self.catalog.block(first, last)
        return some if len(some) == len(chosen) else some.take(chosen - first)

    def class_counts(self) -> dict[str, int]:
        """Return the number of rows of each class, in the order of `classes`."""
        return self._counts("class_counts", self.classes)

    def split_counts(self) -> dict[str, int]:
        """Return the number of rows of each split that there is."""
        counts = self._counts("split_counts", ("train", "val", "test"))
        return {name: count for name, count in counts.items() if count}

    def _counts(self, what: str, names: Iterable[str]) -> dict[str, int]:
        found = dict.fromkeys(names, 0)
        for _, block in self.blocks_listed():
            for name, count in getattr(block, what)().items():
                found[name] += count
        return found
