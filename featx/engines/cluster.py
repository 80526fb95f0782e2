"""A connection to a Dask cluster, every call of which ends in time."""

import asyncio
import collections
import concurrent.futures
import contextlib
import logging
import queue
import threading
import time
import warnings
from collections.abc import Collection, Coroutine, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from ..errors import IncompatibleError, InputError, StorageError, printable
from .worker import Seen, do_part, look, versions

__all__ = ["Answer", "Cluster", "LostError", "place_of", "require_dask", "unreachable"]

_SECONDS = 20.0  # that a scheduler has to answer a call
_CLOSING = 5.0
_SCHEMES = ("tcp", "tls", "ws", "wss", "ucx", "inproc")
_CHOSEN = 8  # workers that a late part may go to

log = logging.getLogger("featx")


class LostError(Exception):
    """The scheduler is gone, or does not answer."""


class Answer(NamedTuple):
    """What came of an attempt.

    Attributes
    ----------
    key : str
        The attempt.
    data : bytes or None
    error : Exception or None
        What the cluster says why there is no answer.
    """

    key: str
    data: bytes | None
    error: BaseException | None


def require_dask() -> None:
    """Check that Dask's scheduler is installed.

    Raises
    ------
    InputError
    """
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise InputError(
            "--backend dask needs the package distributed. Run: pip install 'featx[cluster]'"
        ) from error


def place_of(scheduler: str) -> dict[str, str]:
    """Return where a scheduler is, as the keywords of Dask's `Client`.

    Raises
    ------
    InputError
        When this is no address.
    LostError
        When its file is missing.
    """
    if scheduler.endswith(".json") or Path(scheduler).is_file():
        if not Path(scheduler).is_file():
            raise LostError(f"there is no file {printable(scheduler)}")
        return {"scheduler_file": scheduler}
    scheme, found, _ = scheduler.partition("://")
    if ":" not in scheduler or (found and scheme not in _SCHEMES):
        raise InputError(
            f"{printable(scheduler)} is not the address of a scheduler. Expected one such as "
            "tcp://HOST:8786, or the file of dask scheduler --scheduler-file."
        )
    return {"address": scheduler}


def unreachable(scheduler: str, reason: object) -> StorageError:
    """Return the error of a scheduler that does not answer."""
    return StorageError(
        f"No scheduler answers at {printable(scheduler)}: {reason}. Start one with `dask "
        "scheduler`, or correct --scheduler."
    )


