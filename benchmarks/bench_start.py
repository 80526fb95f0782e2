"""What costs nothing: help, a rerun of unchanged images, scikit-learn heads on a cache.

Whole processes of the command line; the last column says whether TensorFlow was imported.

    python benchmarks/bench_start.py SOURCE [--images 10000] [--rounds 5]
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import measure
import numpy as np

PROGRAM = """
import sys
from featx.cli import app
try:
    app.main()
finally:
    print("tensorflow" in sys.modules, file=sys.stderr)
"""


def main() -> None:
    """Print and write the table."""
    options = measure.arguments(__doc__, source=True, images=10_000, rounds=5).parse_args()
    imported: dict[str, bool] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = measure.copied(options.source, folder / "photos", options.images)
        few = measure.copied(options.source, folder / "few", 100)
        small = ["--weights", "random", "--size", "32", "-q"]
        cache, model = folder / "few.h5", folder / "m.featx"

        def run(what: str, *arguments: object) -> None:
            command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            imported[what] = done.stderr.split()[-1] == "True"

        many = ["extract", photos, "-o", folder / "f.h5", *small]
        run("first", *many)
        time.sleep(3)  # stamps of files that changed just now are not kept
        run("second", *many)
        run("few", "extract", few, "-o", cache, *small)
        heads = "nearest-centroid,lda,logreg"
        commands = {
            "featx --help": ["--help"],
            f"extract, {options.images:,} unchanged images": many,
            f"compare --heads {heads}": ["compare", cache, "--heads", heads],
            "fit --head logreg": ["fit", cache, "-o", model, "--head", "logreg", "--overwrite"],
            "score from a cache": ["score", model, cache, "-o", folder / "s.csv", "--overwrite"],
        }
        run("fit", *commands["fit --head logreg"])
        calls = {
            what: lambda what=what, command=command: run(what, *command)
            for what, command in commands.items()
        }
        times = measure.in_turns(calls, options.rounds)
    rows = [
        {"": what, **measure.spread(found), "TensorFlow": "yes" if imported[what] else "no"}
        for what, found in times.items()
    ]
    rerun = f"extract, {options.images:,} unchanged images"
    ratios = {
        "seconds of --help": float(np.median(times["featx --help"])),
        "seconds of a rerun of 10,000": float(np.median(times[rerun])) * 10_000 / options.images,
        "commands that imported TensorFlow": float(sum(imported[what] for what in times)),
    }
    measure.tell("start", options, rows, ratios, rounds=options.rounds)


if __name__ == "__main__":
    main()
