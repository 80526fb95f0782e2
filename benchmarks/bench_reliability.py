"""What syncs, locks, digests and the reading-back take of an extraction.

The real extraction of real photographs, but the network answers at once with features as sparse as
VGG16's; the time inside each safeguard is summed, and set against 25 images a second.

    python benchmarks/bench_reliability.py SOURCE [--rounds 5]
"""

import functools
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measure

import featx
from featx.cache import file as cache
from featx.cache import parts, writer
from featx.network import trunk
from featx.storage import files

RATE = 25  # images a second
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
    """Print milliseconds an image."""
    options = measure.arguments(__doc__, source=True, rounds=5).parse_args()
    sparse = measure.sparse_activations(64)
    trunk.Trunk.activations = lambda self, pixels: sparse.take(slice(len(pixels[0])))  # type: ignore[method-assign]
    for name in ("sync", "lock", "replace", "open", "truncate"):
        setattr(files.Disk, name, timed("syncs, locks, names", getattr(files.Disk, name)))
    files.digest = timed("digest of each image and part", files.digest)
    parts._check = timed("digest of each row", parts._check)
    cache.files.file_digest = timed("digest of the cache", files.file_digest)
    writer._check_written = timed("reading the cache back", writer._check_written)
    rounds: list[Counter[str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds):
            spent.clear()
            done = featx.extract(options.source, Path(folder) / f"{number}.h5", weights="random")
            rounds.append(Counter(spent))
    count = done.cached
    rows = []
    for name in (*sorted(rounds[0]), "all"):
        found = [one.total() if name == "all" else one[name] for one in rounds]
        each = [1000 * seconds / count for seconds in found]
        median = statistics.median(each)
        row = {"": name, "median ms an image": median, "min": min(each), "max": max(each)}
        rows.append({**row, f"% at {RATE} images/s": median * RATE / 10})
    ratios = {"percent of the time at 25 images/s": rows[-1][f"% at {RATE} images/s"]}
    measure.tell("reliability", options, rows, ratios, images=count, rounds=options.rounds)


if __name__ == "__main__":
    main()
