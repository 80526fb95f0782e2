"""Scoring from pictures against extracting them, with the same network, in turns.

python benchmarks/bench_score_pictures.py SOURCE [--pictures 256] [--rounds 3]
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import featx


def seconds(*arguments: object) -> float:
    """Return how long a command takes, from start to end."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-m", "featx", *map(str, arguments), "-q"], check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    return time.perf_counter() - begun


def main() -> None:
    """Print pictures a second of both, and the ratio of the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    listed = featx.scan(options.source)
    step = max(1, len(listed) // options.pictures)
    chosen = range(0, len(listed), step)[: options.pictures]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "list.csv"
        rows = (f"{listed.file(i).resolve()},{listed.classes[listed.labels[i]]}\n" for i in chosen)
        source.write_text("path,label\n" + "".join(rows))
        featx.extract(source, folder / "f.h5")
        featx.fit(folder / "f.h5", folder / "m.featx", head="logreg")
        extracting, scoring = [], []
        for number in range(options.rounds):
            extracting.append(seconds("extract", source, "-o", folder / f"{number}.h5"))
            scoring.append(
                seconds("score", folder / "m.featx", source, "-o", folder / f"{number}.csv")
            )
    print("| | seconds | pictures a second, median |")
    print("|---|---|---|")
    for what, times in (("featx extract", extracting), ("featx score", scoring)):
        rate = len(chosen) / statistics.median(times)
        print(f"| {what} | {', '.join(f'{t:.1f}' for t in times)} | {rate:.2f} |")
    ratio = statistics.median(extracting) / statistics.median(scoring)
    print(f"\nscore / extract: {ratio:.3f}, of {len(chosen)} pictures")


if __name__ == "__main__":
    main()
