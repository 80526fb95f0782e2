"""Time `featx compare` beside a plain scikit-learn loop that does the same work.

2,000 synthetic images of 10 classes with 512 features, 8 heads, 5 folds, each head's grid on 3
inner folds and temperature scaling. The plain loop is GridSearchCV (2 jobs) in every fold, then
CalibratedClassifierCV of what it found. Both in turn, several rounds; medians and the ratio.

    python benchmarks/bench_compare.py [--rounds 5]
"""

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import measure
import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from synthetic import synthetic

import featx
from featx.cache.file import Cache
from featx.heads import registry

PICTURES, WIDTH, CLASSES, FOLDS = 2000, 512, 10, 5
NAMES = (
    "dummy", "nearest-centroid", "lda", "logreg", "linear-svm", "knn", "rbf-svm", "random-forest",
)  # fmt: skip


def plain(path: Path) -> dict[str, float]:
    """Do what people write by hand; returns the mean accuracy of each head."""
    with Cache.open(path) as cache:
        X, y, image = cache.matrix("avg")
    outer = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    inner = StratifiedGroupKFold(3, shuffle=True, random_state=0)
    found = {}
    for name in NAMES:
        head = registry.HEADS[name]
        model = make_pipeline(Normalizer(), head.build(head.default_params, 0))
        step = model.steps[-1][0]
        grid = {f"{step}__{option}": list(values) for option, values in head.param_grid.items()}
        scores = []
        for inside, outside in outer.split(X, y, image):
            folds = list(inner.split(X[inside], y[inside], image[inside]))
            search = GridSearchCV(model, grid, cv=folds, n_jobs=2).fit(X[inside], y[inside])
            fitted = search.best_estimator_
            if head.calibrated:
                fitted = CalibratedClassifierCV(
                    fitted, method="temperature", cv=folds, ensemble=False, n_jobs=2
                ).fit(X[inside], y[inside])
            scores.append((fitted.predict(X[outside]) == y[outside]).mean())
        found[name] = float(np.mean(scores))
    return found


def ours(path: Path) -> dict[str, float]:
    """Do the same with featx."""
    board = featx.compare(path, heads=NAMES, views=("avg",), folds=FOLDS)
    return {entry.head: entry.score for entry in board.entries}


def main() -> None:
    """Print and write the table."""
    options = measure.arguments(__doc__, rounds=5).parse_args()
    peaks = {"featx": 0.0, "plain scikit-learn": 0.0}
    scores: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "synthetic.h5"
        synthetic(path, PICTURES, CLASSES, size=32, pooled=False)

        def run(what: str, call: Callable[[Path], dict[str, float]]) -> None:
            with measure.PeakMemory() as memory:
                scores[what] = call(path)
            peaks[what] = max(peaks[what], memory.peak / 2**20)

        times = measure.in_turns(
            {
                "featx": lambda: run("featx", ours),
                "plain scikit-learn": lambda: run("plain scikit-learn", plain),
            },
            options.rounds,
        )
    rows = [
        {
            "": what,
            **measure.spread(found),
            "peak MiB": round(peaks[what]),
            **{name: round(scores[what][name], 4) for name in NAMES},
        }
        for what, found in times.items()
    ]
    ratios = {
        "plain scikit-learn against featx": measure.ratio(times, "plain scikit-learn", "featx"),
        "seconds of compare": statistics.median(times["featx"]),
        "peak GiB of compare": peaks["featx"] / 1024,
    }
    measure.tell("compare", options, rows, ratios, images=PICTURES, features=WIDTH,
                 classes=CLASSES, folds=FOLDS, rounds=options.rounds)  # fmt: skip


if __name__ == "__main__":
    main()
