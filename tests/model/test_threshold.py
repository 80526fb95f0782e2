"""Thresholds of confidence."""

import numpy as np

from featx.model.threshold import coverage_at, find_threshold


def test_the_threshold_is_the_lowest_that_is_right_often_enough() -> None:
    random = np.random.default_rng(0)
    confidence = np.round(random.uniform(0.5, 1, 400), 2)  # with equals
    y = (random.random(400) > confidence).astype(int)  # right as often as it is confident
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    for wanted in (0.6, 0.8, 0.9):
        found = find_threshold(y, probabilities, wanted)
        assert found and found.precision >= wanted
        assert coverage_at(y, probabilities, found.confidence) == found
        for lower in np.unique(confidence[confidence < found.confidence]):
            given = int((confidence >= lower).sum())
            right = round(coverage_at(y, probabilities, lower).precision * given)
            assert (right + 1) / (given + 2) < wanted
    y[confidence == confidence.max()] = 1
    assert find_threshold(y, probabilities, 0.99) is None


def test_few_images_without_an_error_do_not_promise_99_percent() -> None:
    probabilities, y = np.tile([0.9, 0.1], (40, 1)), np.zeros(40, int)
    assert find_threshold(y, probabilities, 0.99) is None
    assert find_threshold(y, probabilities, 0.97) is not None
    assert find_threshold(np.zeros(98, int), np.tile([0.9, 0.1], (98, 1)), 0.99) is not None
