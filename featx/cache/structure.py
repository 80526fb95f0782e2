"""The structure of a cache file: checked before any of its data is read.

::

    (512 bytes ahead of HDF5)       "featx-cache", and the SHA-256 of all that follows
    /                               attributes: format, version, fingerprint (JSON), source, featx
    /features                       (N+R, 1+K, height, width, channels), one copy a chunk, gzip 1
    /images/path, digest, label, split, group, width, height      one row an image, N of them
    /classes                        class names, index = label
    /skipped/path, digest, reason   what was listed and is not in /features
    /pools                          (N+R, 1+K, passes, columns) float16, mean and maximum of layers
                                    (version 3 only)
    /removed/path, digest, width, height    R images that are no longer listed (versions 2 and 3)

Texts are UTF-8 bytes of fixed length, padded with NUL; a file name that is not UTF-8 keeps its own
bytes.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import h5py

from ..errors import CorruptError, StorageError, printable
from ..network.fingerprint import Fingerprint
from ..storage import files, hdf5
from ..storage.kinds import CACHE_FORMAT as FORMAT

__all__ = [
    "FORMAT",
    "IMAGE_COLUMNS",
    "USER_BLOCK",
    "VERSIONS",
    "Removed",
    "Skipped",
    "check_shapes",
    "check_structure",
    "damage",
    "sealed_version",
    "user_block",
    "version_of",
]

#: A file with layer pools has version 3; without them, one that has features of images which are no
#: longer listed has version 2, others 1.
VERSIONS = (1, 2, 3)

USER_BLOCK = 512


class Skipped(NamedTuple):
    """A listed image that is not in the cache."""

    path: str
    digest: str
    reason: str


class Removed(NamedTuple):
    """An image that was listed before, whose features are kept for when it comes back.

    The path is "" where it is not known: in the parts of a run that was stopped.
    """

    path: str
    digest: str
    width: int
    height: int


IMAGE_COLUMNS = ("path", "digest", "label", "split", "group", "width", "height")
_KNOWN = (
    "features",
    "classes",
    "images",
    *(f"images/{name}" for name in IMAGE_COLUMNS),
    "skipped",
    *(f"skipped/{name}" for name in Skipped._fields),
)
_REMOVED = ("removed", *(f"removed/{name}" for name in Removed._fields))
#: What a file has by its version; in version 3 removed images are optional.
_MORE = {1: (), 2: _REMOVED, 3: ("pools",)}


def version_of(*, pools: bool, removed: bool) -> int:
    """Return the version of a file with these parts."""
    return 3 if pools else 2 if removed else 1


#: What the network gave, and how many axes it has.
_ACTIVATIONS = {"features": 5, "pools": 4}


def check_structure(file: h5py.File, size: int, version: int) -> None:
    """Refuse whatever could read elsewhere or is not of this format, before any data is read."""
    has_removed = version == 3 and "removed" in file
    for name in (*_KNOWN, *_MORE[version], *(_REMOVED if has_removed else ())):
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"/{name} is missing or is a link")
        item = file[name]
        if not isinstance(item, h5py.Dataset):
            continue
        hdf5.check(name, item)
        kinds = {"features": "f", "pools": "f", "label": "iu", "width": "iu", "height": "iu"}
        if item.dtype.kind not in kinds.get(name.rpartition("/")[2], "S"):
            raise ValueError(f"/{name} has the type {item.dtype}")
        if name not in _ACTIVATIONS and item.nbytes > size:
            raise ValueError(f"/{name} is larger than the file")
    for name, axes in _ACTIVATIONS.items():
        if name not in file:
            continue
        rows = file[name]
        if rows.ndim != axes or rows.chunks != (1, 1, *rows.shape[2:]):
            raise ValueError(f"/{name} is not kept image by image")
        if rows.id.get_num_chunks() != rows.shape[0] * rows.shape[1]:
            raise ValueError(f"/{name} has rows without data")


def check_shapes(file: h5py.File, made: Fingerprint) -> None:
    """Refuse features, pools and columns that do not fit one another."""
    columns = [file[f"images/{name}"] for name in IMAGE_COLUMNS]
    shapes = {column.shape for column in columns}
    labels = file["images/label"]
    removed = set()
    if "removed" in file:
        removed = {file[f"removed/{name}"].shape for name in Removed._fields}
    rows = len(labels) + (min(removed)[0] if removed else 0)
    shape, expected = file["features"].shape, (rows, *made.shape)
    if shape != expected or shapes != {(len(labels),)} or len(removed) > 1:
        raise ValueError(f"features have the shape {shape}, expected {expected}")
    if made.layers:
        pools, expected = file["pools"], (rows, *made.pools_shape)
        if pools.shape != expected or pools.dtype != "float16":
            raise ValueError(f"pools have the shape {pools.shape}, expected {expected}")
    classes = len(file["classes"])
    if len(labels) and not -1 <= labels[()].min() <= labels[()].max() < classes:
        raise ValueError(f"a label is outside the {classes} classes")


def user_block(digest: str, version: int) -> bytes:
    """Return what stands before the HDF5 file: its format, and the SHA-256 of all that follows."""
    return f"{FORMAT} {version}\nsha256 {digest}\n".encode().ljust(USER_BLOCK, b"\0")


@contextlib.contextmanager
def damage(path: Path) -> Iterator[None]:
    """Turn what reading a damaged file raises into a `CorruptError`."""
    try:
        yield
    except StorageError:
        raise
    except (LookupError, ValueError, TypeError, OSError, RuntimeError) as error:
        raise CorruptError(f"{printable(path)} is not a whole featx cache: {error}.") from error


def sealed_version(path: Path) -> int | None:
    """Return the version of a cache file whose every byte is the one that was written, or None."""
    with files.storage_errors(path), path.open("rb") as file:
        block = file.read(USER_BLOCK)
    version = block.split(b"\n")[0].removeprefix(f"{FORMAT} ".encode())
    if not (version.isdigit() and len(version) < 4):
        return None
    digest = files.file_digest(path, skip=USER_BLOCK)
    return int(version) if block == user_block(digest, int(version)) else None
