"""bfloat16 beside float32: features of the same photographs, and accuracy on 4 × 5 folds.

All images of the source are taken: of a few hundred, one is a third of a point.

    python benchmarks/bench_precision.py SOURCE
"""

import tempfile
from pathlib import Path

import measure
import numpy as np

import featx

HEADS = ("nearest-centroid", "lda", "logreg", "linear-svm")


def main() -> None:
    """Print and write the table."""
    options = measure.arguments(__doc__, source=True).parse_args()
    scores: dict[str, dict[str, float]] = {}
    features: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in ("float32", "bfloat16"):
            out = folder / f"{kind}.h5"
            featx.extract(options.source, out, precision=kind)
            with featx.Cache.open(out) as cache:
                rows = cache.features[:, 0]
                features[kind] = rows.reshape(len(rows), -1).astype(np.float32)
            board = featx.compare(out, heads=HEADS, views=("avg",), repeats=4)
            scores[kind] = {entry.head: entry.score for entry in board.entries}
    apart = np.linalg.norm(features["bfloat16"] - features["float32"], axis=1)
    apart /= np.linalg.norm(features["float32"], axis=1)
    rows = [
        {
            "head": head,
            "float32": round(scores["float32"][head], 4),
            "bfloat16": round(scores["bfloat16"][head], 4),
        }
        for head in HEADS
    ]
    most = max(abs(scores["float32"][head] - scores["bfloat16"][head]) for head in HEADS)
    mean = float(np.mean([scores["bfloat16"][head] - scores["float32"][head] for head in HEADS]))
    ratios = {
        "features apart, median of relative norms": float(np.median(apart)),
        "features apart, largest": float(apart.max()),
        "points of accuracy apart, largest": 100 * most,
        "points of accuracy apart, mean": 100 * mean,
    }
    name = f"precision-{options.source.name}"
    measure.tell(name, options, rows, ratios, images=len(apart))


if __name__ == "__main__":
    main()
