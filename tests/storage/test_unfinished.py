"""Blocks of an unfinished output."""

from pathlib import Path

import pytest

from featx.errors import CorruptError, IncompatibleError
from featx.storage.unfinished import Shards

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
    assert not again.folder.exists()
    assert again.begin() == set()


def test_shards_of_another_run_do_not_mix(shards: Shards, tmp_path: Path) -> None:
    with pytest.raises(IncompatibleError, match=r"with other model\. Run the same command"):
        Shards(tmp_path / "o.csv", {**RUN, "model": "def"}).begin()
    (shards.folder / "run.json").write_text("?")
    with pytest.raises(IncompatibleError, match="with other model, images"):
        shards.begin()


def test_what_is_left_of_a_removal_is_not_taken_for_new(shards: Shards) -> None:
    (shards.folder / "run.json").unlink()
    assert shards.begin() == set()


@pytest.mark.parametrize("place", [0, 20, -1])
def test_damage_is_found(shards: Shards, place: int) -> None:
    path = shards.folder / "00000000.shard"
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptError, match=r"00000000\.shard is damaged\. Delete it"):
        list(shards.blocks(1))
