"""Recipes for clusters: what they ask featx for, and what they make of its exit codes."""

import os
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from standin import asked, environment, stand_in

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "examples" / "cluster"
DATA = {"SOURCE": "my photos", "OUT": "features.d"}


def run(name: str, *arguments: str, env: dict[str, str], cwd: Path, code: int = 0) -> str:
    ran = subprocess.run(
        [CLUSTER / name, *arguments], env=env, cwd=cwd, capture_output=True, text=True
    )
    assert ran.returncode == code, ran.stderr
    return ran.stdout


@pytest.mark.parametrize(
    ("featx", "code", "requeued"), [(0, 0, 0), (3, 0, 0), (12, 0, 1), (5, 5, 0), (6, 6, 0)]
)
def test_a_task_of_slurm_is_a_share(tmp_path: Path, featx: int, code: int, requeued: int) -> None:
    place = tmp_path / "place"
    env = environment(place, str(featx), **DATA, SHARES="40")
    stand_in(place, "scontrol", prints=True)
    env |= {"SLURM_ARRAY_TASK_ID": "6", "SLURM_ARRAY_JOB_ID": "99", "EXTRACT_OPTIONS": "--size 32"}
    run("slurm_share.sh", env=env, cwd=tmp_path, code=code)
    first, *rest = asked(place)
    assert first.startswith("featx extract my photos -o features.d --share 7/40 --max-hours 7.5")
    assert first.endswith(" --size 32")
    assert rest == ["scontrol requeue 99_6"] * requeued


def test_slurm_joins_after_all_tasks(tmp_path: Path) -> None:
    place = tmp_path / "place"
    env = environment(place, "", **DATA, SHARES="8")
    stand_in(place, "sbatch", prints=True)
    run("slurm_submit.sh", env=env, cwd=tmp_path)
    array, join = asked(place)
    assert "--array=0-7 " in array and array.endswith("slurm_share.sh")
    assert "--dependency=afterok:4711 " in join
    wrapped = join.partition("--wrap ")[2]
    for code in (0, 3, 6):
        (place / "codes").write_text(f"{code}\n")
        ended = subprocess.run(["bash", "-c", wrapped], env=env).returncode
        assert ended == (0 if code == 3 else code)
    assert asked(place)[-1] == "featx join features.d --quiet"


@pytest.mark.parametrize(
    ("machine", "codes", "code", "joins"),
    [
        ("2", "3", 0, 0),
        ("1", "0 2 11 3", 0, 3),
        ("1", "12", 0, 0),
        ("1", "0 2 2 2", 2, 3),
        ("1", "0 4", 4, 1),
        ("3", "5", 5, 0),
    ],
)
def test_the_first_of_several_machines_joins(
    tmp_path: Path, machine: str, codes: str, code: int, joins: int
) -> None:
    place = tmp_path / "place"
    env = environment(place, codes, **DATA, TRIES="3", PAUSE="0")
    run("cron_share.sh", machine, "4", env=env, cwd=tmp_path, code=code)
    first, *rest = asked(place)
    assert f" --share {machine}/4 " in first
    assert rest == ["featx join features.d --quiet"] * joins


def test_a_pod_is_a_share_and_exit_code_3_is_no_failure(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    place = tmp_path / "place"
    env = environment(place, "")
    jobs: dict[str, Any] = {
        path.stem: yaml.safe_load(path.read_text()) for path in sorted(CLUSTER.glob("*.yaml"))
    }
    spec = jobs["kubernetes_extract"]["spec"]
    assert spec["completionMode"] == "Indexed" and spec["completions"] == 40
    for job in jobs.values():
        (container,) = job["spec"]["template"]["spec"]["containers"]
        for code in (0, 3, 6):
            (place / "codes").write_text(f"{code}\n")
            command = [*container["command"], *container["args"]]
            ended = subprocess.run(command, env={**env, "JOB_COMPLETION_INDEX": "6"}).returncode
            assert ended == (0 if code == 3 else code)
    said = asked(place)
    assert said[0] == (
        "featx extract /data/photos -o /data/features.d --share 7/40 --log-json --quiet"
    )
    assert said[-1] == "featx join /data/features.d --log-json --quiet"


def test_roles_of_a_dask_cluster(tmp_path: Path) -> None:
    place = tmp_path / "place"
    env = environment(place, "")
    stand_in(place, "dask")
    run("dask_cluster.sh", "scheduler", env=env, cwd=tmp_path)
    run("dask_cluster.sh", "worker", "tcp://a:8786", env=env, cwd=tmp_path)
    run("dask_cluster.sh", "else", env=env, cwd=tmp_path, code=2)
    scheduler, worker = asked(place)
    assert scheduler == "dask scheduler --port 8786 --no-dashboard"
    assert worker.startswith("dask worker tcp://a:8786 --nworkers 1 --nthreads 1")


def test_the_simulation_knows_what_it_should(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    found = runpy.run_path(str(ROOT / "benchmarks" / "simulate_scaling.py"), run_name="read")
    simulate, world = SimpleNamespace(**found).simulate, found["World"]
    even = {"images": 1_000_000, "machines": 10, "slow": 0, "deaths": 0, "hangs": 0, "keep": 0}
    ideal = 1_000_000 / (10 * 60)
    quick = simulate(world(**even), "queue", 0)
    assert ideal < quick.seconds < 1.1 * ideal and quick.again == 0
    # The coordinator alone takes a second for each of 7,813 parts.
    assert simulate(world(**{**even, "keep": 1.0}), "queue", 0).seconds > 7_813
    slow = world(**{**even, "slow": 0.3})
    assert (
        simulate(slow, "queue", 1).seconds
        < simulate(slow, "8 shares each", 1).seconds
        < simulate(slow, "as many shares", 1).seconds
    )
    worse = world(**{**even, "deaths": 5.0, "hangs": 1.0})
    lossy = simulate(worse, "queue", 0)
    assert lossy.died and lossy.hung and lossy.again >= lossy.died
    assert lossy.seconds > quick.seconds


@pytest.mark.slow
def test_shares_by_slurms_script_are_one_cache(photos: Path, tmp_path: Path) -> None:
    import featx

    (photos / "red" / "cut.png").write_bytes((photos / "red" / "0.png").read_bytes()[:200])
    out = tmp_path / "features.d"
    env = {**os.environ, "FEATX": f"{sys.executable} -m featx", "SHARES": "2", "OUT": str(out)}
    env |= {"SOURCE": str(photos), "EXTRACT_OPTIONS": "--weights random --size 32"}
    for number in ("1", "0"):
        run("slurm_share.sh", env={**env, "SLURM_ARRAY_TASK_ID": number}, cwd=tmp_path)
    joined = featx.join(out)
    assert (joined.listed, joined.cached, len(joined.skipped)) == (25, 24, 1)
    whole = featx.extract(photos, tmp_path / "whole.h5", weights="random", size=32).out
    with featx.Cache.open(out) as one, featx.Cache.open(whole) as other:
        assert one.catalog.paths.tolist() == other.catalog.paths.tolist()
        assert one.features[:].tobytes() == other.features[:].tobytes()
