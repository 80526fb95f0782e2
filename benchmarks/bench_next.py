"""What labels teach: images that `featx next` chooses, and images drawn at random.

    python benchmarks/bench_next.py CACHE... [--seeds 10] [--rounds 6] [--view layers]

Five images of each class of the train split are labelled; a head is fitted, chooses two images a
class, is told their labels, and so on. After each round it is tried on the test split. For each
rule and round: accuracy and log loss, the mean of the seeds, and in brackets in how many seeds
the rule is better than chance, and in how many worse.
"""

import argparse
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

import featx
from featx.dataset.catalog import NO_LABEL
from featx.heads import registry
from featx.heads.training import Examples, train
from featx.metrics import METRICS
from featx.network.views import make_view
from featx.scoring.candidates import Candidates, choose

#: (candidates, number, seed) → positions of those to label.
Rule = Callable[[Candidates, int, int], np.ndarray]


def at_random(pool: Candidates, number: int, seed: int) -> np.ndarray:
    """Draw them."""
    return np.random.default_rng(seed).choice(len(pool), number, replace=False)


def by_margin(pool: Candidates, number: int, seed: int) -> np.ndarray:
    """Take the most uncertain ones, alike or not."""
    return np.argsort(pool.margin, kind="stable")[:number]


def by_next(pool: Candidates, number: int, seed: int) -> np.ndarray:
    """Take those that `featx next` chooses, and where they are too few, uncertain ones."""
    chosen = choose(pool.most_uncertain(number), number, seed).paths.astype(int)
    rest = np.setdiff1d(by_margin(pool, len(pool), seed), chosen, assume_unique=True)
    return np.concatenate([chosen, rest])[:number]


RULES: dict[str, Rule] = {"chance": at_random, "margin": by_margin, "next": by_next}


def candidates(rows: np.ndarray, probabilities: np.ndarray) -> Candidates:
    """Return images by their positions."""
    names = np.array([f"{number:07d}" for number in range(len(rows))], object)
    return Candidates(names, names, rows, probabilities, np.zeros(len(rows)))


def tried(data: Examples, rule: Rule, test: Examples, rounds: int, seed: int) -> np.ndarray:
    """Return accuracy and log loss after each round, shape (rounds + 1, 2)."""
    random, classes = np.random.default_rng(seed), len(np.unique(data.y))
    head = registry.get_head("kernel-ridge")
    known = np.concatenate(
        [random.choice(np.flatnonzero(data.y == c), 5, replace=False) for c in range(classes)]
    )
    found = []
    for number in range(rounds + 1):
        fitted = train(
            head,
            data.take(known),
            candidates=head.param_candidates({}),
            metric=METRICS["accuracy"],
            seed=0,
        ).classifier
        probabilities = fitted.predict_proba(test.originals)
        found.append(
            [METRICS[name].score(test.y, probabilities) for name in ("accuracy", "log-loss")]
        )
        left = np.setdiff1d(np.arange(len(data.y)), known)
        rows = data.originals[left]
        pool = candidates(rows, fitted.predict_proba(rows))
        known = np.concatenate([known, left[rule(pool, 2 * classes, 100 * seed + number)]])
    return np.array(found)


def examples(cache: featx.Cache, name: str) -> tuple[Examples, Examples]:
    """Return the train and the test split on a view."""
    labelled = cache.catalog.labels != NO_LABEL
    names = ("train", cache.catalog.test_split)
    sides = [np.flatnonzero(labelled & (cache.catalog.splits == split)) for split in names]
    view = make_view(name, cache.fingerprint)
    view = view.fitted(some for _, some in cache.blocks(sides[0], 0, view))
    found = []
    for images in sides:
        X, y, _ = cache.matrix(view, images=images, copies=0)
        widths = tuple(view.widths.values())
        found.append(Examples(X[:, np.newaxis], y, np.arange(len(y)), widths=widths))
    return found[0], found[1]


def main() -> None:
    """Print a table for each cache."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("caches", nargs="+", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--view", default="layers")
    options = parser.parse_args()
    logging.getLogger("featx").setLevel(logging.ERROR)
    for path in options.caches:
        with featx.Cache.open(path) as cache:
            data, test = examples(cache, options.view)
        found = {
            name: np.array(
                [tried(data, rule, test, options.rounds, seed) for seed in range(options.seeds)]
            )
            for name, rule in RULES.items()
        }
        print(f"\n{path.stem}, {options.view}, {len(test.y)} test images, {options.seeds} seeds\n")
        print("| labels a class | " + " | ".join(found) + " |")
        print("|---|" + "---|" * len(found))
        for number in range(options.rounds + 1):
            cells = []
            for name, scores in found.items():
                accuracy, loss = scores[:, number].mean(axis=0)
                cell = f"{accuracy:.3f} / {loss:.3f}"
                if name != "chance":
                    gain = found["chance"][:, number, 1] - scores[:, number, 1]
                    cell += f" ({(gain > 0).sum()}:{(gain < 0).sum()})"
                cells.append(cell)
            print(f"| {5 + 2 * number} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
