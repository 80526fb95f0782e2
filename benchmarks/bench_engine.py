"""What a Dask cluster costs: bytes through the scheduler for a part, and how busy workers are.

A scheduler and worker processes of one thread each run on this machine. All of them, and the
engine, reach the scheduler through a proxy that counts bytes both ways. First the cluster idles
for a while, connected: its heartbeats are the baseline. Then the engine does parts that only
sleep, in a folder that all share: the bytes of the baseline in that time are subtracted. The
efficiency is the sum of the seconds slept, divided by the seconds of the run times the workers;
connecting is in them.

    python benchmarks/bench_engine.py [--parts 500] [--workers 8] [--milliseconds 500]
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import measure

from featx.engines.dask_engine import DaskEngine
from featx.storage import files

_IDLE = 10.0  # seconds


@dataclass(frozen=True)
class SleepTask:
    """A part that sleeps, and writes a small file."""

    folder: str
    digest: str
    seconds: float

    def __call__(self, number: int) -> bytes:
        """Do a part; return as much as a digest has."""
        time.sleep(self.seconds)
        files.write_bytes(Path(self.folder) / f"{number:08d}.part", b"done")
        return b"0" * 64


class SleepWork:
    """Parts that sleep."""

    name = "bench"

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder = folder
        self._task = SleepTask(str(folder), "0" * 64, seconds)

    def stream(self, numbers: Iterable[int]) -> Iterator[int]:
        """Do parts here."""
        for number in numbers:
            self._task(number)
            yield number

    def task(self, *, shared: bool) -> SleepTask:
        """Return the task."""
        if not shared:
            raise RuntimeError("The workers do not see the folder.")
        return self._task

    def question(self, number: int, *, shared: bool) -> int:
        """Return the number."""
        return number

    def keep(self, number: int, answer: bytes) -> None:
        """Check that the part is there."""
        if not (self.folder / f"{number:08d}.part").is_file():
            raise RuntimeError(f"Part {number} is not there.")


class Proxy:
    """A TCP proxy in a thread, which counts the bytes of both directions."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self.count = 0
        self.port = 0
        self._started = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True).start()
        self._started.wait()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await server.serve_forever()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", self._behind)
        except OSError:  # the scheduler is not there yet
            writer.close()
            return
        pipes = self._pipe(reader, there[1]), self._pipe(there[0], writer)
        await asyncio.gather(*pipes, return_exceptions=True)

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                self.count += len(data)
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()


def start(tool: str, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start a process of Dask that can import this module."""
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", f"distributed.cli.{tool}", *arguments, "--no-dashboard"]
    return subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def main() -> None:
    """Print and write the table."""
    # Workers import the task by the name of this module, and not as __main__.
    from bench_engine import SleepWork as Importable
    from distributed import Client

    options = measure.arguments(__doc__, parts=500, workers=8, milliseconds=500).parse_args()
    processes = []
    with tempfile.TemporaryDirectory() as name:
        address = Path(name, "scheduler.json")
        processes.append(
            start("dask_scheduler", "--host", "127.0.0.1", "--port", "0",
                  "--scheduler-file", str(address))
        )  # fmt: skip
        try:
            while not address.exists():
                time.sleep(0.1)
            time.sleep(0.5)
            with Client(scheduler_file=str(address), set_as_default=False) as client:
                port = int(client.scheduler.address.rpartition(":")[2])
            proxy = Proxy(port)
            scheduler = f"tcp://127.0.0.1:{proxy.port}"
            for _ in range(options.workers):
                processes.append(
                    start("dask_worker", scheduler, "--nthreads", "1", "--no-nanny",
                          "--host", "127.0.0.1")
                )  # fmt: skip
            with Client(scheduler, set_as_default=False) as client:
                client.wait_for_workers(options.workers, timeout=120)
                time.sleep(2)
                before = proxy.count
                time.sleep(_IDLE)
                idle = (proxy.count - before) / _IDLE
            folder = Path(name, "parts")
            files.make_folder(folder)
            work = Importable(folder, options.milliseconds / 1000)
            before = proxy.count
            begun = time.perf_counter()
            found = list(DaskEngine(scheduler).run(work, range(options.parts)))
            seconds = time.perf_counter() - begun
            sent = proxy.count - before
        finally:
            for process in processes:
                process.kill()
            for process in processes:
                process.wait()
    if sorted(found) != list(range(options.parts)):
        raise RuntimeError("Not every part was done once.")
    slept = options.parts * options.milliseconds / 1000
    ratios = {
        "bytes a part through the scheduler": round((sent - idle * seconds) / options.parts),
        "efficiency": round(slept / seconds / options.workers, 3),
    }
    row = {
        "parts": options.parts,
        "workers": options.workers,
        "seconds": round(seconds, 1),
        "bytes": sent,
        "idle bytes a second": round(idle),
        **ratios,
    }
    measure.tell("engine", options, [row], ratios)


if __name__ == "__main__":
    main()
