import errno
import os
from pathlib import Path

import pytest
from disks import Poor

from featx.errors import StorageError
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
