"""The members of an archive: their names, which are only names, and where their bytes are."""

import hashlib
import posixpath
from array import array
from collections.abc import Iterable

import numpy as np

from ...errors import CorruptError, printable

__all__ = ["Index", "check_name", "is_hidden", "require_once"]


class Index:
    """Where each member's bytes are, by its name, in 24 bytes a member: names are not kept."""

    def __init__(self) -> None:
        self._keys, self._offsets, self._sizes = array("Q"), array("q"), array("q")
        self._order: tuple[np.ndarray, np.ndarray] | None = None

    def add(self, name: str, offset: int, size: int) -> None:
        """Note a member; a later one of the same name counts."""
        self._keys.append(key_of(name))
        self._offsets.append(offset)
        self._sizes.append(size)
        self._order = None

    def close(self) -> tuple[np.ndarray, np.ndarray]:
        """Sort what was noted, before threads ask for it; return the keys and their order."""
        keys = np.frombuffer(self._keys, np.uint64) if self._keys else np.empty(0, np.uint64)
        order = np.argsort(keys, kind="stable")
        self._order = keys[order], order
        return self._order

    def find(self, name: str) -> tuple[int, int] | None:
        """Return the offset and the size of a member, in bytes; None when there is none."""
        keys, order = self._order or self.close()
        key = np.uint64(key_of(name))
        at = int(np.searchsorted(keys, key, side="right")) - 1
        if at < 0 or keys[at] != key:
            return None
        place = order[at]
        return self._offsets[place], self._sizes[place]

    def clashes(self) -> set[int]:
        """Return the keys that two members have."""
        keys, _ = self._order or self.close()
        return set(keys[1:][keys[1:] == keys[:-1]].tolist())


def key_of(name: str) -> int:
    """Return 8 bytes that stand for a name."""
    told = name.encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(told, digest_size=8).digest())


def check_name(archive: str, name: str) -> str:
    """Return the name of a member as a path inside the archive.

    Raises
    ------
    CorruptError
        When it leads out of the archive, as no honest one does.
    """
    plain = posixpath.normpath(name)
    if name.startswith("/") or plain == ".." or plain.startswith("../") or "\0" in name:
        raise CorruptError(
            f"{printable(archive)} has the member {printable(name)!r}, which leads out of it. "
            "Expected names below its top. Nothing was read."
        )
    return plain


def is_hidden(name: str) -> bool:
    """Tell whether a member is hidden, or what macOS puts beside files."""
    parts = name.split("/")
    return parts[0] == "__MACOSX" or any(part.startswith(".") for part in parts)


def require_once(archive: str, index: Index, names: Iterable[str]) -> None:
    """Check that no two members have the same name.

    Raises
    ------
    CorruptError
        When two have.
    """
    clashes = index.clashes()
    for name in names if clashes else ():
        if key_of(name) in clashes:
            raise CorruptError(
                f"{printable(archive)} has two members {printable(name)!r}, and it cannot be told "
                "which is meant. Pack it anew."
            )
