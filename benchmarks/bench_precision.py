"""bfloat16 and int8 beside float32: features, heads on the same folds, and labels of `score`.

All images of the source are extracted in each precision that this processor has. The heads that
featx compares by default are compared on the same 4 × 5 folds of its training images. A model that
is fitted on features of the fastest precision scores all images in it and in float32.

    python benchmarks/bench_precision.py SOURCE [--repeats 4]
"""

import csv
import tempfile
from pathlib import Path

import measure
import numpy as np

import featx
from featx.network import hardware


def main() -> None:
    """Print and write the table."""
    options = measure.arguments(__doc__, source=True, repeats=4).parse_args()
    kinds = ["float32"]
    kinds += ["bfloat16"] if hardware.has_bfloat16() else []
    kinds += ["int8"] if hardware.has_int8() else []
    boards: dict[str, dict[tuple[str, str], featx.Entry]] = {}
    features: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in kinds:
            out = folder / f"{kind}.h5"
            featx.extract(options.source, out, precision=kind)
            with featx.Cache.open(out) as cache:
                rows = cache.features[:, 0]
                features[kind] = rows.reshape(len(rows), -1).astype(np.float32)
            board = featx.compare(out, repeats=options.repeats)
            boards[kind] = {
                (entry.head, entry.view): entry for entry in board.entries if entry.head != "dummy"
            }
        quickest = kinds[-1]
        featx.fit(folder / f"{quickest}.h5", folder / "m.featx")
        labels = {}
        for kind in (quickest, "float32"):
            model = featx.load(folder / "m.featx", precision=kind)
            featx.score(model, options.source, folder / f"{kind}.csv")
            with (folder / f"{kind}.csv").open(newline="") as lines:
                labels[kind] = [row["label"] for row in csv.DictReader(lines)]
    exact = boards["float32"]
    rows = []
    for head, view in exact:
        row = {"head": head, "view": view}
        for kind in kinds:
            found = boards[kind][head, view]
            row[f"{kind}: accuracy"] = round(found.score, 4)
            row[f"{kind}: log loss"] = round(found.log_loss, 4)
        rows.append(row)
    truth = features["float32"]
    ratios = {}
    for kind in kinds[1:]:
        apart = np.linalg.norm(features[kind] - truth, axis=1) / np.linalg.norm(truth, axis=1)
        pairs = [(boards[kind][place], entry) for place, entry in exact.items()]
        points = [100 * (found.score - entry.score) for found, entry in pairs]
        losses = [100 * (found.log_loss / entry.log_loss - 1) for found, entry in pairs]
        ratios |= {
            f"features apart, median, {kind}": float(np.median(apart)),
            f"features apart, largest, {kind}": float(apart.max()),
            f"points of accuracy apart, largest, {kind}": max(map(abs, points)),
            f"points of accuracy apart, mean, {kind}": float(np.mean(points)),
            f"percent of log loss more, largest, {kind}": max(losses),
            f"percent of log loss more, mean, {kind}": float(np.mean(losses)),
        }
    if quickest != "float32":
        equal = np.mean(np.array(labels[quickest]) == np.array(labels["float32"]))
        ratios[f"equal labels of score, {quickest}"] = float(equal)
    name = f"precision-{options.source.name}"
    measure.tell(name, options, rows, ratios, images=len(truth), repeats=options.repeats)


if __name__ == "__main__":
    main()
