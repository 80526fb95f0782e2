"""A Dask cluster that is treated badly: the same bytes as one process, and what that costs.

A scheduler and workers are real processes on this machine. VGG16 with random weights sees images of
32 pixels (photographs where a folder is given, else generated ones), so that a part takes about a
second; the cluster extracts them into a file, then scores them. While it extracts: workers are
killed at random moments, one is stopped for a minute, the scheduler is killed and started again.

    python benchmarks/bench_cluster.py [--images 2000] [--workers 4] [--kills 20] [--stopped 60]

With `--efficiency N`, N workers have a stand-in for the network that sleeps for a fixed time in
each batch of 16, so that one machine can hold them all. A part is 128 images, which are really read
and decoded. The efficiency is the time that the batches take by N workers, of the time that the
whole of `extract` takes. With 267 ms, as int8 takes, 8 workers need more than one of two cores for
decoding alone.

    python benchmarks/bench_cluster.py --efficiency 8 [--milliseconds 1000] [--rounds 6]
"""

import contextlib
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import measure
from bench_scale import photographs

import featx
from featx.cache import plan

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from generated import write_image
from toywork import Processes, cluster_of

_SETTINGS: dict[str, Any] = {"weights": "random", "size": 32, "precision": "float32"}
_PRELOAD = """
import os
from featx.cache import work

done = getattr(work, "counts", work._done)  # Dask may load this twice
work.counts = done

def counted(run, images, known):
    with open({log!r}, "a") as file:
        file.write(images.paths[0] + "\\n")
    return done(run, images, known)

work._done = counted
"""


_STAND_IN = """
import sys
import time

sys.path.insert(0, {benchmarks!r})
import bench_scale
from featx.network import trunk

def compiled(*given):
    network = bench_scale.compiled(*given)

    def slow(pixels):
        time.sleep({seconds!r})
        return network(pixels)

    return slow

trunk.compile_network = compiled
"""


def efficiency(options: Any) -> None:
    """Print and write how much of the time of so many workers is spent in their networks."""
    parts, batch = options.efficiency * options.rounds, options.milliseconds / 1000
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        photographs(work / "photos", range(128 * parts))
        preload = work / "standin.py"
        text = _STAND_IN.format(benchmarks=str(Path(__file__).parent), seconds=batch)
        preload.write_text(text)
        with preloading(preload), cluster_of(options.efficiency) as cluster:
            where: dict[str, Any] = {"backend": "dask", "scheduler": cluster.address}
            warm = work / "warm"
            photographs(warm, range(10**9, 10**9 + 128 * options.efficiency))
            featx.extract(warm, work / "warm.d", layers=(), **_SETTINGS, **where)
            done, seconds = measure.timed(
                lambda: featx.extract(
                    work / "photos", work / "f.d", layers=(), **_SETTINGS, **where
                )
            )
    ideal = parts * 128 / 16 * batch / options.efficiency
    row = {"parts": parts, "images": done.listed, "seconds": seconds, "of networks": ideal}
    facts = {"workers": options.efficiency, "milliseconds": options.milliseconds}
    measure.tell("efficiency", options, [row], {"efficiency": ideal / seconds}, **facts)


def generated(place: Path, count: int) -> Path:
    """Write different images into class folders."""
    for number in range(count):
        folder = place / ("red", "green", "blue", "grey")[number % 4]
        folder.mkdir(parents=True, exist_ok=True)
        write_image(folder / f"{number:05d}.png", number)
    return place


