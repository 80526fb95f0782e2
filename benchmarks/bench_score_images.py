"""(f) Scoring from images against extracting them, with the same network, in turns.

python benchmarks/bench_score_images.py SOURCE [--images 96] [--rounds 5]
"""

import statistics
import tempfile
from pathlib import Path

import measure

import featx


def main() -> None:
    """Print and write the table."""
    options = measure.arguments(__doc__, source=True, images=96, rounds=5).parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = measure.copied(options.source, folder / "photos", options.images)
        cache, model, table = folder / "f.h5", folder / "m.featx", folder / "s.csv"
        featx.extract(photos, cache)
        featx.fit(cache, model, head="logreg")
        calls = {
            "featx extract": lambda: measure.command(
                "extract", photos, "-o", cache, "--overwrite", "-q"
            ),
            "featx score": lambda: measure.command(
                "score", model, photos, "-o", table, "--overwrite", "-q"
            ),
        }
        times = measure.in_turns(calls, options.rounds)
    rows = [
        {
            "": what,
            **measure.spread(found),
            "images/s": round(options.images / statistics.median(found), 2),
        }
        for what, found in times.items()
    ]
    ratios = {"score against extract": measure.ratio(times, "featx extract", "featx score")}
    measure.tell("score", options, rows, ratios, images=options.images, rounds=options.rounds)


if __name__ == "__main__":
    main()
