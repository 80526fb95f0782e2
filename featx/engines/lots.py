"""Parts in lots: several to a message, so that a scheduler has less to pass on."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .engine import Task, Work

__all__ = ["InLots", "lot_size"]

_LENGTH = struct.Struct("<Q")

#: From how many parts on a lot has how many. A lot is what a lost worker costs.
_SIZES = ((10_000, 4), (256, 2))


def lot_size(parts: int) -> int:
    """Return how many parts are sent together, where there are so many in all."""
    return next((size for least, size in _SIZES if parts >= least), 1)


class InLots:
    """Work whose parts are lots of the parts of other work; a lot is called by its first part.

    Parameters
    ----------
    work : Work
    numbers : sequence of int
    size : int

    Attributes
    ----------
    lots : dict of tuple of int
        The parts of each lot.
    """

    def __init__(self, work: Work, numbers: Sequence[int], size: int) -> None:
        self._work = work
        self._kept: set[int] = set()
        starts = range(0, len(numbers), size)
        self.lots = {numbers[at]: tuple(numbers[at : at + size]) for at in starts}
        self.name = work.name
        self.folder: Path = work.folder

    def stream(self, numbers: Iterable[int]) -> Iterator[int]:
        """Do lots in this process."""
        for first in numbers:
            for _ in self._work.stream(self.lots[first]):
                pass
            yield first

    def task(self, *, shared: bool) -> Task:
        """Return what is sent to workers."""
        return _LotTask(self._work.task(shared=shared))

    def question(self, number: int, *, shared: bool) -> Any:
        """Return what a worker needs to know of a lot."""
        return [self._work.question(part, shared=shared) for part in self.lots[number]]

    def keep(self, number: int, answer: bytes) -> None:
        """Take the answer to a lot; a part that was kept before is not kept again."""
        for part, some in zip(self.lots[number], _apart(answer), strict=True):
            if part not in self._kept:
                self._work.keep(part, some)
                self._kept.add(part)


@dataclass(frozen=True)
class _LotTask:
    """The doing of the parts of a lot, one after another."""

    task: Task

    def __call__(self, question: Any) -> bytes:
        """Do the parts; return their answers, each with its length before it."""
        answers = [self.task(one) for one in question]
        return b"".join(_LENGTH.pack(len(answer)) + answer for answer in answers)


def _apart(answers: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(answers):
        (length,) = _LENGTH.unpack_from(answers, start)
        start += _LENGTH.size + length
        yield answers[start - length : start]
