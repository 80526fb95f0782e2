"""Confident learning, the votes of neighbours, and the quality of labels."""

import numpy as np

from featx.auditing import labels
from featx.auditing.neighbours import NOBODY


def probabilities(*first: float) -> np.ndarray:
    return np.stack([np.array(first), 1 - np.array(first)], axis=1)


def test_thresholds_are_means_over_the_images_labelled_so() -> None:
    p, y = probabilities(0.9, 0.5, 0.2, 0.4), np.array([0, 0, 1, 1])
    assert np.allclose(labels.thresholds(p, y), [0.7, 0.7])


def test_a_confident_other_class_is_an_issue_and_a_doubtful_one_is_not() -> None:
    # The third image is labelled 1 and looks like 0; the fourth is between the two.
    p, y = probabilities(0.9, 0.9, 0.95, 0.55, 0.1, 0.1), np.array([0, 0, 1, 1, 1, 1])
    confident = labels.confident_labels(p, y)
    assert confident.tolist() == [0, 0, 0, labels.UNKNOWN, 1, 1]
    none = labels.UNKNOWN
    assert labels.suggested_labels(p, y).tolist() == [none, none, 0, none, none, none]


def test_a_class_ten_times_as_probable_is_suggested_though_no_class_is_confident() -> None:
    p, y = probabilities(0.99, 0.99, 0.92, 0.9), np.array([0, 0, 1, 1])
    assert labels.confident_labels(p[2:3], y[2:3]).tolist() == [1]  # alone, it sets the threshold
    assert labels.confident_labels(p, y)[3] == 1 and labels.suggested_labels(p, y)[2] == 0
    assert labels.suggested_labels(p, y)[3] == labels.UNKNOWN  # nine times is too little


def test_equal_probabilities_reach_their_own_mean() -> None:
    p = np.tile([0.1, 0.2, 0.7], (7, 1))
    assert (labels.confident_labels(p, np.full(7, 2)) == 2).all()


def test_neighbours_that_are_not_there_do_not_vote() -> None:
    y = np.array([0, 0, 1, 1])
    index = np.array([[1, 2], [0, NOBODY], [0, 1], [NOBODY, NOBODY]])
    found = labels.agreement(index, y)
    assert found[:3].tolist() == [0.5, 1.0, 0.0] and np.isnan(found[3])


def test_quality_is_low_where_the_label_is_improbable() -> None:
    p, y = probabilities(0.99, 0.3, 0.3, 0.01), np.array([0, 0, 1, 0])
    assert np.allclose(labels.label_quality(p, y), [0.99, 0.3, 0.7, 0.01])
