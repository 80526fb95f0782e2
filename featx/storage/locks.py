"""Locks: only one run at a time writes an output."""

import contextlib
import fcntl
import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import LockedError, printable
from . import files

__all__ = ["lock_output"]

log = logging.getLogger("featx")

_PAUSE = 0.1  # seconds between two tries
_PATIENCE = 2.0  # seconds after which it is told that a lock is waited for


@contextlib.contextmanager
def lock_output(path: Path, *, wait: bool = False, shared: bool = False) -> Iterator[None]:
    """Make the folder of `path`, hold `<path>.lock`, and delete temporary files of killed runs.

    Only one run at a time writes `path`. The lock is the kernel's, freed when the process ends
    however it ends. The lock file is deleted while it is held, and whoever gets the lock of a file
    that has lost its name tries again, so no two runs hold a lock of one name.

    Parameters
    ----------
    path : Path
    wait : bool
        Wait for another run to end, however long that takes.
    shared : bool
        Whether others may hold it in the same way, such as the shares of one extraction.

    Raises
    ------
    LockedError
        When another process holds the lock; the message names its process id and host.
    StorageError
        When the folder cannot be written to.
    """
    files.make_folder(path.parent)
    name = path.with_name(path.name + ".lock")
    with files.storage_errors(name):
        descriptor = _held(name, path, wait, shared)
    try:
        if not shared:
            files.remove_partials(path)
        yield
    finally:
        if shared:  # whoever comes last deletes the file
            shared = not _is_last(descriptor)
        if not shared:
            with contextlib.suppress(OSError):
                files.disk.unlock(name)
        os.close(descriptor)


def _is_last(descriptor: int) -> bool:
    """Tell whether nobody else holds a lock that is shared, and hold it alone if so."""
    try:
        files.disk.lock(descriptor)
    except OSError:
        return False
    return True


def _held(name: Path, path: Path, wait: bool, shared: bool) -> int:
    """Return the descriptor of a lock file that this process holds under its name."""
    waited = 0.0
    while True:
        descriptor = _open_lock(name)
        try:
            _lock(descriptor, path, shared)
            if _has_name(descriptor, name):
                return descriptor
        except BaseException as error:
            os.close(descriptor)
            if not (wait and isinstance(error, LockedError)):
                raise
            waited += _PAUSE
            if _PATIENCE <= waited < _PATIENCE + _PAUSE:
                log.warning("%s It is waited for.", str(error).partition(" Wait for it")[0])
            time.sleep(_PAUSE)
            continue
        os.close(descriptor)  # the run that held it deleted it; there may be another by now


def _open_lock(name: Path) -> int:
    """Open or make a lock file, which whoever may write to its folder may use."""
    try:
        descriptor = files.disk.open(name, os.O_RDWR | os.O_CREAT)
    except PermissionError as error:
        try:  # one that a killed run of another user left
            return files.disk.open(name, os.O_RDONLY)
        except OSError:
            raise error from None
    with contextlib.suppress(OSError):
        os.fchmod(descriptor, 0o644 | name.parent.stat().st_mode & 0o022)
    return descriptor


def _lock(descriptor: int, path: Path, shared: bool) -> None:
    """Lock an open lock file, and write into it who holds it."""
    try:
        files.disk.lock(descriptor, shared)
    except (PermissionError, BlockingIOError) as error:
        holder = os.pread(descriptor, 1000, 0).decode("utf-8", "replace") or "another run"
        raise LockedError(
            f"{printable(path)} is being written by {printable(holder)}. "
            "Wait for it to end, or give another output."
        ) from error
    except OSError as error:
        if error.errno not in files.NOT_OFFERED:
            raise
        files.warn_once(
            "lock",
            f"The file system of {printable(path.parent)} has no locks ({error.strerror}), so "
            "nothing stops two runs from writing the same output. See that only one does.",
        )
    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR:
        files.disk.truncate(descriptor, 0)
        files.disk.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())


def _has_name(descriptor: int, name: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), name.stat())
    except FileNotFoundError:
        return False
