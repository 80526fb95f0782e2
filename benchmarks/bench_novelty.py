"""Novelty of each set of images to a model of each other set, for docs/scoring.md.

A model is fitted on each cache; its own images are those that it was not trained on.

    python benchmarks/bench_novelty.py CACHE... [--head HEAD] [--view VIEW]
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

import featx


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("caches", nargs="+", type=Path)
    parser.add_argument("--head", default="best")
    parser.add_argument("--view", default=None)
    options = parser.parse_args()
    print("| model of | images of | | novelty above 0.99 | mean | confidence above 0.9 |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for own in options.caches:
            path = folder / "m.featx"
            featx.fit(own, path, head=options.head, view=options.view, overwrite=True)
            model = featx.load(path)
            trained = {row.tobytes().hex() for row in model.training["digests"]}
            for other in options.caches:
                out = folder / "s.jsonl"
                featx.score(model, other, out, overwrite=True, digest=True, top=1)
                rows = [json.loads(line) for line in out.read_text().splitlines()]
                rows = [row for row in rows if row["sha256"] not in trained]
                novelty = np.array([row["novelty"] for row in rows])
                sure = np.mean([row["confidence"] > 0.9 for row in rows])
                print(
                    f"| {own.stem} | {other.stem} | {len(rows):,} | {(novelty > 0.99).mean():.1%} "
                    f"| {novelty.mean():.2f} | {sure:.0%} |"
                )


if __name__ == "__main__":
    main()
