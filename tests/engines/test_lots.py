from pathlib import Path

import pytest
from toywork import ToyWork

from featx.engines.lots import InLots, lot_size
from featx.errors import CorruptError


@pytest.mark.parametrize("shared", [True, False])
def test_each_part_of_a_lot_is_kept_once(tmp_path: Path, shared: bool) -> None:
    work = ToyWork(tmp_path / "parts")
    lots = InLots(work, [5, 6, 7, 9, 10], 2)
    assert lots.lots == {5: (5, 6), 7: (7, 9), 10: (10,)}
    task = lots.task(shared=shared)
    for first in (7, 5, 10):
        answer = task(lots.question(first, shared=shared))
        lots.keep(first, answer)
        lots.keep(first, answer)
    assert work.kept == [7, 9, 5, 6, 10]


def test_a_lot_of_which_a_part_is_not_whole_keeps_the_others(tmp_path: Path) -> None:
    work = ToyWork(tmp_path)
    lots = InLots(work, range(3), 3)
    answer = lots.task(shared=True)([0, 1, 2])
    (tmp_path / "1.part").write_bytes(b"half")
    with pytest.raises(CorruptError):
        lots.keep(0, answer)
    lots.keep(0, lots.task(shared=True)([0, 1, 2]))
    assert work.kept == [0, 1, 2]
    assert [lot_size(count) for count in (1, 255, 256, 10_000)] == [1, 1, 2, 4]
