"""What does not answer now may answer the next time."""

import time
from collections.abc import Callable
from typing import TypeVar

from ...errors import StorageError, printable

__all__ = ["PAUSES", "Unreachable", "patient", "unreachable"]

Answer = TypeVar("Answer")

#: Seconds before each further try, when a server does not answer.
PAUSES = (0.5, 2.0, 5.0)


class Unreachable(Exception):
    """A server did not answer as it should; it may the next time."""


def patient(ask: Callable[[], Answer]) -> Answer:
    """Return an answer, and ask again a few times where a server does not give one.

    Raises
    ------
    Unreachable
        When it never does.
    """
    for pause in PAUSES:
        try:
            return ask()
        except Unreachable:
            time.sleep(pause)
    return ask()


def unreachable(name: str, error: Exception) -> StorageError:
    """Return the error that stops a run, as a server does not answer."""
    return StorageError(
        f"{printable(name)} cannot be reached: {printable(error)}. Expected the server to answer. "
        "Finished work is kept: run the same command again when it does."
    )
