"""The cache: one HDF5 file with the features of every image, read by any HDF5 tool.

`structure` says what is in it. A published file is never opened for writing: a change is a new file
that takes its place.
"""

import contextlib
import copy
import functools
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from ..dataset.catalog import NO_LABEL, Catalog
from ..errors import CorruptError, IncompatibleError, printable
from ..network.activations import Activations
from ..network.fingerprint import Fingerprint
from ..network.views import View, make_view
from ..plain import as_frame
from ..storage import files, kinds
from . import table
from .display import CacheDisplay
from .rows import CacheRows, Matrix
from .structure import (
    FORMAT,
    IMAGE_COLUMNS,
    USER_BLOCK,
    VERSIONS,
    Removed,
    Skipped,
    check_shapes,
    check_structure,
    damage,
    sealed_version,
)

if TYPE_CHECKING:
    import pandas

__all__ = ["Cache"]

_READ_PICTURES = 64
_READ_PATHS = 1 << 14


class Cache(CacheDisplay):
    """A cache that is open for reading. Make one with `Cache.open`, and close it or use `with`.

    Attributes
    ----------
    path : Path
    fingerprint : Fingerprint
    features : h5py.Dataset, shape (n + removed, 1 + copies, height, width, channels)
        Read slices of it; it may be larger than memory. The rows of removed images are the last.
    pools : h5py.Dataset or None, shape (n + removed, 1 + copies, passes, columns)
        Pools of layers, see `activations.PooledLayers`; None where no layer is pooled.
    labels : ndarray of int32, shape (n,)
    catalog : Catalog
    digests : ndarray of str, shape (n,)
    sizes : ndarray of int32, shape (n, 2)
    skipped : list of Skipped
    removed : list of Removed
        The last five are read when they are first asked for.
    """

    def __init__(self, path: Path, file: h5py.File) -> None:
        self.path = path
        self._file = file
        self._root = Path(os.fsdecode(file.attrs["source"]))
        self._classes = tuple(_texts(file["classes"][()]))
        self.fingerprint = Fingerprint.from_json(file.attrs["fingerprint"])
        self.features = file["features"]
        self.pools = file["pools"] if self.fingerprint.layers else None
        self.labels = file["images/label"][()].astype(np.int32)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "Cache":
        """Open a cache file.

        Raises
        ------
        InputError
            When there is no such file, or it is a model.
        CorruptError
            When any byte is not the one that was written, or it is not a cache file. The first is
            seen before HDF5 looks at the file: what HDF5 makes of damage cannot be relied on.
        IncompatibleError
            When another version of featx wrote it in a form that this one does not read.
        """
        path = Path(path)
        kinds.require_kind(path, "cache", "featx extract FOLDER")
        version = sealed_version(path)
        if not version:
            raise CorruptError(
                f"{printable(path)} is not a whole featx cache: its bytes are not those that were "
                "written. Copy it again, or make it anew with: featx extract --overwrite"
            )
        if version not in VERSIONS:
            raise IncompatibleError(
                f"{printable(path)} has the cache version {version}; this featx reads up to "
                f"{max(VERSIONS)}. Extract it again, or use the featx that made it."
            )
        with damage(path):
            file = h5py.File(path, "r", locking=False)
        try:
            with damage(path):
                if (file.attrs.get("format"), file.attrs.get("version")) != (FORMAT, version):
                    raise ValueError(f"its format is not {FORMAT} {version}")
                check_structure(file, files.file_size(path), version)
                cache = cls(path, file)
                check_shapes(file, cache.fingerprint)
        except BaseException:
            file.close()
            raise
        return cache

    @classmethod
    @contextlib.contextmanager
    def opened(cls, features: "str | os.PathLike[str] | Cache") -> Iterator["Cache"]:
        """Yield an open cache: the one that is given, which stays open, or that of a path."""
        if isinstance(features, Cache):
            features._check_open()
            yield features
        else:
            with cls.open(features) as cache:
                yield cache

    def without_classes(self, names: Collection[str]) -> "Cache":
        """Return a view of the same file in which images of these classes have no label."""
        view = copy.copy(self)
        vars(view).pop("_images", None)
        kept = tuple(name for name in self._classes if name not in names)
        view._classes = kept
        index = [*(kept.index(name) if name in kept else NO_LABEL for name in self._classes)]
        view.labels = np.array([*index, NO_LABEL], np.int32)[self.labels]
        return view

    def with_groups(self, groups: np.ndarray) -> "Cache":
        """Return a view of the same file in which the images have other groups."""
        view = copy.copy(self)
        vars(view)["_images"] = replace(self._images, catalog=replace(self.catalog, groups=groups))
        return view

    def rows(self, start: int, stop: int) -> CacheRows:
        """Return what images `start` to `stop` are; only these are read.

        Raises
        ------
        CorruptError
            When they cannot be read.
        """
        self._check_open()
        with damage(self.path):
            names = [name for name in IMAGE_COLUMNS if name != "label"]
            columns = {name: self._file[f"images/{name}"][start:stop] for name in names}
        catalog = Catalog(
            self._root,
            _texts(columns["path"]),
            self.labels[start:stop],
            _texts(columns["split"]),
            _texts(columns["group"]),
            self._classes,
        )
        sizes = np.stack([columns["width"], columns["height"]], axis=1).astype(np.int32)
        return CacheRows(catalog, _texts(columns["digest"]), sizes)

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
    def sizes(self) -> np.ndarray:
        """Width and height of each upright image, in pixels."""
        return self._images.sizes

    @functools.cached_property
    def skipped(self) -> list[Skipped]:
        """What was listed and is not in the cache, in order."""
        self._check_open()
        with damage(self.path):
            columns = [self._file[f"skipped/{name}"][()] for name in Skipped._fields]
        return [Skipped(*row) for row in zip(*map(_texts, columns), strict=True)]

    @functools.cached_property
    def removed(self) -> list[Removed]:
        """Images that are no longer listed, whose features are the last rows of `features`."""
        self._check_open()
        if "removed" not in self._file:
            return []
        with damage(self.path):
            columns = {name: self._file[f"removed/{name}"][()] for name in Removed._fields}
        texts = (_texts(columns[name]).tolist() for name in ("path", "digest"))
        sizes = (columns[name].tolist() for name in ("width", "height"))
        return [Removed(*row) for row in zip(*texts, *sizes, strict=True)]

    def __len__(self) -> int:
        return len(self.labels)

    def __bool__(self) -> bool:
        return True  # however few images it lists

    def __enter__(self) -> "Cache":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def as_dict(self) -> dict[str, Any]:
        """Return what the cache is and holds as plain values, for JSON."""
        return {
            "format": FORMAT,
            "version": int(self._file.attrs["version"]),
            "images": len(self),
            "duplicates": len(self) - len(set(self.digests)),
            "removed": len(self.removed),
            "shape": [len(self), *self.fingerprint.shape],
            "dtype": str(self.features.dtype),
            "classes": self.catalog.class_counts(),
            "unlabelled": int((self.catalog.labels == NO_LABEL).sum()),
            "splits": self.catalog.split_counts(),
            "source": str(self.catalog.root),
            "fingerprint": self.fingerprint.as_dict(),
            "skipped": [{"path": row.path, "reason": row.reason} for row in self.skipped],
        }

    def holds(
        self, rows: CacheRows, skipped: Sequence[Skipped], removed: Sequence[Removed]
    ) -> bool:
        """Tell whether the file has exactly these rows and labels, skipped and removed images."""
        is_same = self._images.is_same(rows)
        return is_same and self.skipped == list(skipped) and self.removed == list(removed)

    def index(self) -> dict[str, int]:
        """Return one row for each content of a listed image: digest → row."""
        return {digest: row for row, digest in enumerate(self.digests)}

    def whole_index(self) -> dict[str, int]:
        """Return one row for each content, that of removed images too: digest → row."""
        removed = {image.digest: len(self) + row for row, image in enumerate(self.removed)}
        return removed | self.index()

    def matrix(
        self,
        view: "str | View" = "avg",
        *,
        images: np.ndarray | None = None,
        copies: int | None = None,
    ) -> Matrix:
        """Return images as rows of length 1, with their labels and the image of each row.

        Parameters
        ----------
        view : str or View
            A key of `views.VIEWS`: which columns an image has. A view with a projection, such as
            covariance, is fitted on these images, unless it comes fitted.
        images : ndarray of int, optional
            Which images, in which order; all by default.
        copies : int, optional
            How many augmented copies are rows too, after their original; all by default.

        Returns
        -------
        Matrix
            `X` float32 (rows, d), `y` int32 (rows,), `image` int64 (rows,).

        Raises
        ------
        InputError
            When there is no such view, or the cache lacks the layers that it needs.
        """
        chosen = np.arange(len(self)) if images is None else np.asarray(images, dtype=np.int64)
        each = 1 + (self.fingerprint.copies if copies is None else copies)
        if isinstance(view, str):
            view = make_view(view, self.fingerprint)
        view = view.fitted(some for _, some in self.blocks(chosen, 0, view))
        X = np.empty((len(chosen) * each, view.width), np.float32)
        for start, block in self.blocks(chosen, each - 1, view):
            rows = view.rows(block.flat())
            X[start * each : start * each + len(rows)] = rows
        image = np.repeat(chosen, each)
        return Matrix(X, self.labels[image], image)

    def to_frame(
        self, view: str = "avg", *, images: np.ndarray | None = None
    ) -> "pandas.DataFrame":
        """Return images as a data frame of pandas, with a float32 column for each feature.

        The features are the columns of `matrix`, such as ``block5_pool_avg_0``. Before them are
        `path`, `label`, `split`, `group`, `digest`, `width` and `height`; a missing text is None.

        Parameters
        ----------
        view : str
            A key of `views.VIEWS`, but for covariance, which is fitted.
        images : ndarray of int, optional
            Which images, in which order; all by default.

        Raises
        ------
        InputError
            When pandas is not installed; see also `matrix`.
        """
        chosen = np.arange(len(self)) if images is None else np.asarray(images, dtype=np.int64)
        seen = table.view_of(view, self.fingerprint)
        X = self.matrix(seen, images=chosen, copies=0).X
        names = seen.feature_names(self.fingerprint.trunk.cut)
        images_of = table.image_columns(self._images, chosen)
        return as_frame({**images_of, **dict(zip(names, X.T, strict=True))})

    def blocks(
        self, images: np.ndarray, copies: int, view: View | None = None
    ) -> Iterator[tuple[int, Activations]]:
        """Yield activations of images in blocks, with the position of the first in `images`.

        Parameters
        ----------
        images : ndarray of int
            Runs of them are read as one slice.
        copies : int
            How many augmented copies of each.
        view : View, optional
            Only what it sees is read; the rest has no columns.

        Yields
        ------
        (int, Activations of (n, 1 + copies) images)
        """
        for start in range(0, len(images), _READ_PICTURES):
            wanted = images[start : start + _READ_PICTURES]
            runs = np.split(wanted, np.flatnonzero(np.diff(wanted) != 1) + 1)
            with damage(self.path):
                found = [self._read(slice(run[0], run[-1] + 1), 1 + copies, view) for run in runs]
            yield start, Activations.joined(found)

    def _read(self, rows: slice, each: int, view: View | None) -> Activations:
        count = rows.stop - rows.start
        features = np.empty((count, each, *self.features.shape[2:4], 0), self.features.dtype)
        pools = np.empty((count, each, 1, 0), np.float16)
        if view is None or not view.kind.layers:
            features = self.features[rows, :each]
        if self.pools is not None and (view is None or view.kind.layers):
            pools = self.pools[rows, :each]
        return Activations(features, pools)

    @property
    def datasets(self) -> list[h5py.Dataset]:
        """What the network gave: features, and pools if there are any."""
        return [self.features] if self.pools is None else [self.features, self.pools]

    def chunks(self, row: int) -> Iterator[bytes]:
        """Yield the compressed features, then pools, of each copy of an image, as they are kept."""
        for dataset in self.datasets:
            for number in range(1 + self.fingerprint.copies):
                place = (row, number, *[0] * (dataset.ndim - 2))
                _, chunk = dataset.id.read_direct_chunk(place)
                yield chunk

    def path_blocks(self) -> Iterator[list[bytes]]:
        """Yield the paths of all images as bytes, in blocks."""
        for start in range(0, len(self), _READ_PATHS):
            with damage(self.path):
                yield self._file["images/path"][start : start + _READ_PATHS].tolist()

    @staticmethod
    def is_cache(path: Path) -> bool:
        """Tell whether a file looks like a cache, by its first bytes."""
        return kinds.is_cache(path)

    def recorded_digest(self) -> str:
        """Return the SHA-256 that the file gives of all that follows its first 512 bytes."""
        with files.storage_errors(self.path), self.path.open("rb") as file:
            return file.read(USER_BLOCK).rstrip(b"\0").decode("ascii", "replace")[-65:-1]


def _texts(column: np.ndarray) -> np.ndarray:
    return np.array([os.fsdecode(value) for value in column.tolist()], dtype=object)
