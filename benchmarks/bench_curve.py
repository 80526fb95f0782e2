"""How often the forecast of `featx curve` holds where the truth is known.

    python benchmarks/bench_curve.py CACHE:HEAD:VIEW... [--seeds 10] [--shares 2,4]

Labels of half (a quarter, ...) of the images of each class are kept, another half for each seed;
the forecast from them is for twice as many training images. The truth is the mean gain of the same
head between these two sizes over many folds of all images. A row for each cache and share: how
often there was a forecast, how often its interval held the true gain in accuracy and in log loss,
and how wide it was.
"""

import argparse
import copy
import logging
from pathlib import Path

import numpy as np

import featx
from featx.dataset import splits
from featx.dataset.catalog import NO_LABEL
from featx.heads.subsets import draw_subset


def thinned(cache: featx.Cache, size: int, seed: int) -> featx.Cache:
    """Return a view of the cache in which `size` training images of each class have labels."""
    is_test = cache.catalog.splits == cache.catalog.test_split
    train = np.flatnonzero((cache.labels != NO_LABEL) & ~is_test)
    units = splits.leakage_groups(cache.catalog, cache.digests)
    kept = train[draw_subset(cache.labels[train], units[train], size, (seed, 99))]
    view = copy.copy(cache)
    vars(view).pop("_images", None)
    view.labels = np.full_like(cache.labels, NO_LABEL)
    view.labels[kept] = cache.labels[kept]
    view.labels[is_test] = cache.labels[is_test]
    return view


def main() -> None:
    """Print a row for each cache and share."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("caches", nargs="+", help="CACHE:HEAD:VIEW")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--shares", default="2,4")
    parser.add_argument("--repeats", type=int, default=4, help="of the folds of the truth")
    options = parser.parse_args()
    logging.getLogger("featx").setLevel(logging.ERROR)
    print("| cache | images a class | gain in points | told | held | interval, points | "
          "gain in log loss | held | interval |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|")
    for given in options.caches:
        path, head, view = given.split(":")
        with featx.Cache.open(path) as cache:
            row = {"head": head, "view": view}
            full = featx.curve(cache, head=head, view=view, sizes=(2,), draws=1).points[-1]
            for share in map(int, options.shares.split(",")):
                after = 2 * full.per_class // share
                sizes = tuple({after // 2, after} - {full.per_class, full.per_class + 1})
                truth = featx.curve(
                    cache, sizes=sizes, draws=share, repeats=options.repeats, seed=100, **row
                ).points
                one, two = truth[0], truth[1]
                gains = np.array([two.accuracy - one.accuracy, one.log_loss - two.log_loss])
                found = []
                for seed in range(options.first, options.first + options.seeds):
                    size = round(full.per_class * 1.25 / share)
                    told = featx.curve(thinned(cache, size, seed), seed=seed, **row).forecast
                    if told:
                        found.append(
                            [[told.accuracy_gain_low, told.accuracy_gain_high],
                             [told.log_loss_gain_low, told.log_loss_gain_high]]
                        )  # fmt: skip
                words = [f"{one.per_class} → {two.per_class}", f"{100 * gains[0]:.2f}",
                         f"{len(found)} of {options.seeds}"]  # fmt: skip
                for number, scale in ((0, 100), (1, 1)):
                    if number:
                        words.append(f"{gains[1]:.3f}")
                    if not found:
                        words += ["", ""]
                        continue
                    ends = np.array(found)[:, number]
                    held = int(
                        ((ends[:, 0] <= gains[number]) & (gains[number] <= ends[:, 1])).sum()
                    )
                    low, high = scale * ends.mean(axis=0)
                    words += [f"{held} of {len(found)}", f"{low:.2f} to {high:.2f}"]
                print(f"| {Path(path).stem} | " + " | ".join(words) + " |", flush=True)


if __name__ == "__main__":
    main()
