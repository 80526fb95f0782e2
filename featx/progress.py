"""How long work tells its caller how far it is."""

from collections.abc import Callable
from typing import Protocol

__all__ = ["Progress", "adding_up", "ignore_progress"]


class Progress(Protocol):
    """A function that is called again and again while work goes on."""

    def __call__(self, done: int, total: int, detail: int | str | None = None, /) -> None:
        """Take note of how far the work is.

        Parameters
        ----------
        done, total : int
            Units of work that are done, and that there are in all; 0 when that is not known.
        detail : int or str, optional
            A number: how many of `done` were computed in this run, which a rate is of. A text: what
            is under way.
        """


def ignore_progress(done: int, total: int, detail: int | str | None = None, /) -> None:
    """Do nothing: for work that nobody watches."""


def adding_up(progress: Progress | None, total: int) -> Callable[[int], None]:
    """Return a function that is called with the units finished since its last call."""
    told, done = progress or ignore_progress, 0

    def advance(more: int) -> None:
        nonlocal done
        done += more
        told(done, total)

    advance(0)
    return advance
