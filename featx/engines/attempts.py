"""Which parts wait, which are under way, which are late, and when a part is given up."""

import statistics
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..errors import StorageError

__all__ = ["Attempts", "Limits"]

_REMEMBERED = 200  # durations, which the median is of
_FEWEST = 3


@dataclass(frozen=True)
class Limits:
    """Numbers that decide how an engine treats a cluster.

    Attributes
    ----------
    ahead : float
        Parts that are sent to a cluster at a time, for each thread of its workers.
    tries : int
        How often a part is sent whose worker dies, or whose file is not whole.
    task_tries : int
        How often a part is sent that ends with an error of its own.
    late_factor, late_seconds : float
        A part is late after this multiple of the median, and these seconds more.
    at_once : int
        Workers that may do the same part, because it is late.
    patience : float
        Seconds to wait for workers, or for a scheduler that went away.
    greeting : float
        Seconds that a scheduler has to answer at the start, and that workers have to say what they
        see.
    longest_pause : float
        Seconds between two attempts to connect, at most.
    census : float
        Seconds between two looks at the workers.
    """

    ahead: float = 3.0
    tries: int = 5
    task_tries: int = 2
    late_factor: float = 4.0
    late_seconds: float = 5.0
    at_once: int = 3
    patience: float = 600.0
    greeting: float = 20.0
    longest_pause: float = 10.0
    census: float = 5.0


@dataclass
class _Part:
    """A part that is under way."""

    since: dict[str, float] = field(default_factory=dict)


class Attempts:
    """The parts of some work, each of which is tried until it is kept.

    Parameters
    ----------
    name : str
        Of the work.
    numbers : iterable of int
    limits : Limits
    """

    def __init__(self, name: str, numbers: Iterable[int], limits: Limits) -> None:
        self._name = name
        self._limits = limits
        self._waiting = deque(numbers)
        self._running: dict[int, _Part] = {}
        self._numbers: dict[str, int] = {}  # of each key
        self._failures: dict[int, int] = {}
        self._took: deque[float] = deque(maxlen=_REMEMBERED)
        self._sent = 0

    @property
    def is_done(self) -> bool:
        """Whether every part is kept."""
        return not self._waiting and not self._running

    @property
    def running(self) -> int:
        """How many parts are under way."""
        return len(self._running)

    def next(self) -> int | None:
        """Take the next part that is to be sent."""
        return self._waiting.popleft() if self._waiting else None

    def sent(self, number: int, now: float) -> str:
        """Note that a part is sent; return the word that is this attempt's alone."""
        self._sent += 1
        key = f"{number}.{self._sent}"
        self._running.setdefault(number, _Part()).since[key] = now
        self._numbers[key] = number
        return key

    def number(self, key: str) -> int | None:
        """Return the part of an attempt; None when that attempt no longer counts."""
        return self._numbers.get(key)

    def kept(self, key: str, now: float) -> list[str]:
        """Note that the part of an attempt is kept; return the other attempts at it."""
        number = self._numbers[key]
        part = self._running.pop(number)
        self._took.append(now - part.since[key])
        self._failures.pop(number, None)
        for other in part.since:
            del self._numbers[other]
        return [other for other in part.since if other != key]

    def again(self, key: str) -> None:
        """Note that an attempt came to nothing, through no fault of the part."""
        number = self._numbers.pop(key)
        part = self._running[number]
        del part.since[key]
        if not part.since:
            del self._running[number]
            self._waiting.appendleft(number)

    def failed(self, key: str, most: int) -> bool:
        """Note that an attempt failed; return False when it was the last that a part has."""
        number = self._numbers[key]
        self._failures[number] = self._failures.get(number, 0) + 1
        self.again(key)
        return self._failures[number] < most

    def given_up(self, number: int, reason: object) -> StorageError:
        """Return the error of a part whose workers died, again and again."""
        return StorageError(
            f"Part {number} of {self._name} was sent to workers {self._failures[number]} times, "
            f"and none finished it: {reason} Look at the logs of the workers; they may lack "
            "memory. Then run the same command again: finished parts are kept."
        )

    def late(self, now: float) -> list[list[str]]:
        """Return the attempts at each part that is late, and may be sent once more.

        The newest attempt counts, so that a part is sent a third time when the second is late too.
        """
        if len(self._took) < _FEWEST:
            return []
        most = self._limits.late_factor * statistics.median(self._took) + self._limits.late_seconds
        return [
            list(part.since)
            for part in self._running.values()
            if len(part.since) < self._limits.at_once and now - max(part.since.values()) > most
        ]

    def restart(self) -> list[str]:
        """Have all parts wait that are under way: the cluster knows nothing of them any more."""
        gone = list(self._numbers)
        for key in gone:
            self.again(key)
        return gone
