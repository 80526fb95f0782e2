"""Seconds of `featx fit` with its defaults, and of `featx compare`, on synthetic caches.

    python benchmarks/bench_classes.py [--images 3750] [--classes 100] [--rounds 3]

A fifth of the images is held out for the test, so 3,750 images are 3,000 to train.
"""

import statistics
import tempfile
from pathlib import Path

import measure
from synthetic import synthetic


def main() -> None:
    """Print and write the table."""
    options = measure.arguments(__doc__, images=3750, classes=100, rounds=3).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path, model = Path(folder) / "synthetic.h5", Path(folder) / "m.featx"
        synthetic(path, options.images, options.classes)
        calls = {
            "fit": lambda: measure.command("fit", path, "-o", model, "--overwrite", "-q"),
            "compare": lambda: measure.command("compare", path, "-q"),
        }
        times = measure.in_turns(calls, options.rounds)
        peak = model.stat().st_size / 2**20
    rows = [{"": what, **measure.spread(found)} for what, found in times.items()]
    ratios = {"seconds of fit": statistics.median(times["fit"]), "MiB of the model": peak}
    measure.tell("classes", options, rows, ratios, images=options.images,
                 classes=options.classes, rounds=options.rounds)  # fmt: skip


if __name__ == "__main__":
    main()
