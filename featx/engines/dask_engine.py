"""Parts by the workers of a Dask cluster.

What is believed is what `Work.keep` took, and never the scheduler: it may die, and a worker may
die, hang, or answer twice.
"""

import contextlib
import logging
import pickle
import secrets
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import FeatxError, StorageError, printable
from .attempts import Attempts, Limits
from .cluster import Answer, Cluster, LostError, require_dask, unreachable
from .engine import DamagedError, Work
from .lots import InLots, lot_size
from .token import token_in
from .worker import Failure, opened, packed

__all__ = ["DaskEngine"]

_TICK = 0.5  # seconds
_FETCHED = 8  # parts that are in memory, on their way from workers

log = logging.getLogger("featx")


@dataclass(frozen=True)
class DaskEngine:
    """The workers of a Dask cluster.

    Attributes
    ----------
    scheduler : str
        The address of the scheduler, such as ``tcp://HOST:8786``; or the file that it wrote its
        address into.
    limits : Limits
    """

    scheduler: str
    limits: Limits = field(default_factory=Limits)

    def run(self, work: Work, numbers: Sequence[int]) -> Generator[int, None, None]:
        """Yield the number of each part as it is finished and kept, in any order.

        Raises
        ------
        InputError
            When Dask is not installed, or a worker does not see the folder that others see.
        IncompatibleError
            When a worker or the scheduler has other versions.
        StorageError
            When there is no scheduler, there are no workers, or a part kills its workers.
        FeatxError
            What a part ended with.
        """
        require_dask()
        if not numbers:
            return
        lots = InLots(work, numbers, lot_size(len(numbers)))
        for first in self._done(lots):
            yield from lots.lots[first]

    def _done(self, work: InLots) -> Generator[int, None, None]:
        """Yield each lot as it is finished and kept."""
        attempts = Attempts(work.name, list(work.lots), self.limits)
        prefix = f"{work.name}-{secrets.token_hex(3)}"
        with token_in(work.folder, packed(work.task(shared=True))) as token:
            cluster = self._first(prefix)
            while True:
                try:
                    with cluster:
                        yield from _Session(cluster, work, attempts, token, self.limits).finished()
                    return
                except LostError as error:
                    attempts.restart()
                    cluster = self._next(prefix, error)

    def _first(self, prefix: str) -> Cluster:
        try:
            return Cluster(self.scheduler, self.limits.greeting, prefix)
        except LostError as error:
            raise unreachable(self.scheduler, error) from error

    def _next(self, prefix: str, reason: LostError) -> Cluster:
        """Connect again, as soon as the scheduler is there."""
        log.warning(
            "The scheduler at %s is gone (%s). featx connects again when it is back, for %.0f s. "
            "Start it again at the same address; finished parts are kept.",
            printable(self.scheduler), reason, self.limits.patience,
        )  # fmt: skip
        end, pause = time.monotonic() + self.limits.patience, 0.5
        while time.monotonic() < end:
            time.sleep(min(pause, self.limits.longest_pause, max(0.0, end - time.monotonic())))
            pause *= 2
            with contextlib.suppress(LostError):
                cluster = Cluster(self.scheduler, self.limits.longest_pause, prefix)
                log.warning("The scheduler at %s is back.", printable(self.scheduler))
                return cluster
        raise StorageError(
            f"The scheduler at {printable(self.scheduler)} was gone for "
            f"{self.limits.patience:.0f} s. Start it again, and run the same command again: "
            "finished parts are kept."
        )


