"""Pairs and groups of images that show the same picture, apart from any cache."""

from dataclasses import replace

import numpy as np
import pytest

from featx.auditing.duplicates import Pairs, components, equal_pairs, near_pairs
from featx.auditing.neighbours import nearest
from featx.auditing.pixels import Pixels


def seen(thumbnails: np.ndarray) -> Pixels:
    """Return pixels of files that were all read."""
    unread = Pixels.unread(len(thumbnails))
    return replace(unread, is_read=np.ones(len(thumbnails), bool), thumbnails=thumbnails)


def rows_of(count: int, seed: int) -> np.ndarray:
    """Return rows of length 1 whose cosines are all about 0.9."""
    rows = 1 + 0.3 * np.random.default_rng(seed).normal(size=(count, 64)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def pairs_of(thumbnails: np.ndarray, seed: int = 0) -> set[tuple[int, int, str]]:
    count = len(thumbnails)
    found = near_pairs(nearest(rows_of(count, seed), 20), seen(thumbnails), np.arange(count))
    return set(zip(found.one.tolist(), found.two.tolist(), found.kinds.tolist(), strict=True))


def test_noisy_and_mirrored_copies_are_the_same_and_others_are_not() -> None:
    random = np.random.default_rng(0)
    thumbnails = random.integers(20, 230, (20, 32, 32), dtype=np.uint8)
    thumbnails[5] = thumbnails[4] + random.integers(0, 10, (32, 32), dtype=np.uint8)
    thumbnails[7] = thumbnails[6][:, ::-1]
    assert pairs_of(thumbnails) == {(4, 5, "near"), (6, 7, "mirrored")}


def test_where_all_images_are_alike_more_is_asked_of_a_double() -> None:
    random = np.random.default_rng(0)
    shape = random.integers(0, 200, (32, 32)).astype(np.float64)
    # All correlate at about 0.98, as digits of one class do.
    thumbnails = shape + random.normal(0, 8, (20, 32, 32))
    thumbnails[3] = thumbnails[2] + random.normal(0, 0.5, (32, 32))
    found = pairs_of(np.clip(np.rint(thumbnails), 0, 255).astype(np.uint8))
    assert found == {(2, 3, "near")}


@pytest.mark.parametrize("copies", [2, 5])
def test_a_set_in_which_every_image_is_there_several_times(copies: int) -> None:
    random = np.random.default_rng(0)
    thumbnails = np.repeat(random.integers(20, 230, (12, 32, 32), dtype=np.uint8), copies, axis=0)
    thumbnails += random.integers(0, 6, thumbnails.shape, dtype=np.uint8)
    rows = np.repeat(rows_of(12, 1), copies, axis=0)
    count = len(thumbnails)
    found = near_pairs(nearest(rows, 20), seen(thumbnails), np.arange(count))
    numbers = components(count, found)
    assert len(found) == 12 * copies * (copies - 1) // 2
    assert np.array_equal(numbers, np.repeat(np.arange(12), copies))


def test_unread_files_are_compared_by_nearly_equal_features_only() -> None:
    rows = rows_of(40, 0)
    rows[9] = rows[8]
    rows[11] = rows[10] + 0.01 * rows[12]
    rows[11] /= np.linalg.norm(rows[11])
    rows[13] = rows[14] + 0.7 * rows[15]
    rows[13] /= np.linalg.norm(rows[13])
    found = near_pairs(nearest(rows, 20), Pixels.unread(40), np.arange(40))
    assert set(zip(found.one.tolist(), found.two.tolist(), strict=True)) == {(8, 9), (10, 11)}
    assert set(found.kinds) == {"unconfirmed"} and np.isnan(found.correlation).all()


def test_equal_files_are_tied_to_the_first() -> None:
    first, pairs = equal_pairs(np.array(["b", "a", "b", "c", "b", "a"], dtype=object))
    assert first.tolist() == [0, 1, 3]
    tied = zip(pairs.one.tolist(), pairs.two.tolist(), strict=True)
    assert set(tied) == {(0, 2), (0, 4), (1, 5)} and set(pairs.kinds) == {"equal"}


def test_components_tie_through_others_and_through_units() -> None:
    one, two = np.array([0, 1]), np.array([1, 2])
    pairs = Pairs(one, two, np.array(["near"] * 2, dtype=object), np.ones(2), np.ones(2))
    numbers = components(6, pairs)
    assert len(set(numbers[:3].tolist())) == 1 and len(set(numbers.tolist())) == 4
    numbers = components(6, pairs, np.array([7, 8, 9, 9, 10, 10]))
    assert len(set(numbers[:4].tolist())) == 1 and numbers[4] == numbers[5] != numbers[0]
