"""Closed streams and readers that go away."""

import subprocess
import sys
from pathlib import Path

import pytest
from generated import TINY, class_folders

import featx

EXTRACT = ["-m", "featx", "extract", "photos", "-o", "f.h5", "--size", "32", "--weights", "random"]


@pytest.mark.slow
def test_a_run_with_closed_streams_does_its_work(tmp_path: Path) -> None:
    class_folders(tmp_path / "photos", 1)
    command = " ".join([f"'{sys.executable}'", *EXTRACT, ">&- 2>&- <&-"])
    run = subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0
    assert "Traceback" not in run.stdout + run.stderr
    found = subprocess.run([sys.executable, "-m", "featx", "verify", "f.h5"], cwd=tmp_path,
                           capture_output=True, text=True)  # fmt: skip
    assert found.returncode == 0 and "whole" in found.stdout


def test_an_output_that_cannot_be_written_is_exit_6(tmp_path: Path) -> None:
    class_folders(tmp_path, 1)
    for command in (["check", str(tmp_path), "--json"], ["check", "nosuch", "--json"], ["--help"]):
        with Path("/dev/full").open("w") as full:
            run = subprocess.run([sys.executable, "-m", "featx", *command], stdout=full,
                                 stderr=subprocess.PIPE, text=True)  # fmt: skip
        assert run.returncode == (2 if "nosuch" in command else 6), run.stderr
        assert "Traceback" not in run.stderr
        assert "nosuch" in command or "No space left on device" in run.stderr


@pytest.mark.slow
def test_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    class_folders(tmp_path / "photos", 1)
    featx.extract(tmp_path / "photos", tmp_path / "f.h5", **TINY)
    for command in ("--help", "info f.h5 --json", "info f.h5"):
        for unbuffered in ("", "1"):
            run = subprocess.Popen(
                [sys.executable, "-m", "featx", *command.split()],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, text=True,
                env={"PYTHONUNBUFFERED": unbuffered, "PATH": "/bin", "HOME": str(tmp_path)},
            )  # fmt: skip
            assert run.stdout and run.stderr
            run.stdout.close()  # before the first line
            assert run.stderr.read() == ""
            assert run.wait() in (1, 141)  # typer's own pages end with 1
