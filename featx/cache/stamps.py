"""Stamps: size, times and inode of files that were digested, so that a rerun need not read them.

The file ``<out>.stamps`` is a safetensors file of `paths` (relative, NUL between them), `digests`
uint8 (n, 32) and `stamps` int64 (n, 4). It only saves time: images are read again when it is
missing or damaged, and its digests count only where the cache knows them.
"""

import logging
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..errors import printable
from ..storage import files
from ..storage.files import Stamp
from ..storage.tensors import load_tensors, save_tensors

__all__ = ["Stamps"]

log = logging.getLogger("featx")


class Stamps:
    """The stamps beside an output.

    Parameters
    ----------
    out : Path
        The cache file.
    """

    def __init__(self, out: Path) -> None:
        self._path = out.with_name(out.name + ".stamps")
        self._before = self._read()
        self._now: dict[str, tuple[Stamp, str]] = {}

    def _read(self) -> dict[str, tuple[Stamp, str]]:
        if not self._path.is_file():
            return {}
        try:
            found = load_tensors(files.read_bytes(self._path))
            if not len(found["stamps"]):
                return {}
            paths = map(os.fsdecode, found["paths"].tobytes().split(b"\0"))
            digests = found["digests"].tobytes().hex()
            stamps = map(Stamp._make, found["stamps"].tolist())
            rows = enumerate(zip(paths, stamps, strict=True))
            return {path: (stamp, digests[64 * n : 64 * n + 64]) for n, (path, stamp) in rows}
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            log.info("%s is damaged and not used: %s", printable(self._path), error)
            return {}

    def digests(self, root: Path, paths: Iterable[str]) -> list[str]:
        """Return the SHA-256 of each unchanged file, and "" for each that has to be read."""
        return [self._digest(path, os.path.join(root, path)) for path in paths]

    def _digest(self, path: str, file: str) -> str:
        stamp, digest = self._before.get(path, (None, ""))
        if not stamp:
            return ""
        try:
            if files.stamp(os.stat(file)) != stamp:
                return ""
        except OSError:
            return ""
        self._now[path] = stamp, digest
        return digest

    def note(self, path: str, stamp: Stamp | None, digest: str) -> None:
        """Remember the stamp and digest of a file; without a stamp, forget the file."""
        if stamp:
            self._now[path] = stamp, digest
        else:
            self._now.pop(path, None)

    def save(self) -> None:
        """Write the stamps, unless they are those of the file.

        Raises
        ------
        StorageError
            When the file cannot be written.
        """
        if self._now == self._before:
            return
        files.remove_partials(self._path)
        paths = b"\0".join(map(os.fsencode, self._now))
        digests = bytes.fromhex("".join(digest for _, digest in self._now.values()))
        stamps = np.array([stamp for stamp, _ in self._now.values()], np.int64)
        tensors: dict[str, np.ndarray] = {
            "paths": np.frombuffer(paths, np.uint8),
            "digests": np.frombuffer(digests, np.uint8).reshape(-1, 32),
            "stamps": stamps.reshape(-1, 4),
        }
        files.write_bytes(self._path, save_tensors(tensors))
