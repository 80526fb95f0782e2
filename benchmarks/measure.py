"""What the benchmarks share: rounds in turns, the spread, a table, a JSON file, the machine."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

__all__ = [
    "PeakMemory",
    "arguments",
    "command",
    "copied",
    "in_turns",
    "machine",
    "note",
    "peak_of",
    "ratio",
    "sparse_activations",
    "spread",
    "tell",
    "timed",
]

Times = dict[str, list[float]]


def arguments(doc: str, *, source: bool = False, **numbers: int) -> argparse.ArgumentParser:
    """Return a parser with the options that all have; `numbers` are options with their defaults."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if source:
        parser.add_argument("source", type=Path, help="a folder of photographs, in class folders")
    for name, number in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--results", type=Path, default=Path("build/bench"), metavar="FOLDER")
    return parser


def command(*arguments: object) -> str:
    """Run the command line in a process of its own; return what it prints."""
    words = [sys.executable, "-m", "featx", *map(str, arguments)]
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """Call; return what comes of it, and the seconds it took."""
    begun = time.perf_counter()
    return call(), time.perf_counter() - begun


def in_turns(calls: Mapping[str, Callable[[], Any]], rounds: int) -> Times:
    """Call each in turn, round by round; return the seconds of each call."""
    times: Times = {what: [] for what in calls}
    for number in range(rounds):
        for what, call in calls.items():
            times[what].append(timed(call)[1])
            note(f"round {number + 1} of {rounds}: {what}, {times[what][-1]:.2f} s")
    return times


def note(text: str) -> None:
    """Say on a terminal how far it is."""
    if sys.stderr.isatty():
        print(text, file=sys.stderr)


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Return the median, and the lowest and highest, of some rounds."""
    return {
        "median s": round(statistics.median(seconds), 3),
        "min s": round(min(seconds), 3),
        "max s": round(max(seconds), 3),
    }


def ratio(times: Times, over: str, under: str) -> float:
    """Return the ratio of two medians."""
    return statistics.median(times[over]) / statistics.median(times[under])


def tell(
    name: str,
    options: argparse.Namespace,
    rows: Sequence[Mapping[str, Any]],
    ratios: Mapping[str, float],
    **facts: Any,
) -> None:
    """Print a table with its ratios, and write it all to ``NAME.json``."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    about = machine()
    settings = [f"{key} {value}" for key, value in facts.items()]
    where = [str(about["processor"]), f"{about['cores']} cores"]
    print(f"**{name}** ({', '.join(settings + where)})\n")
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    for row in rows:
        print("| " + " | ".join(_cell(row.get(column, "")) for column in columns) + " |")
    if ratios:
        print()
    for what, value in ratios.items():
        print(f"- {what}: {value:.4g}")
    print(flush=True)
    options.results.mkdir(parents=True, exist_ok=True)
    found = {"machine": about, "facts": facts, "rows": list(rows), "ratios": dict(ratios)}
    text = json.dumps(found, indent=1, default=str) + "\n"
    (options.results / f"{name}.json").write_text(text)


def _cell(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def machine() -> dict[str, Any]:
    """Return what the figures are of: processor, cores, memory, system, versions."""
    from featx.network import runtime

    cpu = [line for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = [line for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    packages = ("tensorflow", "keras", "numpy", "scikit-learn", "torch", "onnxruntime", "openvino")
    versions = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "processor": cpu[0].partition(": ")[2] if cpu else platform.processor(),
        "cores": os.cpu_count(),
        "memory GiB": round(int(memory[0].split()[1]) / 2**20, 1) if memory else None,
        "precision": runtime.choose_precision("auto", calibrated=True),
        "system": platform.platform(),
        "python": platform.python_version(),
        **versions,
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def copied(source: Path, folder: Path, count: int) -> Path:
    """Make class folders of `count` photographs of a source, taken evenly, with other bytes.

    A JPEG ends at its end mark; a number after it changes the digest and not the image. So a few
    hundred photographs become as many different ones as are wanted.
    """
    import featx

    listed = featx.scan(source)
    for number in range(count):
        index = number * len(listed) // count if count <= len(listed) else number % len(listed)
        name = listed.classes[listed.labels[index]]
        place = folder / name / f"{number:07d}{listed.file(index).suffix}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(listed.file(index).read_bytes() + b"%d" % number)
    return folder


def sparse_activations(count: int) -> Any:
    """Return random features as sparse as VGG16's, and pools, as an extraction has by default."""
    from featx.network.activations import Activations, PooledLayers
    from featx.network.networks import get_network

    random = np.random.default_rng(0)
    shape = (count, 7, 7, 512)
    features = random.random(shape, np.float32) * (random.random(shape) < 0.16)
    pools = random.random((count, *PooledLayers(get_network("vgg16").pooled).shape), np.float32)
    return Activations(features.astype(np.float16), pools.astype(np.float16))


def peak_of(*command: object) -> tuple[float, float]:
    """Run a command; return its seconds, and the MiB that it and its children had at most."""
    begun = time.perf_counter()
    run = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL)
    with PeakMemory(run.pid) as memory:
        if run.wait():
            raise SystemExit(f"{command} ended with {run.returncode}")
    return time.perf_counter() - begun, memory.peak / 2**20


class PeakMemory:
    """Peak of the unique memory of a process and its children, in bytes, sampled.

    Parameters
    ----------
    pid : int, optional
        By default this process.
    """

    def __init__(self, pid: int | None = None) -> None:
        self._pid = pid

    def __enter__(self) -> "PeakMemory":
        self.peak, self._going = 0, True
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._going = False
        self._thread.join()

    def _watch(self) -> None:
        import psutil

        try:
            first = psutil.Process(self._pid)
            while self._going:
                total = 0
                for process in (first, *first.children(recursive=True)):
                    try:
                        total += process.memory_full_info().uss
                    except psutil.Error:
                        continue
                self.peak = max(self.peak, total)
                time.sleep(0.1)
        except psutil.NoSuchProcess:
            return
