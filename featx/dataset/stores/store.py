"""A store: what gives the bytes of an image by its path in a catalog."""

import os
import time
from typing import Any, ClassVar

from ...storage import files

__all__ = ["NotRead", "Store", "stamp_of_file"]

# Nanoseconds after which another change of a file has another time, on any file system.
_SETTLED = 2_000_000_000


class NotRead(Exception):
    """An image cannot be read, though what holds it can.

    Attributes
    ----------
    reason : str
        ``vanished``, ``unreadable`` or ``too_large``; see `decode.REASONS`.
    detail : str
        A sentence about it, or "".
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class Store:
    """Where images are that are no files of their own.

    A store is small: plain values that say where to look, without credentials. It can be pickled
    and sent to a process on another machine, which opens the same archive or bucket by itself.
    Several threads may read at a time.
    """

    #: What `as_dict` calls it; see `kinds.KINDS`.
    kind: ClassVar[str]
    #: Whether a read waits for a network more than it computes, so that many go on at a time.
    is_remote: ClassVar[bool] = False

    def read(self, path: str, most: int) -> bytes:
        """Return the bytes of an image.

        Parameters
        ----------
        path : str
            As the catalog has it.
        most : int
            Of more bytes than these, at most one more is ever in memory.

        Raises
        ------
        NotRead
            When this image cannot be read.
        StorageError
            When nothing can be read: the server does not answer, or the disk fails.
        CorruptError
            When what holds the images is damaged or was changed meanwhile.
        """
        raise NotImplementedError

    def stamp(self, path: str) -> files.Stamp | None:
        """Return what changes when the image does; None where that is not known without reading."""
        return None

    def as_dict(self) -> dict[str, Any]:
        """Return the store as plain values without credentials; see `kinds.store_from_dict`."""
        return {"kind": self.kind, **vars(self)}


def stamp_of_file(path: str | os.PathLike[str]) -> files.Stamp | None:
    """Return the stamp of a file that holds images; None where it changed just now."""
    try:
        stamp = files.stamp(os.stat(path))
    except OSError:
        return None
    is_settled = max(stamp.modified, stamp.changed) < time.time_ns() - _SETTLED
    return stamp if is_settled else None
