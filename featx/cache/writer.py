"""The writing of a cache file, from parts and from the rows of an old cache."""

import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np

from .. import __version__
from ..errors import StorageError, printable
from ..network.activations import Activations
from ..network.fingerprint import Fingerprint
from ..storage import files
from .file import Cache
from .parts import PartReader, Parts
from .rows import CacheRows
from .structure import FORMAT, USER_BLOCK, Removed, Skipped, user_block, version_of

__all__ = ["assemble"]

_GZIP = 1


def assemble(
    out: Path,
    rows: CacheRows,
    skipped: Sequence[Skipped],
    removed: Sequence[Removed],
    fingerprint: Fingerprint,
    *,
    parts: Parts,
    old: Cache | None,
) -> None:
    """Write the cache file atomically, from parts and from the rows of an old cache.

    Each digest in `rows` and in `removed` must be in the parts or in the old cache.

    Raises
    ------
    StorageError
        When the disk is full or fails; the file that was at `out` is then unchanged.
    """
    in_parts = parts.index()
    in_old = old.whole_index() if old else {}
    digests = [*rows.digests, *(image.digest for image in removed)]
    version = version_of(pools=bool(fingerprint.layers), removed=bool(removed))
    files.require_space(out, _bytes_needed(len(digests), fingerprint))
    with files.atomic_write(out) as partial:
        written = hashlib.sha256()
        with h5py.File(partial, "w", userblock_size=USER_BLOCK) as file:
            _write_tables(file, rows, skipped, fingerprint, version)
            if removed:
                _write_removed(file, removed)
            datasets = [
                _create(file, "features", len(digests), fingerprint.shape, fingerprint.dtype)
            ]
            if fingerprint.layers:
                shape = fingerprint.pools_shape
                datasets.append(_create(file, "pools", len(digests), shape, "float16"))
            reader = PartReader()
            for row, digest in enumerate(digests):
                if digest in in_parts:
                    chunks = _compressed(reader.activations(in_parts[digest]), len(datasets))
                elif old and digest in in_old:
                    chunks = old.chunks(in_old[digest])
                else:
                    raise AssertionError(f"the features of {digest} are nowhere")
                for number, chunk in enumerate(chunks):
                    written.update(chunk)
                    dataset = datasets[number // (1 + fingerprint.copies)]
                    place = (row, number % (1 + fingerprint.copies), *[0] * (dataset.ndim - 2))
                    dataset.id.write_direct_chunk(place, chunk)
                    partial.check()
        partial.check()
        partial.seek(0)
        partial.write(user_block(files.file_digest(partial.path, skip=USER_BLOCK), version))
        partial.sync()
        _check_written(partial.path, rows, skipped, removed, written.digest())


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


def _compressed(found: Activations, datasets: int) -> Iterator[bytes]:
    """Yield the chunks of one image, as `Cache.chunks` does."""
    for rows in (found.features, found.pools)[:datasets]:
        for copy in rows:
            yield zlib.compress(copy, _GZIP)


def _check_written(
    path: Path,
    rows: CacheRows,
    skipped: Sequence[Skipped],
    removed: Sequence[Removed],
    digest: bytes,
) -> None:
    """Read the finished file and compare it with what was written.

    Raises
    ------
    StorageError
        When they differ.
    """
    found = hashlib.sha256()
    with Cache.open(path) as cache:
        for row in range(len(cache.features)):
            for chunk in cache.chunks(row):
                found.update(chunk)
        if found.digest() != digest or not cache.holds(rows, skipped, removed):
            raise StorageError(f"{printable(path)} does not hold what was written to it.")


def _bytes_needed(images: int, fingerprint: Fingerprint) -> int:
    # Activations of photographs compress to about a quarter of their size; half leaves room.
    copy = int(np.prod(fingerprint.shape)) * np.dtype(fingerprint.dtype).itemsize
    pools = int(np.prod(fingerprint.pools_shape)) * 2
    return images * (copy // 2 + pools + 1024) + (1 << 20)


def _write_tables(
    file: h5py.File,
    rows: CacheRows,
    skipped: Sequence[Skipped],
    fingerprint: Fingerprint,
    version: int,
) -> None:
    catalog = rows.catalog
    file.attrs["format"] = FORMAT
    file.attrs["version"] = version
    file.attrs["featx"] = __version__
    file.attrs["fingerprint"] = fingerprint.as_json()
    file.attrs["source"] = np.bytes_(os.fsencode(os.path.abspath(catalog.root)))
    _write_texts(file, "classes", catalog.classes)
    _write_texts(file, "images/path", catalog.paths)
    _write_texts(file, "images/digest", rows.digests)
    _write_texts(file, "images/split", catalog.splits)
    _write_texts(file, "images/group", catalog.groups)
    file["images/label"] = catalog.labels
    file["images/width"] = rows.sizes[:, 0]
    file["images/height"] = rows.sizes[:, 1]
    for name in Skipped._fields:
        _write_texts(file, f"skipped/{name}", [getattr(row, name) for row in skipped])


def _write_removed(file: h5py.File, removed: Sequence[Removed]) -> None:
    for name in ("path", "digest"):
        _write_texts(file, f"removed/{name}", [getattr(image, name) for image in removed])
    for name in ("width", "height"):
        values = [getattr(image, name) for image in removed]
        file[f"removed/{name}"] = np.array(values, np.int32)


def _write_texts(file: h5py.File, name: str, values: Iterable[str]) -> None:
    encoded = [os.fsencode(value) for value in values]
    length = max(map(len, encoded), default=0) or 1
    file[name] = np.array(encoded, h5py.string_dtype("utf-8", length))
