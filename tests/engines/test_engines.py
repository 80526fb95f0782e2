from pathlib import Path
from typing import Any

import joblib
import pytest
from toywork import ToyWork

from featx.engines.attempts import Attempts, Limits
from featx.engines.choose import choose_engine
from featx.engines.dask_engine import DaskEngine
from featx.engines.engine import InProcess
from featx.engines.joblib_engine import JoblibEngine
from featx.errors import CorruptError, InputError


@pytest.mark.parametrize("chosen", [{"backend": "loky"}, {"backend": "threading"}, {"n_jobs": 2}])
def test_the_backend_that_the_caller_chose_does_the_parts(
    chosen: dict[str, Any], tmp_path: Path
) -> None:
    work = ToyWork(tmp_path)
    with joblib.parallel_config(**{"n_jobs": 2, **chosen}):
        engine = choose_engine(None, None)
        assert isinstance(engine, JoblibEngine)
        assert sorted(engine.run(work, range(10))) == list(range(10))
    assert work.shared == [True]
    work.require_whole(10)


def test_errors_of_parts_go_up_from_joblib_too(tmp_path: Path) -> None:
    with joblib.parallel_config("threading", n_jobs=2):
        with pytest.raises(CorruptError, match=r"^Bad$"):
            list(JoblibEngine().run(ToyWork(tmp_path, error=CorruptError("Bad"), bad=(2,)), [1, 2]))
        with pytest.raises(RuntimeError, match="Part 2 of toy failed: KeyError"):
            list(JoblibEngine().run(ToyWork(tmp_path, error=KeyError("x"), bad=(2,)), [1, 2]))


def test_a_choice_is_this_process_by_default() -> None:
    assert isinstance(choose_engine(None, None), InProcess)
    assert isinstance(choose_engine("local", None), InProcess)
    assert choose_engine("dask", "tcp://host:1") == DaskEngine("tcp://host:1")


@pytest.mark.parametrize(
    ("backend", "scheduler", "message"),
    [
        ("dask", None, "needs the address of a scheduler"),
        (None, "tcp://host:1", "is for --backend dask"),
        ("ray", None, "Unknown backend 'ray'"),
    ],
)
def test_choices_that_mean_nothing(
    backend: str | None, scheduler: str | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        choose_engine(backend, scheduler)


def test_a_part_is_late_when_others_are_quick() -> None:
    attempts = Attempts("toy", range(6), Limits(late_factor=4, late_seconds=1, at_once=2))
    keys = [attempts.sent(attempts.next() or 0, 0.0) for _ in range(4)]
    assert attempts.late(100.0) == []  # nothing is known yet of how long parts take
    for key in keys[1:]:
        assert attempts.kept(key, 2.0) == []
    assert attempts.late(9.0) == []
    assert attempts.late(9.1) == [[keys[0]]]
    second = attempts.sent(0, 9.1)
    assert attempts.late(99.0) == []  # as many have it as may
    assert attempts.kept(second, 10.0) == [keys[0]]
    assert attempts.number(keys[0]) is None  # its answer no longer counts
    assert [attempts.next(), attempts.next(), attempts.next()] == [4, 5, None]


def test_a_part_that_fails_waits_again_until_it_is_given_up() -> None:
    attempts = Attempts("toy", [7], Limits())
    for is_left in (True, False):
        assert attempts.next() == 7
        assert attempts.failed(attempts.sent(7, 0.0), 2) is is_left
    assert "Part 7 of toy was sent to workers 2 times" in str(attempts.given_up(7, "It died."))


def test_after_a_restart_all_parts_wait_that_are_not_kept() -> None:
    attempts = Attempts("toy", range(3), Limits())
    first, other = (attempts.sent(attempts.next() or 0, 0.0) for _ in range(2))
    attempts.sent(1, 0.0)  # a second attempt at the same part
    attempts.kept(first, 1.0)
    assert len(attempts.restart()) == 2
    assert attempts.number(other) is None
    assert sorted(filter(None, [attempts.next(), attempts.next()])) == [1, 2]
    assert not attempts.running