class Cluster:
    """A connection to a scheduler.

    Parameters
    ----------
    scheduler : str
        Its address, or the file that it wrote its address into.
    seconds : float
        That it has to answer.
    prefix : str
        What keys begin with: they are this run's alone.

    Raises
    ------
    LostError
        When it does not answer.
    InputError
        When this is no address.
    """

    def __init__(self, scheduler: str, seconds: float, prefix: str) -> None:
        from distributed import Client

        where = place_of(scheduler)
        self._quiet = contextlib.ExitStack()
        self._quiet.enter_context(_quiet())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of versions, which `require_same` looks at
                self._client = Client(**where, timeout=seconds, set_as_default=False, name="featx")
        except (ValueError, TypeError, KeyError) as error:
            self._quiet.close()
            raise InputError(
                f"{printable(scheduler)} is not the address of a scheduler: {error}. Expected one "
                "such as tcp://HOST:8786, or the file of dask scheduler --scheduler-file."
            ) from error
        except (TimeoutError, OSError, RuntimeError) as error:
            self._quiet.close()
            raise LostError(str(error) or type(error).__name__) from error
        except BaseException:
            self._quiet.close()
            raise
        self._prefix = prefix
        self._futures: dict[str, Any] = {}
        self._ready: queue.SimpleQueue[Answer | str] = queue.SimpleQueue()
        self._done: collections.deque[str] = collections.deque()  # whose answers are not fetched
        self._fetched = 0
        #: Answers that are fetched at a time: they are in memory.
        self.most_fetched = 1 << 20

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Cancel what is under way, and close the connection."""

        def close() -> None:
            with contextlib.suppress(Exception):
                if self._futures and self._client.status == "running":
                    self._client.cancel(list(self._futures.values()))
            with contextlib.suppress(Exception):
                self._client.close(timeout=_CLOSING)

        # In a thread: a scheduler that hangs must not keep this process from ending.
        closing = threading.Thread(target=close, daemon=True)
        closing.start()
        closing.join(3 * _CLOSING)
        self._futures.clear()
        self._quiet.close()

    def _started(self, call: Coroutine[Any, Any, Any]) -> "concurrent.futures.Future[Any]":
        """Start a coroutine in the thread of the client."""
        loop = self._client.loop
        try:
            if loop is None:
                raise RuntimeError("the client is closed")
            return asyncio.run_coroutine_threadsafe(call, loop.asyncio_loop)  # type: ignore[attr-defined]
        except RuntimeError as error:
            call.close()
            raise LostError(str(error)) from error

    def _call(self, call: Coroutine[Any, Any, Any], seconds: float = _SECONDS) -> Any:
        """Return what a coroutine of the client returns.

        Raises
        ------
        LostError
            When there is no answer.
        """
        future = self._started(call)
        try:
            return future.result(seconds)
        except (OSError, concurrent.futures.CancelledError, RuntimeError, ValueError) as error:
            future.cancel()  # TimeoutError is an OSError
            raise LostError(str(error) or type(error).__name__) from error

    def _ask(self, name: str, **values: Any) -> Any:
        async def asked() -> Any:
            return await getattr(self._client.scheduler, name)(**values)

        return self._call(asked())

    def require_alive(self) -> None:
        """Check that the connection stands.

        Raises
        ------
        LostError
        """
        if self._client.status != "running":
            raise LostError("the connection was closed")

    def require_same_versions(self) -> None:
        """Check that the scheduler has the versions of this process.

        Raises
        ------
        IncompatibleError
        """
        import distributed

        from .. import __version__

        found = self._ask("versions", packages=["featx"])
        python = str(found.get("host", {}).get("python", "")).split(".")[:2]
        packages = found.get("packages", {})
        there = (
            f"featx {packages.get('featx') or 'not at all'}, Python {'.'.join(python)}",
            f"distributed {packages.get('distributed')}",
        )
        here = (versions(), f"distributed {distributed.__version__}")
        if there != here:
            raise IncompatibleError(
                f"The scheduler has {', '.join(there)}, and this process has {', '.join(here)}. "
                f"Install featx[cluster] {__version__} with the same Python on all machines."
            )

    def threads(self) -> dict[str, int]:
        """Return the number of threads of each worker, by its address."""
        return dict(self._ask("ncores"))

    def look(self, workers: Collection[str], token: str, seconds: float) -> list[Seen]:
        """Return what workers say about themselves; those that are busy may say nothing.

        Raises
        ------
        IncompatibleError
            When one of them cannot run featx, or another version of it.
        """
        asked = [
            self._client.submit(
                look, token, workers=[worker], key=f"{self._prefix}-look-{number}", pure=False
            )
            for number, worker in enumerate(workers)
        ]
        end = time.monotonic() + seconds
        while time.monotonic() < end and any(future.status == "pending" for future in asked):
            self.require_alive()
            time.sleep(0.05)
        for future in asked:
            if future.status == "error":
                error = future.exception()
                raise IncompatibleError(
                    f"A worker cannot run featx: {type(error).__name__}: {error}. Install featx "
                    "on all machines of the cluster."
                )
        done = [future for future in asked if future.status == "finished"]

        async def gathered() -> Any:
            return await self._client.gather(done, errors="skip", asynchronous=True)

        found: list[Seen] = self._call(gathered())
        for seen in found:
            if seen.versions != versions():
                raise IncompatibleError(
                    f"A worker on {seen.host} has {seen.versions}, and this process has "
                    f"{versions()}. Install the same versions on all machines."
                )
        return found

    def scattered(self, order: bytes) -> Any:
        """Put what all parts need on a worker, from where the others take it; return a handle."""
        for direct in (True, False):
            with contextlib.suppress(LostError):

                async def scattered(direct: bool = direct) -> Any:
                    return await self._client.scatter(
                        order, hash=False, direct=direct, asynchronous=True
                    )

                return self._call(scattered(), 6 * _SECONDS)
        raise LostError("no worker takes what the parts need")

    def send(
        self, questions: Mapping[str, bytes], order: Any, workers: Collection[str] | None = None
    ) -> None:
        """Send attempts, in one message.

        Parameters
        ----------
        questions : dict
            The question of each attempt.
        order : bytes, str, or what `scattered` returned
            See `worker.do_part`.
        workers : collection of str, optional
            Those that may do it.
        """
        self.require_alive()
        count = len(questions)
        futures = self._client.map(
            do_part,
            [versions()] * count,
            [order] * count,
            list(questions.values()),
            key=[f"{self._prefix}-{key}" for key in questions],
            pure=False,
            workers=None if workers is None else list(workers),
        )
        for key, future in zip(questions, futures, strict=True):
            self._futures[key] = future
            future.add_done_callback(lambda _, key=key: self._ready.put(key))

    def answers(self, seconds: float) -> Iterator[Answer]:
        """Yield the answers that come within this time; at once after the first."""
        end = time.monotonic() + seconds
        while True:
            while self._done and self._fetched < self.most_fetched:
                self._fetch(self._done.popleft())
            try:
                found = self._ready.get(timeout=max(0.001, end - time.monotonic()))
            except queue.Empty:
                return
            if isinstance(found, Answer):
                end = 0
                self._fetched -= 1
                if self._futures.pop(found.key, None) is not None:
                    yield found
            else:
                self._done.append(found)

    def _fetch(self, key: str) -> None:
        """Have an attempt that is finished put its answer into the queue."""
        future = self._futures.get(key)
        if future is None:  # it was dropped
            return
        self._fetched += 1

        async def fetched() -> Any:
            return await self._client.gather(future, direct=True, asynchronous=True)

        def put(done: "concurrent.futures.Future[Any]") -> None:
            if done.cancelled():
                error: BaseException | None = concurrent.futures.CancelledError("cancelled")
            else:
                error = done.exception()
            self._ready.put(Answer(key, None if error else done.result(), error))

        self._started(fetched()).add_done_callback(put)

    def drop(self, keys: Collection[str]) -> None:
        """Cancel attempts whose answer is not needed."""
        gone = [self._futures.pop(key) for key in keys if key in self._futures]
        if gone:

            async def cancelled() -> None:
                await self._client.cancel(gone, asynchronous=True)

            self._call(cancelled())

    def others(self, keys: Collection[str]) -> list[str]:
        """Return workers with little to do, none of which has one of these attempts."""
        mine = {f"{self._prefix}-{key}" for key in keys}
        busy = {worker: set(some) for worker, some in self._ask("processing").items()}
        free = sorted((len(some), worker) for worker, some in busy.items() if not some & mine)
        return [worker for _, worker in free[:_CHOSEN]]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask from telling on standard error what the engine tells by itself."""
    names = ("distributed.client", "distributed.core", "distributed.comm", "distributed.comm.tcp")
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
