"""What syncs, locks, digests and the reading-back take of an extraction.

The real extraction of real photographs, but the network answers at once with features as sparse as
VGG16's; the time inside each safeguard is summed, and set against 25 pictures a second.

    python benchmarks/bench_reliability.py SOURCE [--rounds 5]
"""

import argparse
import functools
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import featx
from featx import assembly, cache, files, parts, trunk

RATE = 25  # pictures a second
spent: Counter[str] = Counter()
inside = 0


def timed(what: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with its time summed, but not that of safeguards inside safeguards."""

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        global inside
        inside += 1
        begun = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            inside -= 1
            if not inside:
                spent[what] += time.perf_counter() - begun

    return call


def main() -> None:
    """Print milliseconds a picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    sparse = random.random((64, 7, 7, 512), np.float32) * (random.random((64, 7, 7, 512)) < 0.16)
    sparse = sparse.astype(np.float16)
    trunk.Trunk.features = lambda self, pixels: sparse[: len(pixels)]  # type: ignore[method-assign]
    for name in ("sync", "lock", "replace", "open", "truncate"):
        setattr(files.Disk, name, timed("syncs, locks, names", getattr(files.Disk, name)))
    files.digest = timed("digest of each picture and part", files.digest)
    parts._check = timed("digest of each row", parts._check)
    cache.files.file_digest = timed("digest of the cache", files.file_digest)
    assembly._check_written = timed("reading the cache back", assembly._check_written)
    rounds: list[Counter[str]] = []
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        for number in range(options.rounds):
            spent.clear()
            done = featx.extract(options.source, Path(folder) / f"{number}.h5", weights="random")
            rounds.append(Counter(spent))
    count = done.cached
    print(f"{count} pictures; medians of {options.rounds} rounds\n")
    print("| | ms a picture | share at 25 pictures/s |")
    print("|---|---|---|")
    names = sorted(rounds[0])
    for name in names:
        median = statistics.median(found[name] for found in rounds) / count
        print(f"| {name} | {1000 * median:.3f} | {100 * median * RATE:.2f} % |")
    total = statistics.median(sum(found.values()) for found in rounds) / count
    print(f"| all | {1000 * total:.3f} | {100 * total * RATE:.2f} % |")


if __name__ == "__main__":
    main()
