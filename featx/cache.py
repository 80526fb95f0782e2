"""The cache: one HDF5 file with the features of every picture, read by any HDF5 tool.

::

    (512 bytes ahead of HDF5)       "featx-cache", and the SHA-256 of all that follows
    /                               attributes: format, version, fingerprint (JSON), source, featx
    /features                       (N, 1+K, height, width, channels), one copy a chunk, gzip 1
    /images/path, digest, label, split, group, width, height      one row a picture
    /classes                        class names, index = label
    /skipped/path, digest, reason   what was listed and is not in /features

Texts are UTF-8 bytes of fixed length, padded with NUL; a file name that is not UTF-8 keeps its own
bytes. A published file is never opened for writing: a change is a new file that takes its place.
"""

import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from . import __version__, files
from .catalog import NO_LABEL, Catalog
from .errors import CorruptError, IncompatibleError, InputError, shown
from .fingerprint import Fingerprint
from .parts import PartReader, Parts
from .pools import pooled

__all__ = ["Cache", "Images", "Matrix", "Skipped", "assemble"]

FORMAT = "featx-cache"
VERSION = 1

_USER_BLOCK = 512
_GZIP = 1
_READ_PICTURES = 64


class Skipped(NamedTuple):
    """A listed picture that is not in the cache."""

    path: str
    digest: str
    reason: str


class Matrix(NamedTuple):
    """Features as scikit-learn takes them.

    `X` is float32 of shape (rows, d), `y` the int32 labels (rows,), and `picture` the index of
    the picture in the cache that each row comes from (rows,).
    """

    X: np.ndarray
    y: np.ndarray
    picture: np.ndarray


# Reading ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Images:
    """The rows of a cache.

    Attributes
    ----------
    catalog : Catalog
    digests : ndarray of str, shape (n,)
        SHA-256 of the bytes that were decoded, in hexadecimal.
    sizes : ndarray of int32, shape (n, 2)
        Width and height of the upright picture.
    """

    catalog: Catalog
    digests: np.ndarray
    sizes: np.ndarray


