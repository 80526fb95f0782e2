"""Atomic writes, locks, digests: the only module that replaces, locks, syncs or deletes files."""

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from .errors import LockedError, StorageError, shown

__all__ = [
    "digest",
    "file_digest",
    "file_size",
    "lock",
    "make_folder",
    "published",
    "remove",
    "remove_folder",
    "remove_partials",
    "require_space",
    "storage_errors",
    "write_bytes",
]


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
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason += f" ({_free(path):,} bytes are free there)"
        raise StorageError(f"{shown(path)}: {reason}") from error


def _free(path: Path) -> int:
    """Return the bytes that are free where `path` lies or would lie."""
    folder = path
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def require_space(path: Path, needed: int) -> None:
    """Check that `needed` bytes are free where `path` will be written.

    HDF5 can crash the interpreter on a full disk, so this is asked before and not found out after.

    Raises
    ------
    StorageError
        When they are not.
    """
    with storage_errors(path):
        free = _free(path)
    if free < needed:
        raise StorageError(
            f"{shown(path)}: {needed:,} bytes are needed and {free:,} are free. "
            "Free some space and run the same command again; finished work is kept."
        )


def make_folder(path: Path) -> None:
    """Make a folder and its parents; one that is there already is fine."""
    with storage_errors(path):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise StorageError(f"{shown(path)} is a file; a folder is needed there.") from error


@contextlib.contextmanager
def published(path: Path) -> Iterator[Path]:
    """Yield a partial path beside `path`; on success it becomes `path`, on failure it goes.

    The order is: close, flush to disk, replace, flush the folder. Whoever looks at `path` sees
    the old file or the whole new one, whenever the process or the machine stops.
    """
    partial = path.parent / f"{_partial_prefix(path)}{secrets.token_hex(4)}.partial"
    try:
        yield partial
        with storage_errors(path):
            _sync(partial)
            partial.replace(path)
            _sync(path.parent)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _partial_prefix(path: Path) -> str:
    # A name may already have the 255 bytes that a file system allows.
    return f".{digest(os.fsencode(path.name))[:16]}."


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file atomically.

    Raises
    ------
    StorageError
        When it cannot be written; what was there before is then untouched.
    """
    with published(path) as partial, storage_errors(path):
        partial.write_bytes(data)


def remove(path: Path) -> None:
    """Delete a file; one that is gone already is fine."""
    with storage_errors(path):
        path.unlink(missing_ok=True)


def remove_folder(path: Path) -> None:
    """Delete a folder with all that is in it; one that is gone already is fine."""
    with storage_errors(path):
        if path.is_dir():
            shutil.rmtree(path)


def remove_partials(path: Path) -> None:
    """Delete what killed writers of `path` left behind. Call it under the lock."""
    with storage_errors(path):
        for partial in path.parent.glob(f"{_partial_prefix(path)}*.partial"):
            partial.unlink(missing_ok=True)


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold `<path>.lock`, so that one run at a time writes `path`.

    The file stays behind on purpose: the lock is the kernel's, freed when the process ends
    however it ends, and removing the file would let two runs lock two files of one name.

    Raises
    ------
    LockedError
        When another process holds it; the message names its process id and host.
    StorageError
        When the folder cannot be written to.
    """
    name = path.with_name(path.name + ".lock")
    with storage_errors(name):
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise StorageError(f"{shown(name)}: cannot be locked: {error.strerror}") from error
            holder = os.pread(descriptor, 1000, 0).decode("utf-8", "replace") or "another run"
            raise LockedError(
                f"{shown(path)} is being written by {shown(holder)}. "
                "Wait for it to end, or give another output."
            ) from error
        with storage_errors(name):
            os.ftruncate(descriptor, 0)
            me = f"process {os.getpid()} on {socket.gethostname()}"
            os.pwrite(descriptor, me.encode(), 0)
        yield
    finally:
        os.close(descriptor)
