"""Nested cross-validation of all that `fit` does: the choice among heads and views included.

    python benchmarks/bench_nested.py CACHE [--folds 5] [--repeats 10] [--heads a,b]

In each fold, heads are compared by inner cross-validation on the images that are trained on, the
choice is fitted on them, and it predicts the others. Only images of the train split take part,
where there are splits.
"""

import argparse
import collections
import logging
from pathlib import Path

import joblib
import numpy as np

import featx
from featx.dataset import splits
from featx.heads import registry
from featx.heads.crossval import examples_of
from featx.heads.leaderboard import rank
from featx.heads.settings import CompareSettings
from featx.heads.training import train
from featx.metrics import METRICS
from featx.network.views import make_view

Fold = tuple[np.ndarray, np.ndarray]


def outcome(path: Path, fold: Fold, heads: tuple[str, ...]) -> tuple[str, np.ndarray]:
    """Return what is chosen on one side of a fold, and its probabilities on the other."""
    logging.getLogger("featx").setLevel(logging.ERROR)
    inside, outside = fold
    with featx.Cache.open(path) as cache:
        choice = rank(cache, inside, CompareSettings(heads=heads)).choice
        units = splits.leakage_groups(cache.catalog, cache.digests)
        view = make_view(choice.view, cache.fingerprint)
        view = view.fitted(some for _, some in cache.blocks(inside, 0, view))
        head = registry.get_head(choice.head)
        found = train(
            head,
            examples_of(cache, view, inside, units),
            candidates=head.param_candidates({}),
            metric=METRICS["accuracy"],
            seed=0,
        )
        rows = cache.matrix(view, images=outside, copies=0).X
        name = f"{choice.head} on {choice.view}"
        return name, found.classifier.predict_proba(rows)


def main() -> None:
    """Print accuracy and log loss over all folds, and what was chosen."""
    parser = argparse.ArgumentParser()
    parser.add_argument("cache", type=Path)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--heads", default="")
    options = parser.parse_args()
    with featx.Cache.open(options.cache) as cache:
        is_split = cache.catalog.splits.any()
        images = np.flatnonzero(cache.catalog.splits == "train") if is_split else None
        images = np.arange(len(cache)) if images is None else images
        y, units = cache.labels, splits.leakage_groups(cache.catalog, cache.digests)
    folds = [
        (images[inside], images[outside])
        for repeat in range(options.repeats)
        for inside, outside in splits.folds(y[images], units[images], options.folds, repeat)
    ]
    heads = tuple(filter(None, options.heads.split(",")))
    with joblib.parallel_config("loky", inner_max_num_threads=1):
        jobs = (joblib.delayed(outcome)(options.cache, fold, heads) for fold in folds)
        found = joblib.Parallel(n_jobs=-1)(jobs)
    accuracies, losses = [], []
    for (_, probabilities), (_, outside) in zip(found, folds, strict=True):
        truth = probabilities[np.arange(len(outside)), y[outside]]
        accuracies.append(float((probabilities.argmax(axis=1) == y[outside]).mean()))
        losses.append(float(-np.log(truth).mean()))
    chosen = collections.Counter(name for name, _ in found).most_common()
    print(
        f"{options.cache.stem}: {options.repeats} x {options.folds} folds, nested: accuracy "
        f"{np.mean(accuracies):.4f}, log loss {np.mean(losses):.4f}; chosen: "
        + ", ".join(f"{name} {count}" for name, count in chosen)
    )


if __name__ == "__main__":
    main()
