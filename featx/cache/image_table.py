"""The images of a cache: which they are, and in which rows their features are."""

import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np

from ..dataset.catalog import Catalog
from ..dataset.stores.addresses import root_of
from ..errors import printable
from ..storage import files
from .contents import Contents, as_bytes
from .folder import images_file
from .rows import CacheRows, Rows
from .structure import USER_BLOCK, Removed, Skipped, damage
from .texts import as_names

__all__ = ["ImageTable"]

_READ_PATHS = 1 << 14


class ImageTable(Rows):
    """The images of a cache that is open.

    Attributes
    ----------
    path : Path
        The cache.
    root : Path
    classes : tuple of str
    labels : ndarray of int32, shape (n,)
    """

    labels: np.ndarray

    def __init__(self, path: Path, file: h5py.File) -> None:
        self.path = path
        self._file = file
        self.root = root_of(os.fsdecode(file.attrs["source"]))
        self.classes = tuple(as_names(file["classes"][()]))
        self.labels = file["images/label"][()].astype(np.int32)

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, start: int, stop: int) -> CacheRows:
        """Return what images `start` to `stop` are; only these are read.

        Raises
        ------
        CorruptError
            When they cannot be read.
        """
        columns = self._columns(("digest", "width", "height"), start, stop)
        sizes = np.stack([columns["width"], columns["height"]], axis=1).astype(np.int32)
        return CacheRows(self.listed(start, stop), as_names(columns["digest"]), sizes)

    def listed(self, start: int, stop: int) -> Catalog:
        """Return the catalog of images `start` to `stop`; see `rows`."""
        texts = self._columns(("path", "split", "group"), start, stop)
        paths, splits, groups = map(as_names, texts.values())
        return Catalog(self.root, paths, self.labels[start:stop], splits, groups, self.classes)

    def _columns(self, names: Sequence[str], start: int, stop: int) -> dict[str, np.ndarray]:
        self._check_open()
        with damage(self.path):
            return {name: self._file[f"images/{name}"][start:stop] for name in names}

    def _check_open(self) -> None:
        if not self._file:
            raise ValueError(f"{printable(self.path)} is closed; read from it before that.")

    @functools.cached_property
    def _images(self) -> CacheRows:
        return self.rows(0, len(self))

    @property
    def catalog(self) -> Catalog:
        """All images of the cache."""
        return self._images.catalog

    @property
    def digests(self) -> np.ndarray:
        """SHA-256 of each image's file, in hexadecimal."""
        return self._images.digests

    @property
    def sizes(self) -> np.ndarray:  # type: ignore[override]
        """Width and height of each upright image, in pixels."""
        return self.all_sizes[: len(self)]

    @functools.cached_property
    def skipped(self) -> list[Skipped]:
        """What was listed and is not in the cache, in order."""
        self._check_open()
        with damage(self.path):
            columns = [self._file[f"skipped/{name}"][()] for name in Skipped._fields]
        return [Skipped(*row) for row in zip(*map(as_names, columns), strict=True)]

    @functools.cached_property
    def removed(self) -> list[Removed]:
        """Images that are no longer listed, whose features are the last rows of `features`."""
        self._check_open()
        if "removed" not in self._file:
            return []
        with damage(self.path):
            columns = {name: self._file[f"removed/{name}"][()] for name in Removed._fields}
        texts = (as_names(columns[name]).tolist() for name in ("path", "digest"))
        sizes = (columns[name].tolist() for name in ("width", "height"))
        return [Removed(*row) for row in zip(*texts, *sizes, strict=True)]

    def holds(self, rows: Rows, skipped: Sequence[Skipped], removed: Sequence[Removed]) -> bool:
        """Tell whether the file has exactly these rows and labels, skipped and removed images."""
        is_same = self.is_same(rows)
        return is_same and self.skipped == list(skipped) and self.removed == list(removed)

    def index(self) -> dict[str, int]:
        """Return one row for each content of a listed image: digest → row."""
        return {digest: row for row, digest in enumerate(self.digests)}

    def whole_index(self) -> dict[str, int]:
        """Return one row for each content, that of removed images too: digest → row."""
        removed = {image.digest: len(self) + row for row, image in enumerate(self.removed)}
        return removed | self.index()

    @property
    def content(self) -> np.ndarray:
        """SHA-256 of each image's file, uint8 (n, 32)."""
        return self._all_content[: len(self)]

    @functools.cached_property
    def _all_content(self) -> np.ndarray:
        """SHA-256 of each row's file, uint8 (n + removed, 32): images, then removed ones."""
        self._check_open()
        with damage(self.path):
            columns = [self._file[f"{group}/digest"] for group in self._groups]
            found = np.empty((sum(map(len, columns)), 32), np.uint8)
            filled = 0
            for column in columns:
                for start in range(0, len(column), _READ_PATHS):
                    some = column[start : start + _READ_PATHS].tobytes().decode()
                    found[filled : filled + len(some) // 64] = as_bytes([some])
                    filled += len(some) // 64
        return found

    @property
    def _groups(self) -> list[str]:
        return [group for group in ("images", "removed") if group in self._file]

    @functools.cached_property
    def all_sizes(self) -> np.ndarray:
        """Width and height of each row's image, int32 (n + removed, 2)."""
        self._check_open()
        with damage(self.path):
            columns = [
                np.concatenate([self._file[f"{group}/{name}"][()] for group in self._groups])
                for name in ("width", "height")
            ]
        return np.stack(columns, axis=1).astype(np.int32)

    def contents(self) -> Contents:
        """Return the row of each content, that of removed images too."""
        return Contents(self._all_content, np.arange(len(self._all_content)), self.all_sizes)

    def path_blocks(self) -> Iterator[list[bytes]]:
        """Yield the paths of all images as bytes, in blocks."""
        for start in range(0, len(self), _READ_PATHS):
            with damage(self.path):
                yield self._file["images/path"][start : start + _READ_PATHS].tolist()

    def recorded_digest(self) -> str:
        """Return the SHA-256 that the file gives of all that follows its first 512 bytes."""
        path = images_file(self.path)
        with files.storage_errors(path), path.open("rb") as file:
            return file.read(USER_BLOCK).rstrip(b"\0").decode("ascii", "replace")[-65:-1]
