"""Stamps: what of each image's file shows whether it has changed, kept beside a cache.

``features.h5.stamps`` (in a cache that is a folder, ``stamps``) is a line with the SHA-256 that the
cache records of itself, and then the key of each of its rows, 16 bytes; see `account.stamp_key`.
It only saves time: images are read again when it is missing or of another cache.
"""

import logging
from pathlib import Path

import numpy as np

from ..dataset.catalog import Catalog
from ..errors import printable
from ..images.listed import stamps_of
from ..storage import files
from .account import NO_KEY, Account, stamp_key
from .file import Cache
from .parts import Parts, is_folder

__all__ = ["Stamps"]

log = logging.getLogger("featx")

_KEY = 16


class Stamps:
    """The stamps beside an output, and those in the parts of a stopped run.

    Parameters
    ----------
    out : Path
        The cache.
    old : Cache, optional
        As it is now.
    parts : Parts
    """

    def __init__(self, out: Path, old: Cache | None, parts: Parts) -> None:
        self._path = out / "stamps" if is_folder(out) else out.with_name(out.name + ".stamps")
        self._head = b""
        self._before = self._read(old) if old else np.empty((0, _KEY), np.uint8)
        keys, digests, sizes = [], [], []
        if old and len(self._before):
            keys, digests, sizes = [self._before], [old.content], [old.all_sizes[: len(old)]]
        for _, part in parts.whole():
            if part.account:
                keys.append(part.account.keys)
                digests.append(part.account.digests)
                sizes.append(part.account.sizes)
        self._keys = np.concatenate(keys) if keys else np.empty((0, _KEY), np.uint8)
        self._digests = np.concatenate(digests) if keys else np.empty((0, 32), np.uint8)
        self._sizes = np.concatenate(sizes) if keys else np.empty((0, 2), np.int32)
        starts = self._keys[:, :8].copy().view(np.uint64).reshape(len(self._keys))
        self._order = np.argsort(starts, kind="stable")
        self._starts = starts[self._order]

    def _read(self, old: Cache) -> np.ndarray:
        """Return the keys of the rows of a cache, uint8 (n, 16); none if they are not of this."""
        found = files.read_bytes(self._path) if self._path.is_file() else b""
        self._head, _, keys = found.partition(b"\n")
        if self._head != _head(old) or len(keys) != _KEY * len(old):
            log.info("%s is missing or of another cache.", printable(self._path))
            self._head, keys = b"", b""
        return np.frombuffer(keys, np.uint8).reshape(-1, _KEY)

    def unchanged(self, listed: Catalog) -> Account:
        """Return the account of listed images; of what has to be read, digests are zeros."""
        if self._knows_any:
            keys = list(map(stamp_key, listed.paths, stamps_of(listed)))
        else:
            keys = [NO_KEY] * len(listed)
        found = np.frombuffer(b"".join(keys), np.uint8).reshape(-1, _KEY)
        positions = self._find(found)
        there = positions >= 0
        digests, sizes = np.zeros((len(found), 32), np.uint8), np.zeros((len(found), 2), np.int32)
        digests[there] = self._digests[positions[there]]
        sizes[there] = self._sizes[positions[there]]
        return Account(digests, sizes, found)

    @property
    def _knows_any(self) -> bool:
        return len(self._keys) > 0

    def _find(self, keys: np.ndarray) -> np.ndarray:
        """Return the position of each key, −1 where it is not known."""
        found = np.full(len(keys), -1, np.int64)
        if not self._knows_any:
            return found
        starts = keys[:, :8].copy().view(np.uint64).reshape(len(keys))
        at = np.searchsorted(self._starts, starts)
        fits = (at < len(self._starts)) & keys.any(axis=1)
        position = self._order[np.minimum(at, len(self._starts) - 1)]
        fits &= (self._keys[position] == keys).all(axis=1)
        found[fits] = position[fits]
        return found

    def save(self, cache: Cache, keys: np.ndarray) -> None:
        """Write the keys of the rows of a cache, unless they are those of the file.

        Parameters
        ----------
        cache : Cache
            As it has just been written.
        keys : ndarray of uint8, shape (n, 16)

        Raises
        ------
        StorageError
            When the file cannot be written.
        """
        files.remove_partials(self._path)
        if self._head == _head(cache) and np.array_equal(self._before, keys):
            return
        files.write_bytes(self._path, _head(cache) + b"\n" + keys.tobytes())


def _head(cache: Cache) -> bytes:
    return f"featx-stamps {cache.recorded_digest()}".encode()
