"""Images that hold little to learn from; the limits follow what is usual in the set."""

from dataclasses import replace

import numpy as np

from featx.auditing.odd import ODD, Measured, class_distances, find_odd
from featx.auditing.pixels import Pixels


def measured(count: int = 40) -> Measured:
    """Return a set of usual photographs of two classes."""
    random = np.random.default_rng(0)
    pixels = replace(
        Pixels.unread(count),
        is_read=np.ones(count, bool),
        brightness=random.uniform(60, 180, count),
        contrast=random.uniform(35, 80, count),
        detail=random.uniform(0.12, 0.4, count),
    )
    distance = random.normal(0.8, 0.04, count)
    return Measured(pixels, np.full(count, 375), distance, distance.copy(), np.arange(count) % 2)


def named(of: Measured) -> dict[str, list[int]]:
    return {kind: rows[0].tolist() for kind, rows in find_odd(of).items() if len(rows[0])}


def test_usual_photographs_are_not_odd() -> None:
    assert named(measured()) == {}


def test_each_kind_is_named() -> None:
    of = measured()
    of.pixels.contrast[3], of.pixels.detail[3] = 0.5, 0.001  # not also blurred
    of.pixels.brightness[4] = 5
    of.side[5] = 40
    of.pixels.detail[6] = 0.01
    of.pixels.detail[7] = 0.95
    of.distance[8] = 1.25
    of.alone[9] = 1.25
    assert named(of) == {
        "empty": [3], "dark": [4], "small": [5], "blurred": [6], "noise": [7], "outlier": [8],
        "unlike": [9],
    }  # fmt: skip
    assert set(named(of)) == set(ODD)


def test_the_oddest_comes_first_with_its_value_and_limit() -> None:
    of = measured()
    of.distance[[2, 4, 6]] = 1.3, 1.5, 1.4
    positions, values, limits = find_odd(of)["outlier"]
    assert positions.tolist() == [4, 6, 2] and values.tolist() == [1.5, 1.4, 1.3]
    assert (limits < 1.2).all() and (limits > 0.8).all()


def test_a_set_of_small_dark_images_is_not_odd_as_a_whole() -> None:
    of = measured()
    of.side[:] = 28
    of.pixels.brightness[:] = of.pixels.brightness / 20
    of.pixels.detail[:] = of.pixels.detail / 10
    assert named(of) == {}


def test_what_was_not_measured_is_not_judged() -> None:
    of = measured()
    of = of._replace(pixels=Pixels.unread(40), distance=np.full(40, np.nan))
    of = of._replace(alone=of.distance)
    assert named(of) == {}


def test_distances_are_to_other_units_of_the_class() -> None:
    rows = np.eye(3, dtype=np.float32)[[0, 0, 0, 1, 1, 2]]
    y, units = np.array([0, 0, 1, 1, 1, 1]), np.array([0, 0, 1, 2, 2, 3])
    found = class_distances(rows, y, units)
    assert np.isnan(found[:2]).all()  # the only other image of the class is the same unit
    assert np.allclose(found[2:], np.sqrt(2))
