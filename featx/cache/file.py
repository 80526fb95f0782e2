"""The cache: the features of every image, in one HDF5 file or in a folder of parts.

`structure` says what is in the file, which any HDF5 tool reads, and `folder` how a folder is made.
A published file is never opened for writing: a change is a new file that takes its place.
"""

import contextlib
import copy
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import h5py
import numpy as np

from ..dataset.catalog import NO_LABEL
from ..errors import CorruptError, IncompatibleError, InputError, printable
from ..network.activations import Activations
from ..network.fingerprint import Fingerprint
from ..network.views import View, make_view
from ..plain import as_frame
from ..storage import files, kinds
from . import table
from .contents import Contents
from .display import CacheDisplay
from .folder import FolderRows, PartsDataset, images_file
from .image_table import ImageTable
from .rows import Matrix
from .structure import (
    FORMAT,
    VERSIONS,
    check_shapes,
    check_structure,
    damage,
    datasets_of,
    sealed_version,
)

if TYPE_CHECKING:
    import pandas

__all__ = ["Cache", "CacheLike"]

_READ_PICTURES = 64


class Cache(CacheDisplay, ImageTable):
    """A cache that is open for reading. Make one with `Cache.open`, and close it or use `with`.

    Attributes
    ----------
    path : Path
    fingerprint : Fingerprint
    features : h5py.Dataset or PartsDataset, (n + removed, 1 + copies, height, width, channels)
        Read slices of it; it may be larger than memory. The rows of removed images are the last.
        A cache that keeps pools only has none: `IncompatibleError`.
    cut_pools : h5py.Dataset, PartsDataset or None, shape (n + removed, 1 + copies, 2 * channels)
        In their place, means and maxima of the features; None where the features are there.
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
        super().__init__(path, file)
        self.fingerprint = made = Fingerprint.from_json(file.attrs["fingerprint"])
        self.parts = FolderRows(path / "parts", file, made) if "parts" in file else None
        self._kept: dict[str, Any] = {
            name: PartsDataset(self.parts, name, made) if self.parts else file[name]
            for name in datasets_of(made)
        }
        self.pools, self.cut_pools = self._kept.get("pools"), self._kept.get("cut_pools")

    @property
    def features(self) -> Any:
        """The features at the cut, see above.

        Raises
        ------
        IncompatibleError
            When the cache keeps their mean and maximum only.
        """
        if "features" not in self._kept:
            raise IncompatibleError(
                f"{printable(self.path)} keeps the mean and maximum of the features at "
                f"{self.fingerprint.trunk.cut}, and the features themselves are needed. Extract "
                "the images again, into another output and without --keep pooled."
            )
        return self._kept["features"]

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
        if path.name == kinds.IMAGES and (path.parent / "parts").is_dir():
            raise InputError(
                f"{printable(path)} is a part of the cache {printable(path.parent)}. Give that "
                "folder."
            )
        return cls.open_images(path, images_file(path))

    @classmethod
    def open_images(cls, path: Path, images: Path) -> "Cache":
        """Open a cache by its HDF5 file, which may have another name than it will have."""
        version = sealed_version(images)
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
            file = h5py.File(images, "r", locking=False)
        try:
            with damage(path):
                if (file.attrs.get("format"), file.attrs.get("version")) != (FORMAT, version):
                    raise ValueError(f"its format is not {FORMAT} {version}")
                check_structure(file, files.file_size(images), version)
                check_shapes(file, Fingerprint.from_json(file.attrs["fingerprint"]))
                cache = cls(path, file)
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

    @classmethod
    @contextlib.contextmanager
    def opened_all(cls, features: "CacheLike | Sequence[CacheLike]") -> Iterator[list["Cache"]]:
        """Yield one or several open caches; see `opened`.

        Raises
        ------
        InputError
            When there is none.
        """
        is_one = isinstance(features, str | os.PathLike | Cache)
        given: Sequence[CacheLike] = [features] if is_one else list(features)  # type: ignore
        if not given:
            raise InputError("No cache is given. Expected one or several that featx extract made.")
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(cls.opened(one)) for one in given]

    @property
    def paths(self) -> tuple[Path, ...]:
        """The caches whose features are read: itself."""
        return (self.path,)

    def without_classes(self, names: Collection[str]) -> "Cache":
        """Return a view of the same file in which images of these classes have no label."""
        view = copy.copy(self)
        vars(view).pop("_images", None)
        kept = tuple(name for name in self.classes if name not in names)
        view.classes = kept
        index = [*(kept.index(name) if name in kept else NO_LABEL for name in self.classes)]
        view.labels = np.array([*index, NO_LABEL], np.int32)[self.labels]
        return view

    def with_groups(self, groups: np.ndarray) -> "Cache":
        """Return a view of the same file in which the images have other groups."""
        view = copy.copy(self)
        vars(view)["_images"] = replace(self._images, catalog=replace(self.catalog, groups=groups))
        return view

    def __bool__(self) -> bool:
        return True  # however few images it lists

    def __enter__(self) -> "Cache":
        return self

    @property
    def sealed(self) -> tuple[str, ...]:
        """The names of the parts that belong to it; none where it is a file."""
        return tuple(self.parts.names) if self.parts else ()

    @property
    def is_whole(self) -> bool:
        """Whether the files of all parts are there, where it is a folder."""
        return self.parts is None or bool(self.parts.is_there.all())

    def contents(self) -> Contents:
        """Return the row of each content, that of removed images too, whose part is there."""
        found = super().contents()
        if self.is_whole or self.parts is None:
            return found
        there = self.parts.is_there
        return Contents(found.digests[there], found.places[there], found.sizes[there])

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
            "shape": [len(self), *self.datasets[0].shape[1:]],
            "dtype": str(self.datasets[0].dtype),
            "classes": self.catalog.class_counts(),
            "unlabelled": int((self.catalog.labels == NO_LABEL).sum()),
            "splits": self.catalog.split_counts(),
            "source": str(self.catalog.root),
            "fingerprint": self.fingerprint.as_dict(),
            "skipped": [{"path": row.path, "reason": row.reason} for row in self.skipped],
        }

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
        names = seen.feature_names(*(one.trunk.cut for one in self.fingerprint.each))
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
        made = self.fingerprint
        features = np.empty((count, each, *made.trunk.shape[:2], 0), made.dtype)
        pools = np.empty((count, each, 1, 0), np.float16)
        cut_pools = None
        if view is None or not view.kind.layers:
            if self.cut_pools is None or (view is not None and view.kind.positions):
                features = self.features[rows, :each]
            else:
                cut_pools = self.cut_pools[rows, :each]
        if self.pools is not None and (view is None or view.kind.layers):
            pools = self.pools[rows, :each]
        return Activations(features, pools, cut_pools)

    @property
    def datasets(self) -> list[h5py.Dataset]:
        """What the network gave: features or their pools, and pools of layers if there are any."""
        return list(self._kept.values())

    def chunks(self, row: int) -> Iterator[bytes]:
        """Yield the compressed features, then pools, of each copy of an image, as they are kept."""
        if self.parts:
            yield from self.parts.chunks(row)
            return
        for dataset in self.datasets:
            for number in range(1 + self.fingerprint.copies):
                place = (row, number, *[0] * (dataset.ndim - 2))
                with damage(self.path):
                    _, chunk = dataset.id.read_direct_chunk(place)
                yield chunk

    @staticmethod
    def is_cache(path: Path) -> bool:
        """Tell whether a file looks like a cache, by its first bytes."""
        return kinds.is_cache(path)


#: A cache, by its path or open.
CacheLike: TypeAlias = str | os.PathLike[str] | Cache
