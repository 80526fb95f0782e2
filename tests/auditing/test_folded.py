"""Folds of the audit: units stay together, and rare classes are tested too."""

import numpy as np
import pytest

from featx.auditing.folded import few_units, make_folds


@pytest.mark.parametrize("seed", range(5))
def test_every_unit_is_on_one_side_and_every_image_is_tested_once(seed: int) -> None:
    random = np.random.default_rng(seed)
    units = random.integers(0, 60, 200)
    y = random.integers(0, 3, 200)
    folds = make_folds(y, units, 5, seed)
    assert sorted(np.concatenate([outside for _, outside in folds]).tolist()) == list(range(200))
    for inside, outside in folds:
        assert not np.intersect1d(units[inside], units[outside]).size
        assert len(inside) + len(outside) == 200
        assert set(y[inside]) == {0, 1, 2}


def test_folds_have_the_shares_of_the_classes() -> None:
    y = np.repeat([0, 1], [100, 20])
    for _, outside in make_folds(y, np.arange(120), 5, 0):
        assert np.bincount(y[outside]).tolist() == [20, 4]


def test_a_class_of_two_images_is_always_trained_on() -> None:
    y = np.repeat([0, 1], [50, 2])
    folds = make_folds(y, np.arange(52), 5, 3)
    assert len(folds) == 5 and all(1 in y[inside] for inside, _ in folds)


def test_other_seeds_give_other_folds_and_equal_ones_the_same() -> None:
    y, units = np.repeat([0, 1], 30), np.arange(60)
    one, same, other = (make_folds(y, units, 3, seed)[0][1].tolist() for seed in (1, 1, 2))
    assert one == same != other


def test_a_class_of_one_unit_is_named() -> None:
    y = np.array([0, 0, 1, 1, 2])
    assert few_units(y, np.array([0, 1, 2, 2, 3])) == [1, 2]
    # The double of another class counts for the label that most of its unit has.
    assert few_units(np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 0, 2])) == [1]