class Trouble:
    """What happens to a cluster while it works.

    Parameters
    ----------
    cluster : Processes
    kills : int
    stopped : int
        Seconds that a worker stands still.
    """

    def __init__(self, cluster: Processes, kills: int, stopped: int) -> None:
        self._cluster = cluster
        self._random = random.Random(0)
        self._left = {"kills": kills, "stops": 1, "schedulers": 1}
        self._stopped = stopped
        self._timers: list[threading.Timer] = []
        self.happened = dict.fromkeys(self._left, 0)
        self.kills = kills

    def __call__(self, done: int, total: int, _: object = None) -> None:
        """Make trouble by how far the work is."""
        share = done / total
        if self._left["schedulers"] and share > 0.5:
            self._note("schedulers")
            assert self._cluster.scheduler
            self._cluster.scheduler.kill()
            self._cluster.scheduler.wait()
            self._later(3.0, self._cluster.start_scheduler)
        elif self._left["stops"] and share > 0.2 and self._cluster.workers:
            self._note("stops")
            worker = self._cluster.workers[0]
            os.kill(worker.pid, signal.SIGSTOP)
            self._later(self._stopped, lambda: _go_on(worker.pid))
        elif self._left["kills"] > self.kills * (1 - share) and self._cluster.workers:
            self._note("kills")
            self._random.choice(self._cluster.workers).kill()

    def _note(self, what: str) -> None:
        self._left[what] -= 1
        self.happened[what] += 1

    def _later(self, seconds: float, call: Any) -> None:
        timer = threading.Timer(seconds, call)
        timer.start()
        self._timers.append(timer)

    def end(self) -> None:
        """Wait for what is still to come."""
        for timer in self._timers:
            timer.join()


def _go_on(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def counting(cluster_log: Path) -> Iterator[None]:
    """Have workers write down each part that they do."""
    preload = cluster_log.with_suffix(".py")
    preload.write_text(_PRELOAD.format(log=str(cluster_log)))
    with preloading(preload):
        yield


@contextlib.contextmanager
def preloading(preload: Path) -> Iterator[None]:
    """Have workers that are started run a program first."""
    os.environ["DASK_DISTRIBUTED__WORKER__PRELOAD"] = f"['{preload}']"
    try:
        yield
    finally:
        del os.environ["DASK_DISTRIBUTED__WORKER__PRELOAD"]


def main() -> None:
    """Print and write the table."""
    parser = measure.arguments(__doc__, images=2000, workers=4, kills=20, stopped=60, part=32,
                               efficiency=0, rounds=6, milliseconds=1000)  # fmt: skip
    parser.add_argument("--source", type=Path)
    options = parser.parse_args()
    if options.efficiency:
        efficiency(options)
        return
    plan.PART_ROWS = options.part
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        photos = options.source or generated(work / "photos", options.images)
        alone, seconds_alone = measure.timed(
            lambda: featx.extract(photos, work / "alone.h5", batch=16, **_SETTINGS)
        )
        featx.fit(work / "alone.h5", work / "m.featx", heads=("logreg",))
        featx.score(work / "m.featx", photos, work / "alone.csv")
        log = work / "parts.log"
        rows: list[dict[str, Any]] = [{"what": "one process", "seconds": seconds_alone}]
        with counting(log), cluster_of(options.workers) as cluster:
            cluster.supervise()
            where: dict[str, Any] = {"backend": "dask", "scheduler": cluster.address}
            trouble = Trouble(cluster, options.kills, options.stopped)
            done, seconds = measure.timed(
                lambda: featx.extract(
                    photos, work / "cluster.h5", batch=16, progress=trouble, **_SETTINGS, **where
                )
            )
            trouble.end()
            begun = log.read_text().splitlines()
            parts = -(-done.listed // options.part)
            rows.append(
                {
                    "what": "cluster in trouble",
                    "seconds": seconds,
                    **trouble.happened,
                    "parts": parts,
                    "begun again": len(begun) - len(set(begun)),
                }
            )
            began = time.monotonic()
            featx.score(work / "m.featx", photos, work / "cluster.csv", **where)
            rows.append({"what": "cluster scores", "seconds": time.monotonic() - began})
        same = {
            "features": (work / "alone.h5").read_bytes() == (work / "cluster.h5").read_bytes(),
            "scores": (work / "alone.csv").read_bytes() == (work / "cluster.csv").read_bytes(),
        }
        measure.tell("cluster", options, rows, {f"same {k}": float(v) for k, v in same.items()})
        if not all(same.values()) or done.computed != alone.computed:
            sys.exit(f"The bytes are not the same: {same}")


if __name__ == "__main__":
    main()
