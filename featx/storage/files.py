"""Atomic writes and digests: the only module that replaces, locks, syncs or deletes files.

Every change of a file goes through `disk`, which has one method for each kind of call, so that
tests can replace it by one that fails, keeps a record, or kills the process.
"""

import contextlib
import errno
import fcntl
import hashlib
import io
import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError, StorageError, printable

__all__ = [
    "NOT_OFFERED",
    "Disk",
    "Partial",
    "Stamp",
    "atomic_write",
    "digest",
    "disk",
    "file_digest",
    "file_size",
    "make_folder",
    "partial_prefix",
    "read_bytes",
    "remove",
    "remove_folder",
    "remove_partials",
    "rename",
    "require_new",
    "require_space",
    "stamp",
    "storage_errors",
    "sync_folder",
    "warn_once",
    "write_bytes",
]

log = logging.getLogger("featx")


class Disk:
    """The calls that change what is on a disk; each raises `OSError`."""

    def open(self, path: Path, flags: int) -> int:
        """Return a descriptor."""
        return os.open(path, flags | os.O_CLOEXEC, 0o644)

    def lock(self, descriptor: int, shared: bool = False) -> None:
        """Lock the whole file, for this process alone or with others, or fail at once."""
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)

    def unlock(self, name: Path) -> None:
        """Delete the file of a lock that is held; closing it frees the lock."""
        os.unlink(name)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        """Write at the descriptor's position and return how many bytes were written."""
        return os.write(descriptor, data)

    def truncate(self, descriptor: int, size: int) -> None:
        """Set the size of a file."""
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        """Wait until a file, or the entries of a folder, are on the disk."""
        os.fsync(descriptor)

    def replace(self, old: Path, new: Path) -> None:
        """Rename a file, replacing the target if it exists."""
        os.replace(old, new)

    def remove(self, path: Path) -> None:
        """Delete a file."""
        os.unlink(path)

    def make_folder(self, path: Path) -> None:
        """Make a folder; one that is there already is fine."""
        path.mkdir(exist_ok=True)

    def remove_folder(self, path: Path) -> None:
        """Delete an empty folder."""
        path.rmdir()


_AGAIN = "Free some space and run the same command again; finished work is kept."

#: What a file system answers that does not offer a call, as some network and FUSE ones do.
NOT_OFFERED = frozenset((errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK))
_warned: set[str] = set()

#: The disk that every function of this module uses.
disk = Disk()


