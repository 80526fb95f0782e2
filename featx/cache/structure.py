"""The structure of a cache file: checked before any of its data is read.

::

    (512 bytes ahead of HDF5)       "featx-cache", and the SHA-256 of all that follows
    /                               attributes: format, version, fingerprint (JSON), source, featx
    /features                       (N+R, 1+K, height, width, channels), one copy a chunk, gzip 1
    /images/path, digest, label, split, group, width, height      one row an image, N of them
    /classes                        class names, index = label
    /skipped/path, digest, reason   what was listed and is not in /features
    /pools                          (N+R, 1+K, passes, columns) float16, mean and maximum of layers
                                    (versions 3 and 4)
    /cut_pools                      (N+R, 1+K, 2 * channels) float32, mean and maximum of features,
                                    in place of /features (version 4 only)
    /removed/path, digest, width, height    R images that are no longer listed (versions 2 to 4)

A cache that is a folder has such a file too, ``images.h5``, of version 5: without /features, /pools
and /cut_pools, which are in its parts (see `parts`), and with::

    /parts/name, seal               the files of the parts, and the SHA-256 that each records
    /images/part, row               where the features of an image are; /removed has them too

Texts are UTF-8 bytes of fixed length, padded with NUL; a file name that is not UTF-8 keeps its own
bytes.
"""

import contextlib
import re
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
    "IN_FOLDER",
    "PART_NAME",
    "PLACE_COLUMNS",
    "ROW_BITS",
    "USER_BLOCK",
    "VERSIONS",
    "Removed",
    "Skipped",
    "check_shapes",
    "check_structure",
    "damage",
    "datasets_of",
    "sealed_version",
    "user_block",
    "version_of",
]

#: The version of a file without features at the cut, which has their pools.
POOLED = 4

#: The version of the file of images in a cache that is a folder.
IN_FOLDER = 5

#: A file with layer pools has version 3; without them, one that has features of images which are no
#: longer listed has version 2, others 1.
VERSIONS = (1, 2, 3, POOLED, IN_FOLDER)

USER_BLOCK = 512

#: What parts are called.
PART_NAME = re.compile(r"[0-9a-z-]*[0-9]{8}\.safetensors")
#: A part has no more rows than so many bits count.
ROW_BITS = 20


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
#: Where the features of an image are, in a folder.
PLACE_COLUMNS = ("part", "row")
_KNOWN = (
    "classes",
    "images",
    *(f"images/{name}" for name in IMAGE_COLUMNS),
    "skipped",
    *(f"skipped/{name}" for name in Skipped._fields),
)
_REMOVED = ("removed", *(f"removed/{name}" for name in Removed._fields))
_PLACES = ("parts", "parts/name", "parts/seal", *(f"images/{name}" for name in PLACE_COLUMNS))
_REMOVED_PLACES = tuple(f"removed/{name}" for name in PLACE_COLUMNS)
#: What a file has by its version; from version 3 on, removed images are optional, and in version 4
#: the pools of layers too.
_MORE = {
    1: ("features",),
    2: ("features", *_REMOVED),
    3: ("features", "pools"),
    POOLED: ("cut_pools",),
    IN_FOLDER: _PLACES,
}


def version_of(made: Fingerprint, *, removed: bool) -> int:
    """Return the version of a file, which may have removed images."""
    if made.keep == "pooled":
        return POOLED
    return 3 if made.layers else 2 if removed else 1


#: Kinds of the types of columns that are no texts.
_KINDS = {"features": "f", "pools": "f", "cut_pools": "f"} | dict.fromkeys(
    ("label", "width", "height", *PLACE_COLUMNS), "iu"
)
#: What the network gave, and how many axes it has.
_ACTIVATIONS = {"features": 5, "pools": 4, "cut_pools": 3}


def check_structure(file: h5py.File, size: int, version: int) -> None:
    """Refuse whatever could read elsewhere or is not of this format, before any data is read."""
    optional: tuple[str, ...] = ()
    if version >= 3 and "removed" in file:
        optional = _REMOVED + (_REMOVED_PLACES if version == IN_FOLDER else ())
    if version == POOLED and "pools" in file:
        optional += ("pools",)
    names = (*_KNOWN, *_MORE[version], *optional)
    # What is not looked at here may be a link, and is not to be found by name later.
    strange = set(file) - {name.partition("/")[0] for name in names}
    if strange:
        raise ValueError(f"/{printable(min(strange))} is in no file of version {version}")
    for name in names:
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"/{name} is missing or is a link")
        item = file[name]
        is_group = any(other.startswith(f"{name}/") for other in names)
        if not isinstance(item, h5py.Group if is_group else h5py.Dataset):
            raise ValueError(f"/{name} is of another kind")
        if is_group:
            continue
        hdf5.check(name, item)
        if item.dtype.kind not in _KINDS.get(name.rpartition("/")[2], "S"):
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
    if "parts" in file:
        _check_places(file, len(labels))
    else:
        _check_activations(file, rows, made)
    if shapes != {(len(labels),)} or len(removed) > 1:
        raise ValueError(f"columns have the shapes {shapes} and {removed}")
    classes = len(file["classes"])
    if len(labels) and not -1 <= labels[()].min() <= labels[()].max() < classes:
        raise ValueError(f"a label is outside the {classes} classes")


def _check_activations(file: h5py.File, rows: int, made: Fingerprint) -> None:
    """Refuse a file that has not what its fingerprint says, or has it in other shapes."""
    for name, (shape, dtype) in datasets_of(made).items():
        if name not in file:
            raise ValueError(f"/{name} is missing, and its settings say that it is there")
        found, expected = file[name], (rows, *shape)
        if found.shape != expected or found.dtype != dtype:
            raise ValueError(
                f"{name} have the shape {found.shape} and the type {found.dtype}, expected "
                f"{expected} and {dtype}"
            )


def _check_places(file: h5py.File, images: int) -> None:
    """Refuse names of parts that lead elsewhere, and places that are none."""
    names = file["parts/name"][()]
    if file["parts/seal"].shape != names.shape:
        raise ValueError("a part has no seal")
    for name in names.tolist():
        if not PART_NAME.fullmatch(name.decode("ascii", "replace")):
            raise ValueError(f"{name!r} is no name of a part")
    for group in ("images", "removed"):
        if group not in file:
            continue
        part, row = (file[f"{group}/{name}"] for name in PLACE_COLUMNS)
        if part.shape != row.shape or (group == "images" and part.shape != (images,)):
            raise ValueError(f"/{group} has places of another shape")
        if len(part) and not (0 <= part[()].min() <= part[()].max() < len(names)):
            raise ValueError("a place names a part that there is not")
        if len(row) and not 0 <= row[()].min() <= row[()].max() < 1 << ROW_BITS:
            raise ValueError("a place names a row that no part has")


def user_block(digest: str, version: int) -> bytes:
    """Return what stands before the HDF5 file: its format, and the SHA-256 of all that follows."""
    return f"{FORMAT} {version}\nsha256 {digest}\n".encode().ljust(USER_BLOCK, b"\0")


def datasets_of(made: Fingerprint) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return what a cache keeps of an image with its copies: name → (shape, dtype)."""
    kept: dict[str, tuple[tuple[int, ...], str]] = {"features": (made.shape, made.dtype)}
    if made.keep == "pooled":
        kept = {"cut_pools": (made.cut_pools_shape, "float32")}
    return kept | ({"pools": (made.pools_shape, "float16")} if made.layers else {})


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
