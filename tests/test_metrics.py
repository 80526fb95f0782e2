import numpy as np
import pytest

from featx.metrics import figures


def test_figures_of_a_small_example() -> None:
    y = np.array([0, 0, 0, 1])
    probabilities = np.array([[0.8, 0.2], [0.6, 0.4], [0.1, 0.9], [0.3, 0.7]], np.float32)
    found = figures(y, probabilities)
    assert found.images == 4
    assert found.accuracy == 0.75
    assert found.balanced_accuracy == pytest.approx((2 / 3 + 1) / 2)
    assert found.macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)
    assert found.log_loss == pytest.approx(-np.log([0.8, 0.6, 0.1, 0.7]).mean(), abs=1e-6)
    assert found.confusion.tolist() == [[2, 1], [0, 1]]
    assert found.as_dict()["confusion"] == [[2, 1], [0, 1]]


def test_a_class_without_test_pictures() -> None:
    found = figures(np.array([0, 1]), np.array([[0.9, 0.1, 0], [0.2, 0.8, 0]]))
    assert found.balanced_accuracy == found.macro_f1 == 1
    assert found.confusion.shape == (3, 3)
