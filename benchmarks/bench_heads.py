"""Heads × views on caches that `featx extract` made, for docs/results.md.

For each head and view: accuracy on inner folds of the training images (of the settings chosen
there, so slightly rosy), and on the test images. Trees and networks are left out on flattened
features.

    python benchmarks/bench_heads.py CACHE... [--originals] [--heads a,b] [--views a,b]
"""

import argparse
from pathlib import Path

import numpy as np

from featx.cache.file import Cache
from featx.dataset import splits
from featx.heads import registry
from featx.heads.crossval import examples_of
from featx.heads.training import Examples, train
from featx.metrics import METRICS
from featx.network.views import VIEWS, make_view


def cell(head: registry.Head, data: Examples, test: np.ndarray, y: np.ndarray) -> str:
    """Return "inner folds / test" in percent."""
    fitted = train(
        head, data, candidates=head.param_candidates({}), metric=METRICS["accuracy"], seed=0
    )
    right = (fitted.classifier.predict_proba(test).argmax(axis=1) == y).mean()
    inner = "–"
    if fitted.out_of_fold is not None:
        inner = f"{(fitted.out_of_fold.argmax(axis=1) == data.y).mean():.1%}"
    return f"{inner} / {right:.1%}".replace("%", "")


def main() -> None:
    """Print a table for each cache."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("caches", nargs="+", type=Path)
    parser.add_argument("--originals", action="store_true", help="leave the copies out")
    parser.add_argument("--heads", default=",".join(registry.HEADS))
    parser.add_argument("--views", default=",".join(VIEWS))
    options = parser.parse_args()
    names, wanted = options.heads.split(","), options.views.split(",")
    for path in options.caches:
        with Cache.open(path) as cache:
            used = 0 if options.originals else cache.fingerprint.copies
            split = splits.train_test(cache.catalog, cache.digests, 0.2, 0)
            units = splits.leakage_groups(cache.catalog, cache.digests)
            size = cache.fingerprint.trunk.size
            counts = f"{len(split.train)} / {len(split.test)} images"
            print(f"\n**{path.stem}**: {counts}, {size} px, {used} copies\n")
            print("| head | " + " | ".join(wanted) + " |")
            print("|---" * (1 + len(wanted)) + "|")
            matrices = {}
            for name in wanted:
                view = make_view(name, cache.fingerprint)
                view = view.fitted(some for _, some in cache.blocks(split.train, 0, view))
                data = examples_of(cache, view, split.train, units)
                data = Examples(data.X[:, : 1 + used], data.y, data.units, widths=data.widths)
                matrices[name] = data, examples_of(cache, view, split.test, units)
            for name in names:
                head = registry.HEADS[name]
                cells = []
                for view, (data, test) in matrices.items():
                    left_out = view == "flatten" and not head.distances
                    cells.append("" if left_out else cell(head, data, test.originals, test.y))
                print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
