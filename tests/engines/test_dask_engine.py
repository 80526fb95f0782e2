import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from toywork import Processes, ToyTask, ToyWork, cluster_of, free_port

from featx.engines import worker
from featx.engines.attempts import Limits
from featx.engines.dask_engine import DaskEngine
from featx.errors import CorruptError, IncompatibleError, InputError, StorageError

pytest.importorskip("distributed")

QUICK = Limits(late_seconds=1.0, census=0.5, patience=60.0, longest_pause=1.0)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Processes]:
    with cluster_of(2) as started:
        yield started


def engine(cluster: Processes, **changes: Any) -> DaskEngine:
    return DaskEngine(cluster.address, Limits(**{**vars(QUICK), **changes}))


def running(address: str) -> int:
    """Return how many tasks the scheduler knows of."""
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        return int(client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)))


def test_each_part_is_done_once_and_little_is_sent_ahead(
    cluster: Processes, tmp_path: Path
) -> None:
    work = ToyWork(tmp_path / "parts")
    finished = engine(cluster).run(work, range(60))
    assert sorted(finished) == list(range(60))
    assert sorted(work.kept) == list(range(60))
    assert work.shared == [True]
    work.require_whole(60)
    assert running(cluster.address) == 0


def test_parts_of_a_folder_that_workers_do_not_see_are_sent(
    cluster: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    # What the workers find at that path is not what this process wrote.
    real = Path(tmp_path / "parts")
    work = ToyWork(real)
    monkeypatch.setattr("featx.engines.dask_engine.token_in", Elsewhere)
    with caplog.at_level(logging.INFO, "featx"):
        assert sorted(engine(cluster).run(work, range(20))) == list(range(20))
    assert work.shared == [True, False]
    assert "does not see" in caplog.text
    work.require_whole(20)


class Elsewhere:
    def __init__(self, folder: Path, content: bytes) -> None:
        pass

    def __enter__(self) -> str:
        return "digest /nowhere/engine.token"

    def __exit__(self, *_: object) -> None:
        pass


def test_an_error_of_featx_goes_up_as_it_is(cluster: Processes, tmp_path: Path) -> None:
    work = ToyWork(tmp_path, error=CorruptError("Too many images are bad."), bad=(7,))
    with pytest.raises(CorruptError, match=r"^Too many images are bad\.$"):
        list(engine(cluster).run(work, range(200)))
    assert len(work.kept) < 20
    assert running(cluster.address) == 0
    assert not list(tmp_path.glob("*.token"))


def test_another_error_goes_up_with_the_number_of_its_part(
    cluster: Processes, tmp_path: Path
) -> None:
    work = ToyWork(tmp_path, error=ZeroDivisionError("by nothing"), bad=(3,))
    with pytest.raises(RuntimeError, match=r"(?s)Part 3 of toy failed: ZeroDivision.*toywork"):
        list(engine(cluster).run(work, range(10)))


def test_a_part_that_is_not_whole_is_computed_again(cluster: Processes, tmp_path: Path) -> None:
    class Hasty(ToyWork):
        def keep(self, number: int, answer: bytes) -> None:
            path = self.folder / f"{number}.part"
            if number == 2 and not damaged:
                damaged.append(1)
                path.write_bytes(b"half")
            super().keep(number, answer)

    damaged: list[int] = []
    work = Hasty(tmp_path)
    assert sorted(engine(cluster).run(work, range(5))) == list(range(5))
    work.require_whole(5)
    assert damaged


def test_closing_the_generator_leaves_nothing_on_the_cluster(
    cluster: Processes, tmp_path: Path
) -> None:
    finished = engine(cluster).run(ToyWork(tmp_path), range(1000))
    next(finished)
    finished.close()
    assert running(cluster.address) == 0


def test_no_scheduler_and_no_address_are_told(tmp_path: Path) -> None:
    hasty = Limits(greeting=0.3)
    with pytest.raises(StorageError, match=r"No scheduler answers at tcp.*Start one with"):
        list(DaskEngine(f"tcp://127.0.0.1:{free_port()}", hasty).run(ToyWork(tmp_path), [1]))
    with pytest.raises(InputError, match="is not the address of a scheduler"):
        list(DaskEngine("http://x:1", hasty).run(ToyWork(tmp_path), [1]))
    with pytest.raises(StorageError, match=r"there is no file missing\.json"):
        list(DaskEngine("missing.json", hasty).run(ToyWork(tmp_path), [1]))


def test_another_version_of_featx_is_told(
    cluster: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("featx.__version__", "99.0")
    with pytest.raises(IncompatibleError, match=r"scheduler has featx .* has featx 99\.0"):
        list(engine(cluster).run(ToyWork(tmp_path), [1]))


def test_a_worker_checks_its_version_and_that_it_sees_the_folder(tmp_path: Path) -> None:
    order = worker.packed(ToyTask(""))
    assert "Install the same" in str(worker.opened(worker.do_part("featx 0.1", order, b""))[1])
    blind = f"digest {tmp_path}/engine-x.token"
    error = worker.opened(worker.do_part(worker.versions(), blind, b""))[1]
    assert isinstance(error, InputError)
    assert "mount the folder there" in str(error)


def test_a_worker_that_hangs_does_not_keep_its_part(cluster: Processes, tmp_path: Path) -> None:
    work = ToyWork(tmp_path, seconds=0.02)
    finished = engine(cluster).run(work, range(60))
    for _ in range(10):
        next(finished)
    stopped = cluster.workers[0]
    os.kill(stopped.pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        list(finished)
        assert time.monotonic() - begun < 30
    finally:
        os.kill(stopped.pid, signal.SIGCONT)
    assert sorted(work.kept) == list(range(60))


def test_without_workers_it_waits_and_then_says_what_to_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with cluster_of(0) as alone:
        time.sleep(1)
        with pytest.raises(StorageError, match="has had no workers"):
            list(engine(alone, patience=0.5).run(ToyWork(tmp_path), [1]))
        assert "waits for workers" in caplog.text


@pytest.mark.slow
def test_a_part_that_kills_its_workers_is_given_up(tmp_path: Path) -> None:
    with cluster_of(2) as cluster:
        cluster.supervise()
        work = ToyWork(tmp_path, bad=(4,))
        with pytest.raises(StorageError, match=r"Part 4 of toy was sent to workers 2 times"):
            list(engine(cluster, tries=2).run(work, range(8)))


@pytest.mark.slow
def test_workers_may_be_killed_many_times(tmp_path: Path) -> None:
    with cluster_of(3) as cluster:
        cluster.supervise()
        work = ToyWork(tmp_path, seconds=0.05)
        kills = 0
        for number, _ in enumerate(engine(cluster).run(work, range(300))):
            if number % 25 == 24 and cluster.workers:
                cluster.workers[0].kill()
                kills += 1
        assert kills >= 10
        work.require_whole(300)


@pytest.mark.slow
@pytest.mark.parametrize("pause", [0.0, 4.0])
def test_the_scheduler_may_die_and_come_back(
    pause: float, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with cluster_of(2) as cluster:
        cluster.supervise()
        work = ToyWork(tmp_path, seconds=0.02)
        restarts = []
        for number, _ in enumerate(engine(cluster).run(work, range(200))):
            if number in (40, 120) and cluster.scheduler:
                cluster.scheduler.kill()
                cluster.scheduler.wait()
                restart = threading.Timer(pause, cluster.start_scheduler)
                restart.start()
                restarts.append(restart)
        work.require_whole(200)
        assert len(restarts) == 2
        assert caplog.text.count("is back") >= 2


@pytest.mark.slow
def test_a_scheduler_that_does_not_come_back_is_told(tmp_path: Path) -> None:
    with cluster_of(1) as cluster:
        work = ToyWork(tmp_path)
        finished = engine(cluster, patience=3.0).run(work, range(500))
        next(finished)
        assert cluster.scheduler
        cluster.scheduler.kill()
        with pytest.raises(StorageError, match=r"was gone for 3 s.*finished parts are kept"):
            list(finished)
