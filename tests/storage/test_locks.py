"""One writer for each output, on any file system, for any user."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from disks import Poor

from featx.errors import LockedError
from featx.storage import files, locks


def test_lock_admits_one_process_and_names_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = (
        "import sys, pathlib; from featx.storage import locks\n"
        "with locks.lock_output(pathlib.Path(sys.argv[1])):\n"
        "    print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, out], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout and holder.stdout.readline() == "locked\n"
        with pytest.raises(LockedError, match=f"process {holder.pid} on "), locks.lock_output(out):
            pass
        holder.kill()
        holder.wait()
        assert (tmp_path / "out.lock").exists()  # a killed run leaves it
        with locks.lock_output(out):
            pass
    assert not list(tmp_path.iterdir())


def test_of_two_runs_that_wait_for_a_lock_file_that_goes_one_has_the_next(tmp_path: Path) -> None:
    out, name = tmp_path / "out", tmp_path / "out.lock"
    code = """
import fcntl, os, pathlib, sys
from featx.errors import LockedError
from featx.storage import locks

out, done = pathlib.Path(sys.argv[1]), 0
for _ in range(300):
    try:
        with locks.lock_output(out):
            inside = os.open(out, os.O_CREAT | os.O_EXCL)  # fails where two are inside
            os.unlink(out)
            os.close(inside)
            done += 1
    except LockedError:
        pass
print(done)
"""
    runs = [
        subprocess.Popen([sys.executable, "-c", code, out], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    done = [int(run.communicate()[0]) for run in runs]
    assert sum(done) > 30 and not name.exists()


@pytest.mark.parametrize("mode", [0o755, 0o775, 0o777])
def test_whoever_may_write_to_the_folder_may_use_the_lock(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with locks.lock_output(tmp_path / "out"):
        assert (tmp_path / "out.lock").stat().st_mode & 0o022 == mode & 0o022


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_the_lock_file_of_another_user_that_nobody_holds(tmp_path: Path) -> None:
    place = Path(tempfile.mkdtemp())  # unlike tmp_path, another user reaches it
    place.chmod(0o777)
    (place / "out.lock").write_text("process 1 on other")  # 0644, of root
    child = os.fork()
    if not child:
        os.setuid(65534)
        try:
            with locks.lock_output(place / "out"):
                files.write_bytes(place / "out", b"mine")
        finally:
            os._exit(not (place / "out").exists())
    assert os.waitpid(child, 0)[1] == 0
    assert (place / "out").read_bytes() == b"mine"
    shutil.rmtree(place)


@pytest.mark.parametrize("error", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_written_to_with_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: int
) -> None:
    files._warned.clear()
    monkeypatch.setattr(files, "disk", Poor(error, "lock"))
    for _ in range(2):
        with locks.lock_output(tmp_path / "out"):
            files.write_bytes(tmp_path / "out", b"x")
    assert len(caplog.messages) == 1 and "See that only one does" in caplog.text
