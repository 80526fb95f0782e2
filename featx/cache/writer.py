"""The writing of a cache, from parts and from the rows of an old cache."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from .. import __version__
from ..dataset.stores.addresses import absolute_root
from ..errors import StorageError, printable
from ..network.fingerprint import Fingerprint
from ..storage import files
from ..storage.files import Partial
from ..storage.kinds import IMAGES
from .contents import Contents, as_bytes
from .file import Cache
from .parts import PartReader, Parts, Place, is_folder
from .rows import Rows
from .structure import (
    FORMAT,
    IN_FOLDER,
    ROW_BITS,
    USER_BLOCK,
    Removed,
    Skipped,
    datasets_of,
    user_block,
    version_of,
)
from .texts import as_column, as_hexadecimal, longest

__all__ = ["assemble", "parts_beside"]

_GZIP = 1


def assemble(
    out: Path,
    rows: Rows,
    skipped: Sequence[Skipped],
    removed: Sequence[Removed],
    fingerprint: Fingerprint,
    *,
    parts: Parts,
    old: Cache | None,
) -> None:
    """Write a cache atomically, from parts and from the rows of an old cache.

    Each content of `rows` and of `removed` must be in the parts or in the old cache. A cache that
    is a folder keeps the parts; of one that is a file they can be removed afterwards.

    Raises
    ------
    StorageError
        When the disk is full or fails; the cache that was at `out` is then unchanged.
    """
    whole = _Whole(out, rows, skipped, removed, fingerprint)
    write = _write_folder if is_folder(out) else _write_file
    write(whole, parts, old)


@dataclass(frozen=True, eq=False)
class _Whole:
    """A cache that is to be written; see `assemble`."""

    out: Path
    rows: Rows
    skipped: Sequence[Skipped]
    removed: Sequence[Removed]
    made: Fingerprint

    def __len__(self) -> int:
        return len(self.rows) + len(self.removed)


def parts_beside(out: Path, cache: Cache | None) -> Parts:
    """Return the parts that a run has left beside a cache, or in the folder that it is."""
    return Parts(out, cache.sealed if cache else ())


def _write_file(whole: _Whole, parts: Parts, old: Cache | None) -> None:
    chunks = _chunks(whole, parts, old)
    made = whole.made
    version = version_of(made, removed=bool(whole.removed))
    files.require_space(whole.out, _bytes_needed(len(whole), made))

    def write_features(file: h5py.File, partial: Partial) -> bytes:
        written = hashlib.sha256()
        datasets = [
            _create(file, name, len(whole), shape, dtype)
            for name, (shape, dtype) in datasets_of(made).items()
        ]
        each = 1 + made.copies
        for row, found in enumerate(chunks):
            for number, chunk in enumerate(found):
                written.update(chunk)
                dataset = datasets[number // each]
                place = (row, number % each, *[0] * (dataset.ndim - 2))
                dataset.id.write_direct_chunk(place, chunk)
                partial.check()
        return written.digest()

    _write(whole.out, whole, version, write_features)


def _write_folder(whole: _Whole, parts: Parts, old: Cache | None) -> None:
    names, seals, places = _placed(whole, parts, old)
    files.require_space(whole.out, 300 * len(places) + (1 << 20))
    count = len(whole.rows)

    def write_places(file: h5py.File, partial: Partial) -> bytes:
        _write_texts(file, "parts/name", names)
        _write_texts(file, "parts/seal", seals)
        for group, some in (("images", places[:count]), ("removed", places[count:])):
            if group == "images" or whole.removed:
                file[f"{group}/part"] = (some >> ROW_BITS).astype(np.int32)
                file[f"{group}/row"] = (some & ((1 << ROW_BITS) - 1)).astype(np.int32)
        return hashlib.sha256(places.data).digest()

    files.make_folder(whole.out / "parts")
    _write(whole.out / IMAGES, whole, IN_FOLDER, write_places)


def _write(
    path: Path, whole: _Whole, version: int, more: Callable[[h5py.File, Partial], bytes]
) -> None:
    """Write the HDF5 file of a cache, with what `more` adds, and read it again before it counts."""
    with files.atomic_write(path) as partial:
        with h5py.File(partial, "w", userblock_size=USER_BLOCK) as file:
            _write_tables(file, whole, version)
            if whole.removed:
                _write_removed(file, whole.removed)
            written = more(file, partial)
        partial.check()
        partial.seek(0)
        partial.write(user_block(files.file_digest(partial.path, skip=USER_BLOCK), version))
        partial.sync()
        with Cache.open_images(whole.out, partial.path) as cache:
            is_same = cache.holds(whole.rows, whole.skipped, whole.removed)
            if _digest(cache) != written or not is_same:
                raise StorageError(f"{printable(whole.out)} does not hold what was written to it.")


def _digest(cache: Cache) -> bytes:
    """Return the SHA-256 of all features of a cache file; of a folder, of their places."""
    if cache.parts:
        return hashlib.sha256(cache.parts.places.data).digest()
    found = hashlib.sha256()
    for row in range(len(cache.datasets[0])):
        for chunk in cache.chunks(row):
            found.update(chunk)
    return found.digest()


def _places(whole: _Whole, contents: Contents) -> np.ndarray:
    """Return the place of each row, then of each removed image; int64 (rows + removed,)."""
    wanted = whole.rows.content
    if whole.removed:
        wanted = np.concatenate([wanted, as_bytes([image.digest for image in whole.removed])])
    found = contents.find(wanted)
    if (found < 0).any():
        missing = wanted[found < 0][0].tobytes().hex()
        raise AssertionError(f"the features of {missing} are nowhere")
    return contents.places[found]


def _chunks(whole: _Whole, parts: Parts, old: Cache | None) -> Iterator[Iterable[bytes]]:
    """Yield the chunks of each row, from parts and from an old cache."""
    paths, in_parts = parts.paths(), parts.contents()
    reader = PartReader(paths)
    if old:
        known = old.contents()
        known.places = -1 - known.places  # so they are told from places in parts
        in_parts = Contents.joined([in_parts, known])
    for place in _places(whole, in_parts).tolist():
        if place >= 0 or old is None:
            yield reader.chunks(Place.of(place))
        else:
            yield old.chunks(-1 - place)


def _placed(
    whole: _Whole, parts: Parts, old: Cache | None
) -> tuple[list[str], list[str], np.ndarray]:
    """Return names and seals of the parts that a folder keeps, and the place of each row in them.

    Only parts that are in use are kept, in the order of their names.
    """
    found: list[Contents] = []
    names: list[str] = []
    seals: list[str] = []
    if old and old.parts:
        known = old.contents()
        known.places = old.parts.places[known.places]
        names, seals, found = list(old.parts.names), list(old.parts.seals), [known]
    fresh = parts.contents()
    fresh.places = fresh.places + (len(names) << ROW_BITS)
    for _, part in parts.whole():
        names.append(part.path.name)
        seals.append(part.seal)
    places = _places(whole, Contents.joined([*found, fresh]))
    used = np.flatnonzero(np.bincount(places >> ROW_BITS, minlength=len(names)))
    kept = sorted(used.tolist(), key=names.__getitem__)
    moved = np.zeros(len(names), np.int64)
    moved[kept] = np.arange(len(kept)) - np.array(kept)
    places += moved[places >> ROW_BITS] << ROW_BITS
    return [names[number] for number in kept], [seals[number] for number in kept], places


def _create(
    file: h5py.File, name: str, rows: int, shape: tuple[int, ...], dtype: str
) -> h5py.Dataset:
    """Make a dataset that is compressed and kept copy by copy."""
    return file.create_dataset(
        name,
        (rows, *shape),
        dtype,
        chunks=(1, 1, *shape[1:]),
        compression="gzip",
        compression_opts=_GZIP,
    )


def _bytes_needed(images: int, fingerprint: Fingerprint) -> int:
    # Activations of photographs compress to about a quarter of their size; half leaves room.
    kept = {
        name: int(np.prod(shape)) * np.dtype(dtype).itemsize
        for name, (shape, dtype) in datasets_of(fingerprint).items()
    }
    features = kept.pop("features", 0)
    return images * (features // 2 + sum(kept.values()) + 1024) + (1 << 20)


def _write_tables(file: h5py.File, whole: _Whole, version: int) -> None:
    rows = whole.rows
    file.attrs["format"] = FORMAT
    file.attrs["version"] = version
    file.attrs["featx"] = __version__
    file.attrs["fingerprint"] = whole.made.as_json()
    file.attrs["source"] = np.bytes_(os.fsencode(absolute_root(rows.root)))
    _write_texts(file, "classes", rows.classes)
    _write_images(file, rows)
    for name in Skipped._fields:
        _write_texts(file, f"skipped/{name}", [getattr(row, name) for row in whole.skipped])


def _write_images(file: h5py.File, rows: Rows) -> None:
    """Write a column of each value of the rows, block by block."""
    texts = {"path": "paths", "split": "splits", "group": "groups"}
    widths = dict.fromkeys(texts, 1)
    for _, block in rows.blocks_listed():
        for name, column in texts.items():
            widths[name] = max(widths[name], longest(getattr(block, column)))
    columns = {
        name: file.create_dataset(f"images/{name}", (len(rows),), h5py.string_dtype("utf-8", width))
        for name, width in {"path": 1, "digest": 64, **widths}.items()
    }
    for name in ("label", "width", "height"):
        columns[name] = file.create_dataset(f"images/{name}", (len(rows),), "int32")
    for start, block in rows.blocks_listed():
        some = slice(start, start + len(block))
        for name, column in texts.items():
            columns[name][some] = as_column(getattr(block, column), widths[name])
        columns["digest"][some] = as_hexadecimal(rows.content[some])
        columns["label"][some] = block.labels
        columns["width"][some], columns["height"][some] = rows.sizes[some].T


def _write_removed(file: h5py.File, removed: Sequence[Removed]) -> None:
    for name in ("path", "digest"):
        _write_texts(file, f"removed/{name}", [getattr(image, name) for image in removed])
    for name in ("width", "height"):
        values = [getattr(image, name) for image in removed]
        file[f"removed/{name}"] = np.array(values, np.int32)


def _write_texts(file: h5py.File, name: str, values: Sequence[str]) -> None:
    file[name] = as_column(values, longest(values))
