"""Files that are as they were are not read again; whatever changed is."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from generated import TINY, class_folders, write_image

import featx
from featx.images import decode


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return images that count as old."""
    monkeypatch.setattr(decode, "_SETTLED", -(10**18))
    return class_folders(tmp_path / "photos", 3)


def read(photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Extract, and return the names of the images whose bytes were read."""
    names = set()
    original = decode.read

    def watched(path: Path) -> decode.File:
        names.add(path.relative_to(photos).as_posix())
        return original(path)

    with monkeypatch.context() as patched:
        patched.setattr(decode, "read", watched)
        done = featx.extract(photos, out, **TINY)
    assert done.listed == done.cached + done.duplicates + len(done.skipped)
    return names


def test_only_what_changed_is_read(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "f.h5"
    assert len(read(photos, out, monkeypatch)) == 9
    assert read(photos, out, monkeypatch) == set()
    red = photos / "red/0.png"
    before = red.stat()
    red.write_bytes(red.read_bytes()[:-1] + b"!")  # a checksum that Pillow does not look at
    os.utime(red, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (red.stat().st_size, red.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    (photos / "blue/0.png").touch()
    (photos / "green/0.png").rename(photos / "green/x.png")
    moved = shutil.copy2(photos / "blue/1.png", photos / "other.tmp")
    os.replace(moved, photos / "blue/1.png")
    assert read(photos, out, monkeypatch) == {"red/0.png", "blue/0.png", "green/x.png",
                                              "blue/1.png"}  # fmt: skip
    assert read(photos, out, monkeypatch) == set()
    shutil.copy(photos / "red/1.png", photos / "red/same.png")
    (photos / "red/bad.png").write_bytes(b"no image")
    assert read(photos, out, monkeypatch) == {"red/same.png", "red/bad.png"}
    assert read(photos, out, monkeypatch) == {"red/bad.png"}
    with featx.Cache.open(out) as cache:
        known = {"red/same.png": 1, "red/bad.png": 0, "green/0.png": 0, "green/x.png": 1}
        assert {path: (cache.catalog.paths == path).sum() for path in known} == known


def test_a_file_that_changed_just_now_is_read_again(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "_SETTLED", 3600 * 10**9)
    for _ in range(2):
        assert len(read(photos, tmp_path / "f.h5", monkeypatch)) == 9
    monkeypatch.setattr(decode, "_SETTLED", -(10**18))
    read(photos, tmp_path / "f.h5", monkeypatch)
    monkeypatch.setattr(decode, "_SETTLED", 3600 * 10**9)
    for path in photos.rglob("*.png"):
        path.touch()  # all stamps are forgotten
    for _ in range(2):
        assert len(read(photos, tmp_path / "f.h5", monkeypatch)) == 9


def test_stamps_are_a_shortcut_and_no_truth(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "f.h5"
    stamps = tmp_path / "f.h5.stamps"
    read(photos, out, monkeypatch)
    whole = stamps.read_bytes()
    for damaged in (
        b"",
        whole[:100],
        whole[:-1],
        b"\xff" * 8 + whole,
        whole.replace(b" ", b" 0", 1),
    ):
        stamps.write_bytes(damaged)
        assert len(read(photos, out, monkeypatch)) == 9
        assert stamps.read_bytes() == whole
    out.unlink()  # what is not known any more is read, whatever the stamps say
    assert len(read(photos, out, monkeypatch)) == 9


def test_names_of_any_bytes(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(photos / "red" / os.fsdecode(b"\xff, \n.png"), 77)
    assert len(read(photos, tmp_path / "f.h5", monkeypatch)) == 10
    assert read(photos, tmp_path / "f.h5", monkeypatch) == set()


def test_a_rerun_loads_no_tensorflow(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.h5"
    featx.extract(photos, out, **TINY)
    code = (
        "import sys, featx; print(featx.extract(*sys.argv[1:], weights='random', size=32).reused)"
    )
    code += "; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code, photos, out], capture_output=True, text=True, check=True
    )
    assert run.stdout == "9\n"
