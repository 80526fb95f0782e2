"""Compare the two ways of making images square, squash and crop.

Cross-validated accuracy of the default head on all images of each folder, 5 folds, 4 repeats, the
same folds for both; the difference with its 95 % interval (Nadeau and Bengio 2003).

    python benchmarks/bench_resize.py FOLDER... [--size 224]
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from scipy import stats
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score

import featx
from featx.heads import registry
from featx.images import decode

FOLDS, REPEATS = 5, 4


def scores(source: Path, resize: str, size: int, view: str, scratch: Path) -> np.ndarray:
    """Return the accuracy in each fold."""
    out = scratch / f"{source.name}-{resize}-{size}.h5"
    featx.extract(source, out, resize=resize, size=size, layers=())
    with featx.Cache.open(out) as cache:
        X, y, _ = cache.matrix(view)
    folds = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=REPEATS, random_state=0)
    return cross_val_score(registry.HEADS["logreg"].build(0, len(y)), X, y, cv=folds)


def main() -> None:
    """Print a line for each folder and view."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--size", type=int, default=224)
    options = parser.parse_args()
    count = FOLDS * REPEATS
    print("| images | view | squash | crop | crop - squash |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for source in options.folders:
            for view in ("avg", "avgmax"):
                squash, crop = (
                    scores(source, resize, options.size, view, Path(scratch))
                    for resize in decode.RESIZE
                )
                difference = crop - squash
                spread = difference.std(ddof=1) * np.sqrt(1 / count + 1 / (FOLDS - 1))
                half = stats.t.ppf(0.975, count - 1) * spread
                print(
                    f"| {source.name} | {view} | {squash.mean():.4f} | {crop.mean():.4f} "
                    f"| {difference.mean():+.4f} ± {half:.4f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
