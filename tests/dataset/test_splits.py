from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx.dataset import splits
from featx.dataset.catalog import Catalog
from featx.errors import InputError


def made(
    labels: list[int], parts: list[str] | None = None, groups: list[str] | None = None
) -> Catalog:
    count = len(labels)
    texts = [np.array(values, object) for values in (parts or [""] * count, groups or [""] * count)]
    paths = np.array([f"{number}.png" for number in range(count)], object)
    classes = tuple(f"class {label}" for label in range(max(labels, default=-1) + 1))
    return Catalog(Path(), paths, np.array(labels, np.int32), *texts, classes)


def digests(values: list[object]) -> np.ndarray:
    return np.array([str(value) for value in values], object)


def test_units_join_through_bytes_and_groups() -> None:
    catalog = made([0] * 6, groups=["", "g", "h", "g", "", "h"])
    found = splits.leakage_groups(catalog, digests(["a", "b", "c", "c", "d", "d"]))
    # 1-3 share g, 2-5 share h, 2-3 and 4-5 share bytes: all but the first hang together.
    assert len(set(found[1:])) == 1 and found[0] != found[1]
    assert len(set(splits.leakage_groups(made([0] * 3), digests([1, 2, 3])))) == 3


images = st.integers(8, 60).flatmap(
    lambda count: st.tuples(
        st.lists(st.integers(0, count // 2), min_size=count, max_size=count),
        st.lists(st.sampled_from(["", "", "", "g1", "g2", "g3"]), min_size=count, max_size=count),
    )
)


@given(images, st.integers(0, 5), st.sampled_from([0.1, 0.2, 0.5]))
def test_nothing_leaks(drawn: tuple[list[int], list[str]], seed: int, share: float) -> None:
    contents, groups = drawn
    labels = [content % 2 for content in contents]  # equal bytes have equal labels
    catalog = made([*labels, 0, 0, 1, 1], groups=[*groups, "", "", "", ""])
    names = digests([*contents, "w", "x", "y", "z"])
    together = splits.leakage_groups(catalog, names)
    found = splits.train_test(catalog, names, share, seed)
    for key in (together, names):
        assert not len(np.intersect1d(key[found.train], key[found.test]))
    shared = set(catalog.groups[found.train]) & set(catalog.groups[found.test])
    assert shared <= {""}
    assert sorted([*found.train, *found.test]) == list(range(len(catalog)))
    again = splits.train_test(catalog, names, share, seed)
    assert np.array_equal(again.train, found.train)


def test_holdout_is_stratified_and_seeded() -> None:
    catalog = made([0] * 50 + [1] * 100)
    names = digests(list(range(150)))
    found = splits.train_test(catalog, names, 0.2, 0)
    assert np.bincount(catalog.labels[found.test]).tolist() == [10, 20]
    other = splits.train_test(catalog, names, 0.2, 1)
    assert not np.array_equal(found.test, other.test)
    assert "20% of the images held out, seed 0" in found.rule


@pytest.mark.parametrize("name", ["test", "val"])
def test_made_splits_are_respected(name: str) -> None:
    catalog = made([0, 1, 0, 1, -1], ["train", "train", name, name, "train"])
    found = splits.train_test(catalog, digests([1, 2, 3, 4, 5]), 0.2, 0)
    assert found.train.tolist() == [0, 1] and found.test.tolist() == [2, 3]
    assert f"tested on the {name} split" in found.rule


def test_test_split_comes_before_val() -> None:
    catalog = made([0, 1, 0, 1, 0, 1], ["train", "train", "val", "val", "test", "test"])
    found = splits.train_test(catalog, digests([1, 2, 3, 4, 5, 6]), 0.2, 0)
    assert found.train.tolist() == [0, 1] and found.test.tolist() == [4, 5]
    assert found.validation.tolist() == [2, 3]
    images, folds = found.to_compare_on()
    assert images.tolist() == [0, 1, 2, 3] and folds is not None
    assert [side.tolist() for side in folds[0]] == [[0, 1], [2, 3]]


@given(images, st.integers(2, 4), st.integers(0, 3))
def test_nothing_leaks_between_folds(
    drawn: tuple[list[int], list[str]], count: int, seed: int
) -> None:
    contents, groups = drawn
    # Four more images of each class, so that there are as many units as folds.
    labels = np.array([content % 2 for content in contents] + [0, 1] * 4)
    catalog = made(labels.tolist(), groups=[*groups, *[""] * 8])
    names = digests([*contents, *"stuvwxyz"])
    together = splits.leakage_groups(catalog, names)
    found = splits.folds(labels, together, count, seed)
    assert len(found) == count
    for inside, outside in found:
        assert not len(np.intersect1d(together[inside], together[outside]))
        assert not len(np.intersect1d(names[inside], names[outside]))
        assert set(catalog.groups[inside]) & set(catalog.groups[outside]) <= {""}
    assert sorted(np.concatenate([outside for _, outside in found])) == list(range(len(labels)))


def test_a_class_with_fewer_images_than_folds_is_named() -> None:
    labels = np.array([0] * 9 + [1] * 3)
    units = np.array([*range(9), 9, 9, 10])
    with pytest.raises(InputError, match=r"'rare' has too few .*: 2, and 3 folds need 3"):
        splits.folds(labels, units, 3, 0, ["usual", "rare"])
    with pytest.raises(InputError, match="The number of folds is 1"):
        splits.folds(labels, units, 1, 0)


def test_a_class_that_falls_into_one_fold_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.model_selection import StratifiedGroupKFold

    everything = np.arange(8)
    monkeypatch.setattr(
        StratifiedGroupKFold, "split", lambda *_: [(everything[:4], everything[4:])] * 2
    )
    labels = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    with pytest.raises(InputError, match="All images of the class 'rare' fell into one fold"):
        splits.folds(labels, everything, 2, 0, ["usual", "rare"])


def test_training_images_that_equal_test_images_are_left_out() -> None:
    catalog = made([0, 1, 0, 1, 0, 1], ["train"] * 4 + ["test"] * 2, ["", "", "", "g", "", "g"])
    found = splits.train_test(catalog, digests([1, 2, 3, 4, 1, 6]), 0.2, 0)
    assert found.train.tolist() == [1, 2] and found.test.tolist() == [4, 5]
    assert found.left_out == 2


def test_equal_images_with_different_labels_are_named() -> None:
    with pytest.raises(InputError, match=r"0\.png \(class 0\) = 2\.png \(class 1\)"):
        splits.train_test(made([0, 0, 1, 1]), digests([7, 8, 7, 9]), 0.2, 0)


@pytest.mark.parametrize(
    ("labels", "parts", "share", "message"),
    [
        ([0, 0, 0, 1], None, 0.2, "'class 1' has too few different images: 1; .*at least 2"),
        ([0, 0, 1, 1], None, 1.5, "The test size is 1.5"),
        ([0, 1], ["train", "train"], 0.2, "have the splits train. Expected train, and test or val"),
        ([0, 1], ["test", "test"], 0.2, "have the splits test"),
        ([0, 1, 2], ["train", "train", "test"], 0.2, "'class 2' has no image to train on"),
    ],
)
def test_what_cannot_be_split(
    labels: list[int], parts: list[str] | None, share: float, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        splits.train_test(made(labels, parts), digests(list(range(len(labels)))), share, 0)


def test_labelled_images() -> None:
    assert splits.labelled_images(made([0, -1, 1]), digests([1, 2, 3])).tolist() == [0, 2]
    with pytest.raises(InputError, match="'class 0' has no image to train on"):
        splits.labelled_images(made([1, 1]), digests([1, 2]))


def test_classes_that_can_be_told_apart() -> None:
    splits.require_classes(made([0, 1]))
    with pytest.raises(InputError, match="There is one class, 'class 0', with 2 images"):
        splits.require_classes(made([0, 0]))
    with pytest.raises(InputError, match="have no labels"):
        splits.require_classes(made([-1, -1]))
