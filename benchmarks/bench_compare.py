"""Time `featx compare` beside a plain scikit-learn loop that does the same work.

2,000 synthetic pictures of 10 classes with 512 features, 8 heads, 5 folds, each head's grid on 3
inner folds and temperature scaling. The plain loop is GridSearchCV (2 jobs) in every fold, then
CalibratedClassifierCV of what it found. Both in turn, several rounds; medians and the ratio.

    python benchmarks/bench_compare.py [--rounds 3] [--json FILE]
"""

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

import featx
from featx import heads
from featx.cache import Cache, Images, assemble
from featx.catalog import Catalog
from featx.files import digest
from featx.fingerprint import Fingerprint, TrunkFingerprint
from featx.parts import Parts

PICTURES, WIDTH, CLASSES, FOLDS = 2000, 512, 10, 5
NAMES = (
    "dummy", "nearest-centroid", "lda", "logreg", "linear-svm", "knn", "rbf-svm", "random-forest",
)  # fmt: skip


def synthetic(out: Path) -> None:
    """Write a cache of noisy classes."""
    random = np.random.default_rng(0)
    labels = np.arange(PICTURES, dtype=np.int32) % CLASSES
    centres = random.exponential(1.0, (CLASSES, WIDTH)) ** 2
    rows = (0.3 * centres[labels] + 0.7) * random.exponential(1.0, (PICTURES, WIDTH)) ** 2
    trunk = TrunkFingerprint("0" * 64, "torch", "block5_pool", 32, "crop")
    fingerprint = Fingerprint(trunk, 0, "", 0, "float16", "float32")
    digests = np.array([digest(str(n).encode()) for n in range(PICTURES)], object)
    texts = np.array([f"{n:05d}.png" for n in range(PICTURES)], object)
    empty = np.full(PICTURES, "", object)
    classes = tuple(f"class {n}" for n in range(CLASSES))
    catalog = Catalog(Path(), texts, labels, empty, empty, classes)
    sizes = np.full((PICTURES, 2), 32, np.int32)
    parts = Parts(out)
    features = rows.astype(np.float16).reshape(PICTURES, *fingerprint.shape)
    parts.write(features, digests, sizes.tolist(), fingerprint)
    assemble(out, Images(catalog, digests, sizes), [], fingerprint, parts=parts, old=None)
    parts.remove()


def plain(path: Path) -> dict[str, float]:
    """Do what people write by hand; returns the mean accuracy of each head."""
    with Cache.open(path) as cache:
        X, y, picture = cache.matrix("avg")
    outer = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    inner = StratifiedGroupKFold(3, shuffle=True, random_state=0)
    found = {}
    for name in NAMES:
        head = heads.HEADS[name]
        model = make_pipeline(Normalizer(), head.build(head.options, 0))
        step = model.steps[-1][0]
        grid = {f"{step}__{option}": list(values) for option, values in head.grid.items()}
        scores = []
        for inside, outside in outer.split(X, y, picture):
            folds = list(inner.split(X[inside], y[inside], picture[inside]))
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
    board = featx.compare(path, heads=NAMES, pools=("avg",), folds=FOLDS)
    return {entry.head: entry.score for entry in board.entries}


class PeakMemory:
    """Peak of the unique memory of this process and its children, sampled."""

    def __enter__(self) -> "PeakMemory":
        self.peak, self._going = 0, True
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._going = False
        self._thread.join()

    def _watch(self) -> None:
        me = psutil.Process()
        while self._going:
            total = 0
            for process in (me, *me.children(recursive=True)):
                try:
                    total += process.memory_full_info().uss
                except psutil.Error:
                    continue
            self.peak = max(self.peak, total)
            time.sleep(0.1)


def main() -> None:
    """Print a table and, where asked for, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    times: dict[str, list[float]] = {"featx": [], "plain": []}
    peaks: dict[str, list[int]] = {"featx": [], "plain": []}
    scores: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "synthetic.h5"
        synthetic(path)
        for _ in range(options.rounds):
            for name, run in (("featx", ours), ("plain", plain)):
                begun = time.perf_counter()
                with PeakMemory() as memory:
                    scores[name] = run(path)
                times[name].append(time.perf_counter() - begun)
                peaks[name].append(memory.peak)
    ratios = [a / b for a, b in zip(times["plain"], times["featx"], strict=True)]
    print(
        f"{os.cpu_count()} cores, {options.rounds} rounds, {PICTURES} × {WIDTH}, {CLASSES} classes"
    )
    print("| | min s | median s | max s | peak MiB |\n|---|---|---|---|---|")
    for name, seconds in times.items():
        figures = (min(seconds), statistics.median(seconds), max(seconds))
        row = " | ".join(f"{value:.1f}" for value in figures)
        print(f"| {name} | {row} | {max(peaks[name]) / 2**20:.0f} |")
    print(f"plain / featx, median of {options.rounds} pairs: {statistics.median(ratios):.2f}")
    print("| head | featx | plain |\n|---|---|---|")
    for name in NAMES:
        print(f"| {name} | {scores['featx'][name]:.4f} | {scores['plain'][name]:.4f} |")
    if options.json:
        content = {"times": times, "peaks": peaks, "ratios": ratios, "scores": scores}
        options.json.write_text(json.dumps(content, indent=2))


if __name__ == "__main__":
    main()
