import errno
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from featx.errors import LockedError, StorageError
from featx.storage import files


def test_write_replaces_whole_files(tmp_path: Path) -> None:
    path = tmp_path / "out"
    files.write_bytes(path, b"one")
    files.write_bytes(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["out"]


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out"
    files.write_bytes(path, b"old")
    with pytest.raises(RuntimeError), files.atomic_write(path) as partial:
        partial.write(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out"]


def test_names_of_255_bytes_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    files.write_bytes(path, b"x")
    assert path.read_bytes() == b"x"


def test_partials_of_killed_writers_are_found_and_others_are_not(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    for path in (mine, other):
        with files.atomic_write(path) as partial:
            partial.write(b"x")
            name = partial.path.name.replace(".partial", "0.partial")
            os.link(partial.path, tmp_path / name)
    files.remove_partials(mine)
    left = [name for name in os.listdir(tmp_path) if name.endswith(".partial")]
    assert len(left) == 1


def test_full_disk_is_an_error_that_says_how_much_is_free(tmp_path: Path) -> None:
    said = r"No space left on device \([\d,]+ bytes are free"
    with pytest.raises(StorageError, match=said), files.storage_errors(tmp_path / "x"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(StorageError, match="1,000,000,000,000,000 bytes are needed"):
        files.require_space(tmp_path / "x", 10**15)


def test_lock_admits_one_process_and_names_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = (
        "import sys, pathlib; from featx.storage import files\n"
        "with files.lock_output(pathlib.Path(sys.argv[1])):\n"
        "    print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, out], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout and holder.stdout.readline() == "locked\n"
        with pytest.raises(LockedError, match=f"process {holder.pid} on "), files.lock_output(out):
            pass
        holder.kill()
        holder.wait()
        assert (tmp_path / "out.lock").exists()  # a killed run leaves it
        with files.lock_output(out):
            pass
    assert not list(tmp_path.iterdir())


def test_of_two_runs_that_wait_for_a_lock_file_that_goes_one_has_the_next(tmp_path: Path) -> None:
    out, name = tmp_path / "out", tmp_path / "out.lock"
    code = """
import fcntl, os, pathlib, sys
from featx.storage import files

out, done = pathlib.Path(sys.argv[1]), 0
for _ in range(300):
    try:
        with files.lock_output(out):
            inside = os.open(out, os.O_CREAT | os.O_EXCL)  # fails where two are inside
            os.unlink(out)
            os.close(inside)
            done += 1
    except files.LockedError:
        pass
print(done)
"""
    runs = [
        subprocess.Popen([sys.executable, "-c", code, out], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    done = [int(run.communicate()[0]) for run in runs]
    assert sum(done) > 100 and not name.exists()


@pytest.mark.parametrize("mode", [0o755, 0o775, 0o777])
def test_whoever_may_write_to_the_folder_may_use_the_lock(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with files.lock_output(tmp_path / "out"):
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
            with files.lock_output(place / "out"):
                files.write_bytes(place / "out", b"mine")
        finally:
            os._exit(not (place / "out").exists())
    assert os.waitpid(child, 0)[1] == 0
    assert (place / "out").read_bytes() == b"mine"
    shutil.rmtree(place)


class Poor(files.Disk):
    """A disk whose file system does not offer some calls."""

    def __init__(self, error: int, *missing: str) -> None:
        self.error = error
        self.missing = missing

    def sync(self, descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        if kind in self.missing:
            raise OSError(self.error, os.strerror(self.error))
        super().sync(descriptor)

    def lock(self, descriptor: int) -> None:
        if "lock" in self.missing:
            raise OSError(self.error, os.strerror(self.error))
        super().lock(descriptor)


@pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
@pytest.mark.parametrize("missing", [("folder",), ("file", "folder")])
def test_a_file_system_that_cannot_sync_is_written_to_with_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    error: int, missing: tuple[str, ...],
) -> None:  # fmt: skip
    files._warned.clear()
    monkeypatch.setattr(files, "disk", Poor(error, *missing))
    for data in (b"one", b"two"):
        files.write_bytes(tmp_path / "out", data)
    assert (tmp_path / "out").read_bytes() == b"two"
    assert len(caplog.messages) == 1 and "only a loss of power could cost" in caplog.text


@pytest.mark.parametrize("error", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_written_to_with_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: int
) -> None:
    files._warned.clear()
    monkeypatch.setattr(files, "disk", Poor(error, "lock"))
    for _ in range(2):
        with files.lock_output(tmp_path / "out"):
            files.write_bytes(tmp_path / "out", b"x")
    assert len(caplog.messages) == 1 and "See that only one does" in caplog.text


def test_a_sync_that_fails_is_no_missing_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "disk", Poor(errno.EIO, "folder"))
    with pytest.raises(StorageError, match="Input/output error"):
        files.write_bytes(tmp_path / "out", b"x")


def test_digest_of_a_known_text(tmp_path: Path) -> None:
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert files.digest(b"abc") == expected
    (tmp_path / "x").write_bytes(b"..abc")
    assert files.file_digest(tmp_path / "x", skip=2) == expected
