"""What does parts of work, and what such work is."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..errors import CorruptError

__all__ = ["DamagedError", "Engine", "InProcess", "Task", "Work"]


class DamagedError(CorruptError):
    """What a worker wrote or sent is not whole: the part is done again."""


class Task(Protocol):
    """The doing of parts, as it is sent to a worker. It can be pickled."""

    def __call__(self, question: Any, /) -> bytes:
        """Do a part, and return what `Work.keep` takes.

        Parameters
        ----------
        question : object
            See `Work.question`.
        """


class Work(Protocol):
    """Work in numbered parts, each of which ends as a file in `folder`.

    Attributes
    ----------
    name : str
        A word for messages and for the keys of a cluster, such as "extract".
    folder : Path
        Where parts go; it exists while an engine runs that sends parts elsewhere.
    """

    name: str
    folder: Path

    def stream(self, numbers: Iterable[int]) -> Iterator[int]:
        """Do parts in this process, in order, reading ahead; yield each that is written."""

    def task(self, *, shared: bool) -> Task:
        """Return what is sent to workers.

        Parameters
        ----------
        shared : bool
            Whether they see `folder`. The task is then a few hundred bytes when it is pickled,
            which say what to read there; else it has all that is needed.
        """

    def question(self, number: int, *, shared: bool) -> Any:
        """Return what a worker needs beside the task: the number where the folder is shared."""

    def keep(self, number: int, answer: bytes) -> None:
        """Take the answer of a worker: write what it brings, or check what it says it wrote.

        An engine keeps a part once, also where two workers have done it.

        Raises
        ------
        DamagedError
            When the part is not whole, or not there: it is done again. Other errors end the run.
        StorageError
            When it cannot be written or read.
        """


class Engine(Protocol):
    """What does parts of work."""

    def run(self, work: Work, numbers: Sequence[int]) -> Generator[int, None, None]:
        """Yield the number of each part as it is finished and kept, in any order.

        Closing the generator ends the work: no further part is begun.
        """


class InProcess:
    """The process that runs it."""

    def run(self, work: Work, numbers: Sequence[int]) -> Generator[int, None, None]:
        """Yield the number of each part as it is finished."""
        yield from work.stream(numbers)
