"""Images unlike the training ones are told from those that are like them."""

import numpy as np
from sklearn.preprocessing import normalize

from featx.model import novelty
from featx.model.novelty import Novelty


def cloud(seed: int, count: int, middle: int, width: int = 64) -> np.ndarray:
    rows = np.random.default_rng(seed).random((count, width)) * 0.5
    rows[:, middle] += 3
    return normalize(rows).astype(np.float32)


def test_like_is_spread_evenly_and_unlike_is_one() -> None:
    kept = Novelty.of(cloud(0, 500, 0), np.arange(500), seed=0)
    assert kept
    like = kept.score(cloud(1, 1000, 0))
    assert abs(like.mean() - 0.5) < 0.05
    assert abs((like > 0.9).mean() - 0.1) < 0.04
    assert kept.score(cloud(2, 50, 1)).tolist() == [1.0] * 50
    assert kept.score(np.empty((0, 64))).shape == (0,)


def test_it_is_the_fraction_of_training_images_that_are_less_far() -> None:
    rows, new = cloud(0, 40, 0), cloud(1, 7, 0)
    kept = Novelty.of(rows, np.arange(40), seed=0)
    assert kept
    reference = rows.astype(np.float16).astype(np.float64)

    def distance(row: np.ndarray, others: np.ndarray) -> float:
        return float(np.sort(np.linalg.norm(others - row, axis=1))[:5].mean())

    theirs = [distance(rows[i], np.delete(reference, i, axis=0)) for i in range(40)]
    expected = [np.mean(np.array(theirs) < distance(row, reference)) for row in new]
    assert np.allclose(kept.score(new), expected, atol=1 / 40 + 1e-9)
    assert np.allclose(kept.distances, np.sort(theirs), atol=1e-3)


def test_images_of_a_unit_are_not_each_others_others() -> None:
    rows = np.repeat(cloud(0, 20, 0), 6, axis=0)  # six times the same image
    alone = Novelty.of(rows, np.arange(120), seed=0)
    together = Novelty.of(rows, np.repeat(np.arange(20), 6), seed=0)
    assert alone and together
    assert alone.distances.max() < 0.01 < together.distances.min()
    assert Novelty.of(rows, np.zeros(120, int), seed=0) is None


def test_little_is_kept_of_much() -> None:
    rows = cloud(0, 9000, 0, width=8)
    kept = Novelty.of(rows, np.arange(9000), seed=0)
    assert kept
    assert kept.reference.shape == (2048, 8) and kept.distances.shape == (8192,)
    assert abs(kept.score(cloud(1, 2000, 0, width=8)).mean() - 0.5) < 0.05
    wide = Novelty.of(cloud(0, 300, 0, width=25088), np.arange(300), seed=0)
    assert wide and wide.reference.size <= novelty._MOST_NUMBERS
