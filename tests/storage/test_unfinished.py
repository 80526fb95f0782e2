"""Blocks of an unfinished output."""

from pathlib import Path

import numpy as np
import pytest

from featx.errors import CorruptError, IncompatibleError
from featx.storage.unfinished import Checkpoint, Shards

RUN = {"model": "abc", "images": 3}


@pytest.fixture
def shards(tmp_path: Path) -> Shards:
    made = Shards(tmp_path / "o.csv", RUN)
    assert made.begin() == set()
    made.write(0, {"failed": {"empty": 1}}, b"first\n\xff")
    made.write(2, {"failed": {}}, b"")
    return made


def test_a_run_goes_on_with_what_is_there(shards: Shards, tmp_path: Path) -> None:
    again = Shards(tmp_path / "o.csv", RUN)
    assert again.begin() == {0, 2}
    again.write(1, {"failed": {}}, b"second\n")
    assert list(again.blocks(3)) == [b"first\n\xff", b"second\n", b""]
    assert again.summary(0)["failed"] == {"empty": 1}
    again.remove()
    assert not again.path.exists()
    assert again.begin() == set()


def test_shards_of_another_run_do_not_mix(shards: Shards, tmp_path: Path) -> None:
    with pytest.raises(IncompatibleError, match=r"with other model\. Run the same command"):
        Shards(tmp_path / "o.csv", {**RUN, "model": "def"}).begin()
    (shards.path / "run.json").write_text("?")
    with pytest.raises(IncompatibleError, match="with other model, images"):
        shards.begin()


def test_what_is_left_of_a_removal_is_not_taken_for_new(shards: Shards) -> None:
    (shards.path / "run.json").unlink()
    assert shards.begin() == set()


@pytest.mark.parametrize("place", [0, 20, -1])
def test_damage_is_found(shards: Shards, place: int) -> None:
    path = shards.path / "00000000.shard"
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptError, match=r"00000000\.shard is damaged\. Delete it"):
        list(shards.blocks(1))


def test_a_checkpoint_gives_back_what_was_saved(tmp_path: Path) -> None:
    made = Checkpoint(tmp_path / "o.featx", RUN)
    assert made.load() is None
    arrays = {"network": [np.arange(6.0).reshape(2, 3).T, np.float32(3)], "best": []}
    made.save(arrays, {"epoch": 2})
    state = Checkpoint(tmp_path / "o.featx", RUN).load()
    assert state and state.values == {"epoch": 2} and state.arrays["best"] == []
    for saved, loaded in zip(arrays["network"], state.arrays["network"], strict=True):
        assert np.array_equal(saved, loaded) and loaded.shape == saved.shape
    with pytest.raises(IncompatibleError, match=r"with other model\. Run the same command"):
        Checkpoint(tmp_path / "o.featx", {**RUN, "model": "def"}).load()
    made.path.write_bytes(made.path.read_bytes()[:-1])
    with pytest.raises(CorruptError, match=r"o\.featx\.checkpoint is damaged\. Delete it"):
        made.load()
    made.remove()
    assert made.load() is None