class Cache:
    """A cache that is open for reading. Make one with `Cache.open`, and close it or use `with`.

    Attributes
    ----------
    path : Path
    fingerprint : Fingerprint
    catalog : Catalog
    digests : ndarray of str, shape (n,)
    sizes : ndarray of int32, shape (n, 2)
    skipped : list of Skipped
    features : h5py.Dataset, shape (n, 1 + copies, height, width, channels)
        Read slices of it; it may be larger than memory.
    """

    def __init__(self, path: Path, file: h5py.File) -> None:
        self.path = path
        self._file = file
        attributes = file.attrs
        self.fingerprint = Fingerprint.from_json(attributes["fingerprint"])
        self.features = file["features"]
        columns = {name: file[f"images/{name}"][()] for name in _IMAGE_COLUMNS}
        self.catalog = Catalog(
            Path(os.fsdecode(attributes["source"])),
            _texts(columns["path"]),
            columns["label"].astype(np.int32),
            _texts(columns["split"]),
            _texts(columns["group"]),
            tuple(_texts(file["classes"][()])),
        )
        self.digests = _texts(columns["digest"])
        self.sizes = np.stack([columns["width"], columns["height"]], axis=1).astype(np.int32)
        skipped = (_texts(file[f"skipped/{name}"][()]) for name in Skipped._fields)
        self.skipped = [Skipped(*row) for row in zip(*skipped, strict=True)]

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "Cache":
        """Open a cache file.

        Raises
        ------
        InputError
            When there is no such file.
        CorruptError
            When it is not a whole cache file.
        IncompatibleError
            When another version of featx wrote it in a form that this one does not read.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{shown(path)} does not exist. Make it with: featx extract FOLDER")
        refused = f"{shown(path)} is not a whole featx cache"
        try:
            file = h5py.File(path, "r", locking=False)
        except OSError as error:
            raise CorruptError(f"{refused}: {error}.") from error
        try:
            version = file.attrs.get("version")
            if file.attrs.get("format") != FORMAT:
                raise CorruptError(f"{refused}: its format is not {FORMAT!r}.")
            if version != VERSION:
                raise IncompatibleError(
                    f"{shown(path)} has the cache version {version}; this featx reads {VERSION}. "
                    "Extract it again."
                )
            _check_structure(file, refused)
            cache = cls(path, file)
            cache._check_shapes(refused)
        except (KeyError, ValueError, TypeError, OSError, RuntimeError, InputError) as error:
            file.close()
            raise CorruptError(f"{refused}: {error}.") from error
        except BaseException:
            file.close()
            raise
        return cache

    def _check_shapes(self, refused: str) -> None:
        expected = (len(self), *self.fingerprint.shape)
        lengths = {len(self.digests), len(self.sizes), len(self.catalog.labels)}
        labels = self.catalog.labels
        if self.features.shape != expected or lengths != {len(self)}:
            raise CorruptError(
                f"{refused}: features have the shape {self.features.shape}, expected {expected}."
            )
        if len(labels) and not -1 <= labels.min() <= labels.max() < len(self.catalog.classes):
            raise CorruptError(
                f"{refused}: a label is outside the {len(self.catalog.classes)} classes."
            )

    def __len__(self) -> int:
        return len(self.catalog)

    def __enter__(self) -> "Cache":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def as_dict(self) -> dict[str, Any]:
        """Return what the cache is and holds as plain values, for JSON."""
        splits = [split for split in ("train", "val", "test") if split in self.catalog.splits]
        return {
            "format": FORMAT,
            "version": VERSION,
            "images": len(self),
            "duplicates": len(self) - len(set(self.digests)),
            "shape": list(self.features.shape),
            "dtype": str(self.features.dtype),
            "classes": self.catalog.class_counts(),
            "unlabelled": int((self.catalog.labels == NO_LABEL).sum()),
            "splits": {split: int((self.catalog.splits == split).sum()) for split in splits},
            "source": str(self.catalog.root),
            "fingerprint": self.fingerprint.as_dict(),
            "skipped": [{"path": row.path, "reason": row.reason} for row in self.skipped],
        }

    def holds(self, images: Images, skipped: Sequence[Skipped]) -> bool:
        """Tell whether the file has exactly these rows, labels and skipped pictures."""
        mine, other = self.catalog, images.catalog
        return (
            np.array_equal(self.digests, images.digests)
            and np.array_equal(mine.paths, other.paths)
            and np.array_equal(mine.labels, other.labels)
            and np.array_equal(mine.splits, other.splits)
            and np.array_equal(mine.groups, other.groups)
            and mine.classes == other.classes
            and mine.root.resolve() == other.root.resolve()
            and self.skipped == list(skipped)
        )

    def index(self) -> dict[str, int]:
        """Return one row for each content: digest → row."""
        return {digest: row for row, digest in enumerate(self.digests)}

    def matrix(
        self, pool: str = "avg", *, pictures: np.ndarray | None = None, copies: bool = True
    ) -> Matrix:
        """Return features as a matrix, with labels and the picture of each row.

        Parameters
        ----------
        pool : {"avg", "max", "avgmax", "flatten"}
            Over the two spatial axes.
        pictures : ndarray of int, optional
            Which pictures, in which order; all by default.
        copies : bool
            Whether the augmented copies are rows too, after their original.

        Returns
        -------
        Matrix
            `X` float32 (rows, d), `y` int32 (rows,), `picture` int64 (rows,).

        Raises
        ------
        InputError
            When there is no such pool.
        """
        chosen = np.arange(len(self)) if pictures is None else np.asarray(pictures, dtype=np.int64)
        each = 1 + self.fingerprint.copies if copies else 1
        width = pooled(np.zeros((1, *self.fingerprint.trunk.shape)), pool).shape[1]
        X = np.empty((len(chosen) * each, width), np.float32)
        for start, block in self._blocks(chosen, each):
            rows = block.reshape(-1, *block.shape[2:])
            X[start * each : start * each + len(rows)] = pooled(rows, pool)
        picture = np.repeat(chosen, each)
        return Matrix(X, self.catalog.labels[picture], picture)

    def _blocks(self, chosen: np.ndarray, each: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (position in `chosen`, features) in blocks; runs of rows are read as one slice."""
        for start in range(0, len(chosen), _READ_PICTURES):
            wanted = chosen[start : start + _READ_PICTURES]
            runs = np.split(wanted, np.flatnonzero(np.diff(wanted) != 1) + 1)
            yield start, np.concatenate([self.features[r[0] : r[-1] + 1, :each] for r in runs])

    def chunks(self, row: int) -> Iterator[bytes]:
        """Yield the compressed features of each copy of a picture, as they lie in the file."""
        for copy in range(1 + self.fingerprint.copies):
            _, chunk = self.features.id.read_direct_chunk((row, copy, 0, 0, 0))
            yield chunk

    def is_untouched(self) -> bool:
        """Tell whether every byte is the one that was written, by the digest kept in the file."""
        with files.storage_errors(self.path), self.path.open("rb") as file:
            block = file.read(_USER_BLOCK)
        return block == _user_block(files.file_digest(self.path, skip=_USER_BLOCK))


