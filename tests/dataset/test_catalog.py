import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from listing import rows, touch

from featx.dataset.catalog import NO_LABEL
from featx.dataset.scan import scan

name_bytes = st.binary(min_size=1, max_size=60).filter(
    lambda b: b"/" not in b and b"\0" not in b and not b.startswith(b".")
)


@given(st.lists(name_bytes, min_size=1, max_size=8, unique=True), st.randoms())
def test_order_is_that_of_the_bytes_for_any_names(
    tmp_path_factory: pytest.TempPathFactory, names: list[bytes], random: object
) -> None:
    root = os.fsencode(tmp_path_factory.mktemp("names"))
    random.shuffle(names)  # type: ignore[attr-defined]
    for name in names:
        with open(os.path.join(root, name + b".png"), "wb"):
            pass
    found = scan(os.fsdecode(root))
    assert [os.fsencode(path) for path in found.paths] == sorted(name + b".png" for name in names)


def test_take_keeps_the_classes(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/1.png")
    taken = scan(tmp_path).take(np.array([1]))
    assert rows(taken) == [("b/1.png", "b", "")]


def test_labels_for_the_classes_of_a_model(tmp_path: Path) -> None:
    found = scan(touch(tmp_path, "bees/1.png", "ants/2.png", "wasps/3.png"))
    assert found.labels_for(["wasps", "ants", "bees"]).tolist() == [1, 2, 0]
    assert found.labels_for(("bees", "ants"), np.array([0, 1])).tolist() == [1, 0]
    assert found.labels_for(["ants", "bees"]).tolist() == [0, 1, NO_LABEL]
    unlabelled = scan(tmp_path, labelled=False)
    assert unlabelled.labels_for(["ants"]).tolist() == [NO_LABEL] * 3
