"""What a process keeps: features, digests of files, and what is open or compiled."""

import functools
import os
import threading
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

from ..dataset.catalog import Catalog
from ..images import decode
from ..images.listed import digest_of
from ..network.activations import Activations
from ..network.fingerprint import Fingerprint
from ..network.trunk import Trunk
from ..network.weights import Weights
from ..storage import files
from .file import Cache
from .plan import ExtractSettings, sizes_of
from .wanted import weights_for

__all__ = [
    "MOST",
    "Kept",
    "activations",
    "digest_now",
    "opened",
    "rows_of",
    "trunk_of",
    "weights_of",
]

#: Bytes of features that are kept, at most.
MOST = 1 << 30


class Kept:
    """Activations by fingerprint and digest; the least recently used go first."""

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[str, str], Activations] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple[str, str]) -> Activations | None:
        """Return those of an image by fingerprint and digest, if they are kept."""
        found = self._found.get(key)
        if found:
            self._found.move_to_end(key)
        return found

    def digests(self, made: str) -> set[str]:
        """Return the digests of all images of which such activations are kept."""
        return {digest for fingerprint, digest in tuple(self._found) if fingerprint == made}

    def put(self, key: tuple[str, str], found: Activations) -> None:
        """Keep those of an image, and let the least recently used go where they are too many."""
        if key in self._found:
            return
        self._found[key] = found
        self._bytes += found.nbytes
        while self._bytes > MOST and len(self._found) > 1:
            self._bytes -= self._found.popitem(last=False)[1].nbytes


activations = Kept()
_MOST_OPEN = 2
_open: dict[Path, tuple[files.Stamp, Cache]] = {}
_opening = threading.Lock()
_stamps: dict[str, tuple[files.Stamp, str]] = {}


def digest_now(listed: Catalog, index: int, bits: int) -> str:
    """Return the digest of an image; a file that is as it was is not read again."""
    if listed.store or listed.content(index) is not None:
        try:
            return digest_of(listed, index, bits)
        except decode.Rejected as error:
            raise decode.Rejected(error.reason, error.detail, listed.paths[index]) from error
    path = os.path.abspath(listed.file(index))
    try:
        now = files.stamp(os.stat(path))
        if path in _stamps and _stamps[path][0] == now:
            return _stamps[path][1]
    except (OSError, ValueError):
        pass  # reading says why
    try:
        read = decode.read(Path(path))
    except decode.Rejected as error:
        raise decode.Rejected(error.reason, error.detail, listed.file(index)) from error
    digest = files.digest(read.data)
    if read.stamp:
        _stamps[path] = read.stamp, digest
    return digest


def opened(path: Path, stamp: files.Stamp) -> Cache:
    """Return a cache file, opened once while it stays as it is.

    featx puts another file in the place of one that is published. Where something else wrote into
    the very file, HDF5 would go on with what it knows of it, so it is closed first.
    """
    with _opening:
        before = _open.pop(path, None)
        if before and before[0] != stamp and before[0].inode == stamp.inode:
            before[1].close()
        if not before or before[0] != stamp:
            before = stamp, Cache.open(path)
        _open[path] = before
        while len(_open) > _MOST_OPEN:
            _open.pop(next(iter(_open)))
        return before[1]


@functools.lru_cache(maxsize=2)
def rows_of(cache: Cache) -> dict[str, int]:
    """Return the row of each image of a cache: digest → row."""
    return cache.whole_index()


@functools.lru_cache(maxsize=2)
def trunk_of(weights: Weights, fingerprint: str) -> Trunk:
    """Return the network, compiled once for all who ask for it."""
    return Trunk(weights, Fingerprint.from_json(fingerprint))


def weights_of(settings: ExtractSettings, before: Fingerprint | None) -> Weights:
    """Return weights, checked once while their file stays as it is; see `wanted.weights_for`."""
    given = [Path(name) for name in (settings.weights, settings.network or "")]
    stamps = tuple(files.stamp(path.stat()) for path in given if path.is_file())
    plain = replace(settings, size=sizes_of(settings), layers=None)  # which can be hashed
    return _resolved(plain, before.as_json() if before else "", stamps)


@functools.lru_cache(maxsize=4)
def _resolved(settings: ExtractSettings, before: str, stamps: tuple[files.Stamp, ...]) -> Weights:
    return weights_for(settings, Fingerprint.from_json(before) if before else None)
