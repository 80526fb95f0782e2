"""A folder that appears whole, or not at all."""

from pathlib import Path

import pytest

from featx.errors import StorageError
from featx.storage import files
from featx.storage.folders import replace_folder


def folder(path: Path, **names: str) -> Path:
    (path / "in" / "side").mkdir(parents=True)
    for name, text in names.items():
        (path / "in" / "side" / name).write_text(text)
    return path


def content(path: Path) -> dict[str, str]:
    return {str(one.relative_to(path)): one.read_text() for one in path.rglob("*") if one.is_file()}


def test_a_folder_is_copied_and_replaced(tmp_path: Path) -> None:
    out = tmp_path / "o" / "out"
    out.parent.mkdir()
    replace_folder(folder(tmp_path / "a", x="1", y="2"), out)
    assert content(out) == {"in/side/x": "1", "in/side/y": "2"}
    replace_folder(folder(tmp_path / "b", x="3"), out)
    assert content(out) == {"in/side/x": "3"} and [*out.parent.iterdir()] == [out]


class Failing(files.Disk):
    """A disk on which one kind of call fails from the n-th on."""

    def __init__(self, kind: str, good: int) -> None:
        self._kind, self._good = kind, good

    def _count(self, kind: str) -> None:
        if kind == self._kind:
            self._good -= 1
            if self._good < 0:
                raise OSError(5, "the disk is broken")

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        self._count("write")
        return super().write(descriptor, data)

    def replace(self, old: Path, new: Path) -> None:
        self._count("replace of a folder" if old.is_dir() else "replace")
        super().replace(old, new)


@pytest.mark.parametrize(
    ("kind", "good"), [("write", 0), ("replace", 0), ("replace of a folder", 0)]
)
def test_what_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, good: int
) -> None:
    out = tmp_path / "out"
    replace_folder(folder(tmp_path / "a", x="1"), out)
    made = folder(tmp_path / "b", x="3")
    monkeypatch.setattr(files, "disk", Failing(kind, good))
    with pytest.raises(StorageError, match="the disk is broken"):
        replace_folder(made, out)
    assert content(out) == {"in/side/x": "1"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "out"]


def test_what_a_killed_run_left_is_deleted(tmp_path: Path) -> None:
    out = tmp_path / "out"
    left = folder(tmp_path / f"{files.partial_prefix(out)}0.folder", x="0")
    other = folder(tmp_path / f"{files.partial_prefix(tmp_path / 'other')}0.folder", x="0")
    replace_folder(folder(tmp_path / "a", x="1"), out)
    assert out.is_dir() and not left.exists() and other.is_dir()