class _Session:
    """The work on one connection.

    Parameters
    ----------
    cluster : Cluster
    work : Work
    attempts : Attempts
    token : str
        See `token.token_in`.
    limits : Limits
    """

    def __init__(
        self, cluster: Cluster, work: Work, attempts: Attempts, token: str, limits: Limits
    ) -> None:
        self._cluster = cluster
        self._work = work
        self._attempts = attempts
        self._token = token
        self._limits = limits
        self._threads = 0
        self._looked = 0.0
        self._alone_since: float | None = None
        self._shared = True
        self._order: Any = b""

    def finished(self) -> Generator[int, None, None]:
        """Yield the number of each part as it is kept."""
        self._cluster.require_same_versions()
        while not self._threads:
            self._count()
            time.sleep(0 if self._threads else _TICK)
        self._begin()
        while not self._attempts.is_done:
            self._fill()
            for answer in self._cluster.answers(_TICK):
                number = self._take(answer)
                if number is not None:
                    yield number
            self._cluster.require_alive()
            if time.monotonic() - self._looked > self._limits.census:
                self._count()
                self._hurry()

    def _begin(self) -> None:
        """See whether workers see the folder, and make what is sent accordingly."""
        workers = self._cluster.threads()
        seen = self._cluster.look(workers, self._token, self._limits.greeting)
        blind = sorted({one.host for one in seen if not one.folder})
        self._shared = bool(seen) and not blind
        where = printable(self._work.folder)
        if self._shared:
            log.info("%d workers see %s, and write there.", len(seen), where)
        else:
            who = ", ".join(map(printable, blind[:3])) or "No worker that answered"
            log.info(
                "Parts are sent to this process: %s does not see %s. A folder that all machines "
                "see would save the transfer.",
                who, where,
            )  # fmt: skip
            self._cluster.most_fetched = _FETCHED
        self._order = self._ordered()

    def _ordered(self) -> Any:
        if self._shared:
            return self._token
        return self._cluster.scattered(packed(self._work.task(shared=False)))

    def _count(self) -> None:
        """Look how many workers there are.

        Raises
        ------
        StorageError
            When there have been none for too long.
        """
        now = self._looked = time.monotonic()
        self._threads = sum(self._cluster.threads().values())
        if self._threads:
            self._alone_since = None
            return
        if self._alone_since is None:
            self._alone_since = now
            log.warning(
                "The cluster has no workers: featx waits for workers, for %.0f s. Start some with "
                "`dask worker SCHEDULER`.",
                self._limits.patience,
            )
        if now - self._alone_since > self._limits.patience:
            raise StorageError(
                f"The cluster has had no workers for {self._limits.patience:.0f} s. Start some "
                "with `dask worker SCHEDULER --nthreads 1`, and run the same command again: "
                "finished parts are kept."
            )

    def _fill(self) -> None:
        """Send parts until enough are under way, several in one message."""
        most = max(2, round(self._limits.ahead * self._threads))
        free = most - self._attempts.running
        if free < max(1, self._threads):
            return
        numbers = [number for _ in range(free) if (number := self._attempts.next()) is not None]
        if numbers:
            self._send(numbers)

    def _send(self, numbers: Sequence[int], workers: Sequence[str] | None = None) -> None:
        questions = {
            self._attempts.sent(number, time.monotonic()): pickle.dumps(
                self._work.question(number, shared=self._shared)
            )
            for number in numbers
        }
        self._cluster.send(questions, self._order, workers)

    def _hurry(self) -> None:
        """Send parts that are late once more, to workers that do not have them."""
        for keys in self._attempts.late(time.monotonic()):
            others = self._cluster.others(keys)
            number = self._attempts.number(keys[0])
            if others and number is not None:
                log.info("Part %d is late: another worker does it too.", number)
                self._send([number], others)

    def _take(self, answer: Answer) -> int | None:
        """Take an answer; return the number of the part when it is kept."""
        number = self._attempts.number(answer.key)
        if number is None:
            return None
        if answer.data is None:
            self._cluster.require_alive()
            self._broken(answer, number)
            return None
        content, error = opened(answer.data)
        if error is not None:
            self._failed(answer.key, number, error)
            return None
        try:
            self._keep(number, content)
        except DamagedError as error:
            log.warning("Part %d is not whole, and is computed again: %s", number, error)
            if not self._attempts.failed(answer.key, self._limits.tries):
                raise
            return None
        self._cluster.drop(self._attempts.kept(answer.key, time.monotonic()))
        return number

    def _keep(self, number: int, content: bytes) -> None:
        try:
            self._work.keep(number, content)
        except DamagedError:
            if not self._shared:
                raise
            time.sleep(1.0)  # file systems of a network show new files late
            self._work.keep(number, content)

    def _broken(self, answer: Answer, number: int) -> None:
        """Send a part again whose worker died, or which the scheduler knows nothing of."""
        reason = f"{type(answer.error).__name__}: {answer.error}"
        log.warning("Part %d is sent again: %s", number, reason.partition("\n")[0])
        if not self._attempts.failed(answer.key, self._limits.tries):
            raise self._attempts.given_up(number, reason)
        if not self._shared:  # it may have been the worker that had what all parts need
            self._order = self._ordered()

    def _failed(self, key: str, number: int, error: Exception) -> None:
        """Send a part again that ended with an error, or raise that."""
        may_pass = not isinstance(error, FeatxError) or isinstance(error, StorageError)
        if may_pass and self._attempts.failed(key, self._limits.task_tries):
            log.warning("Part %d is tried again: %s", number, str(error).partition("\n")[0])
            return
        if isinstance(error, Failure):
            raise RuntimeError(f"Part {number} of {self._work.name} failed: {error}")
        raise error
