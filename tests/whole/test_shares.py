"""Shares as real processes, some of which are killed and run again."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from generated import write_image

import featx

SHARES = 4
OPTIONS = ("--weights", "random", "--size", "32", "--precision", "float32", "--batch", "4")


def share(photos: Path, out: Path, number: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "featx", "extract", photos, "-o", out, *OPTIONS]
    command += ["--share", f"{number}/{SHARES}"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["all.h5", "all.d"])
def test_shares_that_are_killed_and_run_again_end_with_the_same_bytes(
    tmp_path: Path, name: str
) -> None:
    photos, out = tmp_path / "photos", tmp_path / name
    for number in range(2000):
        (photos / f"class {number % 5}").mkdir(parents=True, exist_ok=True)
        write_image(photos / f"class {number % 5}" / f"{number:04d}.png", number)
    alone = tmp_path / f"alone-{name}"
    whole = featx.extract(photos, alone, weights="random", size=32, precision="float32", batch=4)
    running = {number: share(photos, out, number) for number in range(1, SHARES + 1)}
    parts = out / "parts" if name == "all.d" else out.with_name(name + ".parts")
    while len(list(parts.glob("*.safetensors"))) < 3:
        assert any(process.poll() is None for process in running.values())
        time.sleep(0.01)
    for number in (2, 3):
        os.kill(running[number].pid, signal.SIGKILL)
    codes = {number: process.wait() for number, process in running.items()}
    assert codes == {1: 0, 2: -signal.SIGKILL, 3: -signal.SIGKILL, 4: 0}
    early = subprocess.run(
        [sys.executable, "-m", "featx", "join", out], capture_output=True, text=True, check=False
    )
    assert early.returncode == 2 and f"2/{SHARES}, 3/{SHARES}." in early.stderr
    for number in (2, 3):
        assert share(photos, out, number).wait() == 0
    joined = featx.join(out)
    assert (joined.listed, joined.cached, joined.computed) == (2000, whole.cached, whole.computed)
    if name == "all.h5":
        assert out.read_bytes() == alone.read_bytes()
    with featx.Cache.open(out) as one, featx.Cache.open(alone) as other:
        assert one.features[:].tobytes() == other.features[:].tobytes()
        assert one.pools[:].tobytes() == other.pools[:].tobytes()
        assert one.catalog.paths.tolist() == other.catalog.paths.tolist()
