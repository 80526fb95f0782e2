"""How well `fit` does on few images: random draws from the train split, tested on the test split.

    python benchmarks/bench_few.py CACHE... [--each 5,20] [--draws 20] [--heads a,b]

For each cache and number of images a class: mean and lowest accuracy, mean and highest log loss,
mean calibration error, and which heads were chosen.
"""

import argparse
import collections
import copy
import logging
import tempfile
from pathlib import Path

import numpy as np

import featx
from featx.dataset.catalog import NO_LABEL


def drawn(cache: featx.Cache, each: int, seed: int) -> featx.Cache:
    """Return a view of the cache in which `each` training images of each class have labels."""
    random = np.random.default_rng(seed)
    is_train = cache.catalog.splits == "train"
    labels = np.where(is_train, NO_LABEL, cache.labels)
    for label in np.unique(cache.labels[cache.labels != NO_LABEL]):
        there = np.flatnonzero(is_train & (cache.labels == label))
        labels[random.choice(there, min(each, len(there)), replace=False)] = label
    view = copy.copy(cache)
    vars(view).pop("_images", None)
    view.labels = labels.astype(np.int32)
    return view


def main() -> None:
    """Print a line for each cache and number of images a class."""
    parser = argparse.ArgumentParser()
    parser.add_argument("caches", nargs="+", type=Path)
    parser.add_argument("--each", default="5,8,10,20,40")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--heads", default="")
    options = parser.parse_args()
    logging.getLogger("featx").setLevel(logging.ERROR)
    heads = tuple(filter(None, options.heads.split(",")))
    print(
        "| cache | a class | accuracy | lowest | log loss | highest | calibration error | chosen |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for path in options.caches:
        with featx.Cache.open(path) as cache, tempfile.TemporaryDirectory() as folder:
            for each in map(int, options.each.split(",")):
                found = []
                for seed in range(options.draws):
                    out = Path(folder) / "m.featx"
                    some = drawn(cache, each, seed)
                    fitted = featx.fit(some, out, heads=heads, seed=seed, overwrite=True)
                    view = fitted.model.settings.get("view") or fitted.model.settings["pool"]
                    found.append((fitted.test, f"{fitted.model.head_name} on {view}"))
                tests = [test for test, _ in found]
                accuracy = np.array([test.accuracy for test in tests])
                loss = np.array([test.log_loss for test in tests])
                error = np.mean([test.calibration_error for test in tests])
                chosen = collections.Counter(name for _, name in found).most_common()
                print(
                    f"| {path.stem} | {each} | {accuracy.mean():.3f} | {accuracy.min():.3f} "
                    f"| {loss.mean():.3f} | {loss.max():.3f} | {error:.3f} "
                    f"| {', '.join(f'{name} {count}' for name, count in chosen)} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