def _texts(column: np.ndarray) -> np.ndarray:
    return np.array([os.fsdecode(value) for value in column.tolist()], dtype=object)


_IMAGE_COLUMNS = ("path", "digest", "label", "split", "group", "width", "height")
_KNOWN = (
    "features",
    "classes",
    "images",
    *(f"images/{name}" for name in _IMAGE_COLUMNS),
    "skipped",
    *(f"skipped/{name}" for name in Skipped._fields),
)


def _check_structure(file: h5py.File, refused: str) -> None:
    """Refuse whatever could read elsewhere or is not of this format, before any data is read."""
    for name in _KNOWN:
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise CorruptError(f"{refused}: /{name} is missing or is a link.")
        item = file[name]
        if not isinstance(item, h5py.Dataset):
            continue
        if item.external or item.is_virtual:
            raise CorruptError(f"{refused}: /{name} keeps its data elsewhere.")
        plist = item.id.get_create_plist()
        filters = [plist.get_filter(number)[0] for number in range(plist.get_nfilters())]
        if filters not in ([], [h5py.h5z.FILTER_DEFLATE]):
            raise CorruptError(f"{refused}: /{name} has a filter that is not gzip.")


# Writing ------------------------------------------------------------------------------------


def assemble(
    out: Path,
    images: Images,
    skipped: Iterable[Skipped],
    fingerprint: Fingerprint,
    *,
    parts: Parts,
    old: Cache | None,
) -> None:
    """Make the cache file from parts and from the rows of an old cache, atomically.

    Every digest in `images` must be in one of them.

    Raises
    ------
    StorageError
        When the disk is full or fails; what stood at `out` is then untouched.
    """
    in_parts = parts.index()
    in_old = {digest: old.chunks(row) for digest, row in old.index().items()} if old else {}
    files.require_space(out, _bytes_needed(len(images.digests), fingerprint))
    with files.published(out) as partial, files.storage_errors(out):
        with h5py.File(partial, "w", userblock_size=_USER_BLOCK) as file:
            _write_tables(file, images, list(skipped), fingerprint)
            features = file.create_dataset(
                "features",
                (len(images.digests), *fingerprint.shape),
                fingerprint.dtype,
                chunks=(1, 1, *fingerprint.trunk.shape),
                compression="gzip",
                compression_opts=_GZIP,
            )
            reader = PartReader()
            for row, digest in enumerate(images.digests):
                if digest in in_parts:
                    copies = reader.features(in_parts[digest])
                    chunks: Iterable[bytes] = (zlib.compress(copy, _GZIP) for copy in copies)
                else:
                    chunks = in_old[digest]
                for copy, chunk in enumerate(chunks):
                    features.id.write_direct_chunk((row, copy, 0, 0, 0), chunk)
        block = _user_block(files.file_digest(partial, skip=_USER_BLOCK))
        with partial.open("r+b") as raw:
            raw.write(block)


def _user_block(digest: str) -> bytes:
    return f"{FORMAT} {VERSION}\nsha256 {digest}\n".encode().ljust(_USER_BLOCK, b"\0")


def _bytes_needed(pictures: int, fingerprint: Fingerprint) -> int:
    # Real activations compress to about a quarter; a half leaves room for odd ones.
    copy = int(np.prod(fingerprint.shape)) * np.dtype(fingerprint.dtype).itemsize
    return pictures * (copy // 2 + 1024) + (1 << 20)


def _write_tables(
    file: h5py.File,
    images: Images,
    skipped: Sequence[Skipped],
    fingerprint: Fingerprint,
) -> None:
    catalog = images.catalog
    file.attrs["format"] = FORMAT
    file.attrs["version"] = VERSION
    file.attrs["featx"] = __version__
    file.attrs["fingerprint"] = fingerprint.as_json()
    file.attrs["source"] = np.bytes_(os.fsencode(os.path.abspath(catalog.root)))
    _write_texts(file, "classes", catalog.classes)
    _write_texts(file, "images/path", catalog.paths)
    _write_texts(file, "images/digest", images.digests)
    _write_texts(file, "images/split", catalog.splits)
    _write_texts(file, "images/group", catalog.groups)
    file["images/label"] = catalog.labels
    file["images/width"] = images.sizes[:, 0]
    file["images/height"] = images.sizes[:, 1]
    for name in Skipped._fields:
        _write_texts(file, f"skipped/{name}", [getattr(row, name) for row in skipped])


def _write_texts(file: h5py.File, name: str, values: Iterable[str]) -> None:
    encoded = [os.fsencode(value) for value in values]
    length = max(map(len, encoded), default=0) or 1
    file[name] = np.array(encoded, h5py.string_dtype("utf-8", length))
