"""What runs in a worker: one part, whose error is an answer too.

Everything comes as bytes, which neither a scheduler nor a library looks into. Errors come back
as answers, so that an error of a library is never one of the part.
"""

import functools
import pickle
import platform
import socket
import traceback
from dataclasses import dataclass

from ..errors import FeatxError, IncompatibleError, InputError, printable, redacted
from .engine import Task
from .token import content_of, place_of

__all__ = ["Failure", "Seen", "do_part", "look", "opened", "packed", "versions"]

_GOOD, _BAD = b"+", b"-"


@dataclass(frozen=True)
class Seen:
    """What a worker says about itself."""

    host: str
    versions: str
    folder: bool


class Failure(Exception):
    """An error of a part that featx did not raise on purpose; the text has its traceback."""


def versions() -> str:
    """Return the versions that a worker must have in common with the process that sends to it."""
    from .. import __version__

    return f"featx {__version__}, Python {'.'.join(platform.python_version_tuple()[:2])}"


def look(token: str) -> Seen:
    """Return what this worker says about itself."""
    return Seen(socket.gethostname(), versions(), content_of(token, tries=3) is not None)


def packed(task: Task) -> bytes:
    """Return a task as `do_part` takes it, itself or in a token."""
    return pickle.dumps(task, pickle.HIGHEST_PROTOCOL)


def do_part(wanted: str, order: bytes | str, question: bytes) -> bytes:
    """Do a part; return what `opened` takes.

    Parameters
    ----------
    wanted : str
        See `versions`.
    order : bytes or str
        See `packed`; or a token that has it.
    question : bytes
        Pickled; see `engine.Work.question`.
    """
    try:
        if wanted != versions():
            raise IncompatibleError(
                f"A worker on {socket.gethostname()} has {versions()}, and this process has "
                f"{wanted}. Install the same versions on all machines."
            )
        return _GOOD + _task(order)(pickle.loads(question))  # noqa: S301 - of this user's process
    except Exception as error:
        return _BAD + _plain(error)


def opened(answer: bytes) -> tuple[bytes, Exception | None]:
    """Return the answer of a part, or the error that it ended with.

    The error is a `FeatxError`, a MemoryError, or a `Failure`.
    """
    kind, content = answer[:1], answer[1:]
    if kind == _GOOD:
        return content, None
    return b"", pickle.loads(content)  # noqa: S301 - of this user's own worker


@functools.lru_cache(maxsize=2)
def _task(order: bytes | str) -> Task:
    """Return a task; a worker reads it once, and keeps what the task keeps."""
    data = order if isinstance(order, bytes) else content_of(order, tries=3)
    if data is None:
        raise InputError(
            f"A worker on {socket.gethostname()} does not see {printable(place_of(str(order)))}, "
            "which the other workers see. End it, or mount the folder there under the same path, "
            "and run the same command again."
        )
    found: Task = pickle.loads(data)  # noqa: S301 - its digest is what this user's process sent
    return found


def _plain(error: Exception) -> bytes:
    where = socket.gethostname()
    if isinstance(error, FeatxError):
        return pickle.dumps(type(error)(str(error)))
    if isinstance(error, MemoryError):
        return pickle.dumps(MemoryError(f"A worker on {where} has not enough memory."))
    told = redacted("".join(traceback.format_exception(error)).rstrip())
    return pickle.dumps(Failure(f"{type(error).__name__}: {error}\nOn {where}:\n{told}"))
