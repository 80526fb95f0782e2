"""A file by which a process tells whether it sees the folder that another one writes into."""

import contextlib
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import StorageError
from ..storage import files

__all__ = ["Token", "is_seen", "token_in"]

_SUFFIX = ".token"
_DAY = 86400.0

#: Path and content of the file.
Token = tuple[str, str]


@contextlib.contextmanager
def token_in(folder: Path) -> Iterator[Token]:
    """Write a token into a folder, and delete it afterwards; yield what to look for.

    Raises
    ------
    StorageError
        When it cannot be written.
    """
    for left in folder.glob(f"engine-*{_SUFFIX}"):  # by a process that was killed
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _DAY:
                files.remove(left)
    word = secrets.token_hex(8)
    path = folder.absolute() / f"engine-{word[:8]}{_SUFFIX}"
    files.write_bytes(path, word.encode())
    try:
        yield str(path), word
    finally:
        with contextlib.suppress(StorageError):  # the folder may be gone
            files.remove(path)


def is_seen(token: Token, tries: int = 1) -> bool:
    """Tell whether this process sees a token.

    Parameters
    ----------
    token : Token
    tries : int
        A second apart: file systems of a network show new files late.
    """
    path, word = token
    for number in range(tries):
        time.sleep(number and 1.0)
        with contextlib.suppress(OSError):
            return files.read_bytes(Path(path)).decode("ascii", "replace") == word
    return False
