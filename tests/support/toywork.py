"""Work in parts that are files with a few bytes, and clusters of real processes to do it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from featx.engines.engine import DamagedError
from featx.storage import files

QUICK = {
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s",
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
    "DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "critical",
}


@dataclass(frozen=True)
class ToyTask:
    """The doing of a part: its file has `content_of` its number."""

    folder: str
    seconds: float = 0.0
    error: Exception | None = None
    bad: tuple[int, ...] = ()

    def __call__(self, number: int) -> bytes:
        """Do a part."""
        time.sleep(self.seconds)
        if number in self.bad:
            if self.error is None:
                os.kill(os.getpid(), signal.SIGKILL)
            else:
                raise self.error
        data = content_of(number)
        if not self.folder:
            return data
        files.write_bytes(Path(self.folder) / f"{number}.part", data)
        return b"written"


def content_of(number: int) -> bytes:
    """Return what the file of a part has."""
    return f"part {number}".encode() * 3


class ToyWork:
    """Such work in a folder; `kept` has the number of each part that was kept, in order."""

    name = "toy"

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.folder = folder
        self.kept: list[int] = []
        self.shared: list[bool] = []
        self._task = ToyTask(str(folder), **changes)
        files.make_folder(folder)

    def stream(self, numbers: Iterable[int]) -> Iterator[int]:
        """Do parts here."""
        for number in numbers:
            self.keep(number, self._task(number))
            yield number

    def task(self, *, shared: bool) -> ToyTask:
        """Return what is sent to workers."""
        self.shared.append(shared)
        return self._task if shared else replace(self._task, folder="")

    def question(self, number: int, *, shared: bool) -> int:
        """Return the number."""
        return number

    def keep(self, number: int, answer: bytes) -> None:
        """Take a part."""
        path = self.folder / f"{number}.part"
        if answer != b"written":
            files.write_bytes(path, answer)
        if not path.is_file() or path.read_bytes() != content_of(number):
            raise DamagedError(f"{path} is not whole.")
        self.kept.append(number)

    def require_whole(self, count: int) -> None:
        """Check that there is each part, and no more."""
        found = {path.name: path.read_bytes() for path in self.folder.glob("*.part")}
        assert found == {f"{number}.part": content_of(number) for number in range(count)}


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


class Processes:
    """A scheduler and workers, as processes that can be killed and started again."""

    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []
        self._supervised = threading.Event()

    def _start(self, tool: str, *arguments: str, **more: str) -> "subprocess.Popen[bytes]":
        support = str(Path(__file__).parent)
        root = str(Path(__file__).parents[2])
        paths = os.pathsep.join([support, root, os.environ.get("PYTHONPATH", "")])
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{tool}", *arguments, "--no-dashboard"],
            env={**os.environ, **QUICK, "PYTHONPATH": paths, **more},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def start_scheduler(self) -> None:
        """Start the scheduler, at the same port each time."""
        self.scheduler = self._start(
            "dask_scheduler", "--host", "127.0.0.1", "--port", str(self.port)
        )

    def start_worker(self, address: str = "") -> "subprocess.Popen[bytes]":
        """Start a worker with one thread."""
        worker = self._start(
            "dask_worker", address or self.address, "--nthreads", "1", "--no-nanny",
            "--host", "127.0.0.1", "--death-timeout", "30",
        )  # fmt: skip
        self.workers.append(worker)
        return worker

    def supervise(self) -> None:
        """Start a worker in place of each that ends, until `end`."""

        def loop() -> None:
            while not self._supervised.wait(0.1):
                for worker in [one for one in self.workers if one.poll() is not None]:
                    self.workers.remove(worker)
                    self.start_worker()

        self._thread = threading.Thread(target=loop, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """End all processes."""
        if hasattr(self, "_thread"):
            self._supervised.set()
            self._thread.join()
        for process in [*self.workers, self.scheduler]:
            if process is not None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                process.wait()


@contextlib.contextmanager
def cluster_of(workers: int) -> Iterator[Processes]:
    """Start a cluster, and end it afterwards."""
    started = Processes()
    try:
        started.start_scheduler()
        for _ in range(workers):
            started.start_worker()
        yield started
    finally:
        started.end()