def digest(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def file_digest(path: Path, skip: int = 0) -> str:
    """Return the SHA-256 of a file from byte `skip` on, as 64 hexadecimal digits."""
    with storage_errors(path), path.open("rb") as file:
        file.seek(skip)
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_size(path: Path) -> int:
    """Return the size of a file in bytes."""
    with storage_errors(path):
        return path.stat().st_size


def read_bytes(path: Path) -> bytes:
    """Return all bytes of a file."""
    with storage_errors(path):
        return path.read_bytes()


class Stamp(NamedTuple):
    """The values that change when a file does: bytes, two times in nanoseconds, and the inode."""

    size: int
    modified: int
    changed: int
    inode: int


def stamp(status: os.stat_result) -> Stamp:
    """Return the stamp of a file from what `os.stat` says."""
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn an `OSError` into a `StorageError` that names the path and, on a full disk, the space.

    Raises
    ------
    StorageError
        In place of any `OSError` of the block.
    """
    try:
        yield
    except StorageError:  # one within another
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason += f" ({_free(path):,} bytes are free there now, and more are needed). {_AGAIN}"
        raise StorageError(f"{printable(path)}: {reason}") from error


def _free(path: Path) -> int:
    """Return the bytes that are free where `path` lies or would lie."""
    folder = path
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def require_new(path: Path, overwrite: bool) -> None:
    """Check that an output does not exist yet, or may be replaced.

    Raises
    ------
    InputError
        When it exists and `overwrite` is false.
    """
    if path.exists() and not overwrite:
        raise InputError(
            f"{printable(path)} exists. Give another output, or add --overwrite to replace it."
        )


def require_space(path: Path, needed: int) -> None:
    """Check that `needed` bytes are free where `path` will be written.

    HDF5 can crash the interpreter on a full disk, so the space is checked before the work.

    Raises
    ------
    StorageError
        When they are not.
    """
    with storage_errors(path):
        free = _free(path)
    if free < needed:
        raise StorageError(
            f"{printable(path)}: {needed:,} bytes are needed and {free:,} are free. {_AGAIN}"
        )


def make_folder(path: Path) -> None:
    """Make a folder and its parents; one that is there already is fine."""
    with storage_errors(path):
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        for folder in reversed(missing):
            disk.make_folder(folder)
            sync_folder(folder.parent)
    if not path.is_dir():
        raise StorageError(f"{printable(path)} is a file; a folder is needed there.")


class Partial(io.RawIOBase):
    """A temporary file, open for writing and reading, that does not have its final name yet.

    The first error of a write is kept, nothing is written after it, and `atomic_write` raises it.
    HDF5, which crashes the interpreter when a write fails, never sees it; `check` raises it early.

    Attributes
    ----------
    path : Path
        The temporary name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._error: OSError | None = None
        self._descriptor = disk.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)

    def check(self) -> None:
        """Raise the first error of a write.

        Raises
        ------
        OSError
        """
        if self._error:
            raise self._error

    def sync(self) -> None:
        """Wait until all data is on the disk; raise the first error of a write."""
        self.check()
        _sync(self._descriptor, self.path.parent)

    # The methods that `io.RawIOBase` needs.

    def writable(self) -> bool:
        """Return True."""
        return True

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: bytes | memoryview) -> int:  # type: ignore[override]
        """Write all of the data."""
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view) and not self._error:
            try:
                done += disk.write(self._descriptor, view[done:])
            except OSError as error:
                self._error = error
        return len(view)

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read into a buffer and return how many bytes there were."""
        data = os.read(self._descriptor, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position."""
        return os.lseek(self._descriptor, offset, whence)

    def truncate(self, size: int | None = None) -> int:
        """Set the size, by default to the position."""
        size = self.tell() if size is None else size
        if not self._error:
            try:
                disk.truncate(self._descriptor, size)
            except OSError as error:
                self._error = error
        return size

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            os.close(self._descriptor)
        super().close()


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Partial]:
    """Write to a temporary file beside `path`; rename it on success, delete it on error.

    The order is: flush to disk, close, replace, flush the folder. Whoever looks at `path` sees
    the old file or the whole new one, whenever the process or the machine stops.

    Raises
    ------
    StorageError
        In place of any `OSError` of the block.
    """
    name = path.parent / f"{partial_prefix(path)}{secrets.token_hex(4)}.partial"
    with storage_errors(path):
        partial = Partial(name)
        try:
            with partial:
                yield partial
                partial.sync()
            disk.replace(name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                disk.remove(name)
            raise
        sync_folder(path.parent)


def partial_prefix(path: Path) -> str:
    """Return what the names of temporary files of `path` begin with."""
    # A name may already have the 255 bytes that a file system allows.
    return f".{digest(os.fsencode(path.name))[:16]}."


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = disk.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _sync(descriptor, path)
    finally:
        os.close(descriptor)


def _sync(descriptor: int, folder: Path) -> None:
    """Wait until a file or folder is on the disk, where the file system offers that."""
    try:
        disk.sync(descriptor)
    except OSError as error:
        if error.errno not in NOT_OFFERED:
            raise
        warn_once(
            "sync",
            f"The file system of {printable(folder)} cannot be told to write to the disk at once "
            f"({error.strerror}). The run goes on; only a loss of power could cost the last files.",
        )


def warn_once(what: str, message: str) -> None:
    """Warn of what a file system lacks; once in a process."""
    if what not in _warned:
        _warned.add(what)
        log.warning(message)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file atomically.

    Raises
    ------
    StorageError
        When it cannot be written; what was there before is then untouched.
    """
    require_space(path, len(data))
    with atomic_write(path) as partial:
        partial.write(data)


def rename(old: Path, new: Path) -> None:
    """Give a file another name, in place of the file that has it, if there is one."""
    with storage_errors(old):
        disk.replace(old, new)
    sync_folder(new.parent)


def remove(path: Path) -> None:
    """Delete a file; one that is gone already is fine."""
    with storage_errors(path), contextlib.suppress(FileNotFoundError):
        disk.remove(path)


def remove_folder(path: Path) -> None:
    """Delete a folder of files, in the order of their names; one that is gone already is fine."""
    with storage_errors(path):
        if path.is_dir():
            for file in sorted(path.iterdir()):
                remove(file)
            disk.remove_folder(path)


def remove_partials(path: Path) -> None:
    """Delete the temporary files that killed writers of `path` left. Call it under the lock."""
    with storage_errors(path):
        for partial in path.parent.glob(f"{partial_prefix(path)}*.partial"):
            remove(partial)
