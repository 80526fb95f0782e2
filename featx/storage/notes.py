"""Small files about a run for whoever watches it: lines are added, or all of it is renewed.

What is written here helps people and is no result, so nothing waits until it is on the disk.
"""

import contextlib
import os
import secrets
from pathlib import Path

from ..errors import InputError, printable
from . import files

__all__ = ["append", "renew", "require_notes"]

_SAMPLE = 4096  # bytes that tell a text from a cache or a model


def append(path: Path, data: bytes) -> None:
    """Add bytes to the end of a file, which is made where it is missing.

    The file is opened anew each time, so that it can be moved away (by logrotate) meanwhile.

    Raises
    ------
    StorageError
    """
    with files.storage_errors(path):
        descriptor = files.disk.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            _write(descriptor, data)
        finally:
            os.close(descriptor)


def renew(path: Path, data: bytes) -> None:
    """Replace a file by these bytes: whoever reads it sees the old ones or all of the new ones.

    Raises
    ------
    StorageError
    """
    name = path.parent / f"{files.partial_prefix(path)}{secrets.token_hex(4)}.partial"
    with files.storage_errors(path):
        try:
            descriptor = files.disk.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            try:
                _write(descriptor, data)
            finally:
                os.close(descriptor)
            files.disk.replace(name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                files.disk.remove(name)
            raise


def require_notes(option: str, path: Path, begins: tuple[bytes, ...] = (b"",)) -> None:
    """Check that a file may be written as notes: its folder is there, and it is no other file.

    Parameters
    ----------
    option : str
        Who asks, for the message.
    path : Path
    begins : tuple of bytes
        How a file may begin that is there already.

    Raises
    ------
    InputError
        When the folder is missing, or `path` is a folder, begins otherwise, or is no text.
    StorageError
        When the file cannot be read.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InputError(
            f"{option} {printable(path)} is a device or a pipe, which cannot be replaced. Give the "
            "name of a file."
        )
    if not path.parent.is_dir():
        raise InputError(
            f"{option} {printable(path)}: the folder {printable(path.parent)} does not exist. "
            "Make it, or give another file."
        )
    if path.is_dir():
        raise InputError(f"{option} {printable(path)} is a folder. Give the name of a file.")
    if path.is_file():
        with files.storage_errors(path), path.open("rb") as file:
            sample = file.read(_SAMPLE)
        if sample and (b"\0" in sample or not sample.startswith(begins)):
            raise InputError(
                f"{option} {printable(path)} exists and is another kind of file. Give another name."
            )


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[files.disk.write(descriptor, view) :]
