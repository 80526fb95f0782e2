"""A file by which a process tells whether it sees the folder that another one writes into.

It has what workers need to know, so that a message of a hundred bytes is enough to name it.
"""

import contextlib
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import StorageError
from ..storage import files

__all__ = ["content_of", "place_of", "token_in"]

_SUFFIX = ".token"
_DAY = 86400.0
_DIGITS = 32


@contextlib.contextmanager
def token_in(folder: Path, content: bytes) -> Iterator[str]:
    """Write a token into a folder, and delete it afterwards; yield digest and path as a text.

    Raises
    ------
    StorageError
        When it cannot be written.
    """
    for left in folder.glob(f"engine-*{_SUFFIX}"):  # by a process that was killed
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _DAY:
                files.remove(left)
    path = folder.absolute() / f"engine-{secrets.token_hex(4)}{_SUFFIX}"
    files.write_bytes(path, content)
    try:
        yield f"{files.digest(content)[:_DIGITS]} {path}"
    finally:
        with contextlib.suppress(StorageError):  # the folder may be gone
            files.remove(path)


def place_of(token: str) -> str:
    """Return the path of a token."""
    return token.partition(" ")[2]


def content_of(token: str, tries: int = 1) -> bytes | None:
    """Return what a token has; None where this process does not see it, or sees another one.

    Parameters
    ----------
    token : str
        See `token_in`.
    tries : int
        A second apart: file systems of a network show new files late.
    """
    digest, _, path = token.partition(" ")
    for number in range(tries):
        time.sleep(number and 1.0)
        with contextlib.suppress(OSError):
            data = files.read_bytes(Path(path))
            return data if files.digest(data)[:_DIGITS] == digest else None
    return None
