"""The most similar images, in blocks."""

import numpy as np
import pytest

from featx.auditing import neighbours
from featx.auditing.neighbours import NOBODY, nearest, nearest_apart


def unit_rows(count: int, columns: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, columns)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def by_sorting(rows: np.ndarray, k: int, units: np.ndarray) -> np.ndarray:
    cosines = rows @ rows.T
    cosines[units[:, np.newaxis] == units] = -np.inf
    return np.asarray(-np.sort(-cosines, axis=1)[:, :k])


@pytest.mark.parametrize("block", [7, 64, 2048])
def test_blocks_find_what_sorting_all_cosines_finds(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "_BLOCK", block)
    rows, alone = unit_rows(150, 8, seed=0), np.arange(150)
    found = nearest(rows, 5)
    assert np.allclose(found.cosine, by_sorting(rows, 5, alone), atol=1e-6)
    assert np.allclose(
        (rows[:, np.newaxis] * rows[found.index]).sum(axis=2), found.cosine, atol=1e-6
    )
    assert (found.index != alone[:, np.newaxis]).all()
    assert all(len(set(row)) == 5 for row in found.index.tolist())


@pytest.mark.parametrize("block", [7, 2048])
def test_images_of_a_unit_are_not_each_others_neighbours(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "_BLOCK", block)
    rows, units = unit_rows(60, 4, seed=1), np.arange(60) // 3
    found = nearest_apart(rows, 4, units)
    assert np.allclose(found.cosine, by_sorting(rows, 4, units), atol=1e-6)
    assert not (units[found.index] == units[:, np.newaxis]).any()
    some = nearest_apart(rows, 4, units, np.array([50, 3]))
    assert np.array_equal(some.index, found.index[[50, 3]])


def test_where_there_are_too_few_nobody_stands() -> None:
    found = nearest(unit_rows(3, 4, seed=2), 5)
    assert (found.index == NOBODY).sum(axis=1).tolist() == [3, 3, 3]
    assert np.isneginf(found.cosine[:, 2:]).all() and np.isfinite(found.cosine[:, :2]).all()
    alone = nearest_apart(unit_rows(3, 4, seed=2), 2, np.zeros(3, int))
    assert (alone.index == NOBODY).all()


def test_progress_ends_at_the_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_BLOCK", 10)
    calls: list[tuple[int, int]] = []
    nearest(unit_rows(35, 4, seed=3), 2, lambda done, total, *_: calls.append((done, total)))
    assert calls[0] == (0, 35) and calls[-1] == (35, 35) and calls == sorted(calls)
