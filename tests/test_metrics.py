import warnings

import numpy as np
import pytest

from featx.metrics import METRICS, class_scores, compute_scores, intervals


def test_scores_of_a_small_example() -> None:
    y = np.array([0, 0, 0, 1])
    probabilities = np.array([[0.8, 0.2], [0.6, 0.4], [0.1, 0.9], [0.3, 0.7]], np.float32)
    found = compute_scores(y, probabilities)
    assert found.images == 4
    assert found.accuracy == 0.75
    assert found.balanced_accuracy == pytest.approx((2 / 3 + 1) / 2)
    assert found.macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)
    assert found.log_loss == pytest.approx(-np.log([0.8, 0.6, 0.1, 0.7]).mean(), abs=1e-6)
    assert found.confusion.tolist() == [[2, 1], [0, 1]]
    assert found.as_dict()["confusion"] == [[2, 1], [0, 1]]


def test_a_class_without_test_images() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nor is one worth a warning that is predicted all the same
        wrong = compute_scores(np.array([0, 1]), np.array([[0.9, 0.1, 0], [0.2, 0, 0.8]]))
    assert wrong.balanced_accuracy == wrong.accuracy == 0.5
    found = compute_scores(np.array([0, 1]), np.array([[0.9, 0.1, 0], [0.2, 0.8, 0]]))
    assert found.balanced_accuracy == found.macro_f1 == 1
    assert found.confusion.shape == (3, 3)


def test_intervals_are_of_the_scores_on_samples_of_the_images() -> None:
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(4), 30)
    y = random.integers(0, 3, 30)  # one class is never true
    drawn = np.random.default_rng(5).integers(30, size=30)
    expected = compute_scores(y[drawn], probabilities[drawn])
    for name, (low, high) in intervals(y, probabilities, seed=5, resamples=1).items():
        assert low == high == pytest.approx(getattr(expected, name))


def test_intervals_cover_the_truth() -> None:
    covered = 0
    for seed in range(100):
        right = np.random.default_rng(seed).random(200) < 0.8
        probabilities = np.where(right[:, np.newaxis], [0.9, 0.1], [0.1, 0.9])
        y = np.zeros(200, int)
        low, high = intervals(y, probabilities, seed=0, resamples=200)["accuracy"]
        covered += low <= 0.8 <= high
    assert 88 <= covered <= 100


def test_scores_of_each_class() -> None:
    y = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.8, 0.2, 0], [0.3, 0.7, 0], [0.1, 0.9, 0], [0.3, 0.7, 0]])
    rows = class_scores(y, probabilities)
    assert rows[0] == {"precision": 1, "recall": 0.5, "f1": pytest.approx(2 / 3), "images": 2}
    assert rows[1]["precision"] == pytest.approx(2 / 3) and rows[1]["recall"] == 1
    assert rows[2] == {"precision": 0, "recall": 0, "f1": 0, "images": 0}


def test_the_utility_of_a_metric_is_higher_for_the_better_model() -> None:
    y = np.array([0, 0, 1, 1])
    good = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9]])
    for name, metric in METRICS.items():
        assert metric.utility(y, good) > metric.utility(y, good[:, ::-1]), name
        assert metric.score(y, good[:, ::-1]) >= 0, name
    expected = -np.log([0.9, 0.8, 0.7, 0.9]).mean()
    assert METRICS["log-loss"].score(y, good) == pytest.approx(expected)
