"""Memory and time of very many images, without a network.

Where VGG16 would be, a stand-in makes features of 32-pixel images, (1, 1, 512), from their pixels
in microseconds, so what is measured is all the rest: the list, the parts, the cache, the scores.

- `ten-million`: a manifest of 10 million names. Their files are not there: a second stand-in reads
  each as pixels made of its name. `extract` into a folder; `score` into a CSV file, where only one
  image in 64 has pixels and the others are rows that say so, since a head takes its time too.
- `million`: a million real PNG files of 8 × 8 pixels, all different, decoded as always. `extract`
  into a folder, opening it, and bringing it up to date after 1,000 files were added.

    python benchmarks/bench_scale.py ten-million [--images 10000000] [--work FOLDER]
    python benchmarks/bench_scale.py million [--images 1000000] [--work FOLDER]
"""

import argparse
import contextlib
import hashlib
import json
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import measure
import numpy as np

import featx
from featx.dataset.catalog import Catalog
from featx.images.reader import Read, Reader

_CLASSES = 10
_sparse = False  # whether only some images have pixels
_SETTINGS: dict[str, Any] = {"weights": "random", "size": 32, "layers": (), "precision": "float32"}


def compiled(*_: object) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Stand in for the compiled network."""

    def network(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = np.zeros((len(pixels), 1, 1, 512), np.float32)
        found[:, 0, 0, :64] = pixels.reshape(len(pixels), -1)[:, :64] / 255
        return found, np.empty((len(pixels), 0), np.float32)

    return network


def read_names(
    listed: Catalog, indices: Iterable[int], reader: Reader, window: int
) -> Generator[Read, None, None]:
    """Stand in for the reading of files: pixels are made of the names."""
    pixels = np.zeros((1, 32, 32, 3), np.uint8)
    for index in indices:
        if _sparse and index % 64:
            yield Read("", "vanished", detail="there is no such file")
            continue
        digest = hashlib.sha256(listed.path(index).encode()).digest()
        pixels = pixels.copy()
        pixels[0, 0, :10] = np.frombuffer(digest[:30], np.uint8).reshape(10, 3)
        yield Read(digest.hex(), "", 32, 32, pixels=pixels)


@contextlib.contextmanager
def stand_ins(*, files: bool) -> Iterator[None]:
    """Put the stand-ins where the network, and where the reading of files, would be."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch("featx.network.trunk.compile_network", compiled))
        for name in ("cache.work", "scoring.rows") if files else ():
            stack.enter_context(mock.patch(f"featx.{name}.read_ahead", read_names))
        yield


def manifest(place: Path, count: int) -> None:
    """Write a manifest of names that are not in order."""
    step = 7_368_787  # a prime
    with place.open("w") as file:
        file.write("path,label\n")
        for number in (number * step % count for number in range(count)):
            name = f"{number % _CLASSES:04d}"
            file.write(f"photographs/{name}/some_image_{number:08d}.jpg,{name}\n")


def png(number: int) -> bytes:
    """Return a PNG file of 8 × 8 pixels that no other number has."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    pixels = hashlib.sha256(str(number).encode()).digest() * 2
    rows = b"".join(b"\0" + pixels[8 * row : 8 * row + 8] for row in range(8))
    head = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def photographs(place: Path, numbers: Iterable[int]) -> None:
    """Write such files into class folders."""
    for name in range(_CLASSES):
        (place / f"{name:04d}").mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (place / f"{number % _CLASSES:04d}" / f"{number:08d}.png").write_bytes(png(number))


def small_model(place: Path) -> Path:
    """Return a model that is fitted on such features."""
    if not place.exists():
        photos, cache = place.with_suffix(".photos"), place.with_suffix(".h5")
        photographs(photos, range(100 * _CLASSES))
        featx.extract(photos, cache, **_SETTINGS)
        featx.fit(cache, place, heads=("logreg",))
    return place


def peak() -> int:
    """Return the peak of this process in MiB."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) // 1024


def step(what: str, work: Path) -> None:
    """Do a step in a process of its own; print its seconds and its peak in MiB."""
    global _sparse
    begun, more = time.perf_counter(), {}
    with stand_ins(files=what.startswith("list")):
        if what in ("list-extract", "extract", "add"):
            source = work / ("m.csv" if what == "list-extract" else "photos")
            done = featx.extract(source, work / "f.d", **_SETTINGS)
            more = {"listed": done.listed, "computed": done.computed}
        elif what == "list-score":
            _sparse = True
            scored = featx.score(work / "m.featx", work / "m.csv", work / "s.csv", overwrite=True)
            more = {"listed": scored.listed}
        elif what == "open":
            with featx.Cache.open(work / "f.d") as cache:
                more = {"listed": len(cache)}
        elif what == "model":
            small_model(work / "m.featx")
    print(json.dumps({"seconds": time.perf_counter() - begun, "MiB": peak(), **more}))


def run(what: str, work: Path) -> dict[str, Any]:
    """Have a step done."""
    command = [sys.executable, __file__, "--step", what, "--work", str(work)]
    found = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    told: dict[str, Any] = {"step": what, **json.loads(found.stdout.splitlines()[-1])}
    print(told, flush=True)
    return told


def main() -> None:
    """Print and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=("ten-million", "million"))
    parser.add_argument("--images", type=int)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--step")
    parser.add_argument("--results", type=Path, default=Path("build/bench"), metavar="FOLDER")
    options = parser.parse_args()
    if options.step:
        step(options.step, options.work)
        return
    with contextlib.ExitStack() as stack:
        work = options.work or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        work.mkdir(parents=True, exist_ok=True)
        if options.what == "ten-million":
            count = options.images or 10_000_000
            manifest(work / "m.csv", count)
            rows = [run(what, work) for what in ("model", "list-extract", "list-score")]
        else:
            count = options.images or 1_000_000
            photographs(work / "photos", range(count))
            rows = [run("extract", work), *(run("open", work) for _ in range(3))]
            photographs(work / "photos", range(count, count + 1000))
            rows.append(run("add", work))
    measure.tell(f"scale_{options.what}", options, rows, {}, images=count)


if __name__ == "__main__":
    main()
