"""Folders and lists of paths become catalogs."""

import os
from pathlib import Path

import pytest

from featx.dataset.catalog import Catalog
from featx.dataset.scan import scan
from featx.errors import InputError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def rows(found: Catalog) -> list[tuple[str, str | None, str]]:
    labels = [None if label < 0 else found.classes[label] for label in found.labels]
    return list(zip(found.paths, labels, found.splits, strict=True))


def test_class_folders(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.JPG", "b/1.png", "a/deep/1.webp", "a/notes.txt", ".git/x.png", "b/.x.png")
    found = scan(tmp_path)
    assert rows(found) == [("a/deep/1.webp", "a", ""), ("b/1.png", "b", ""), ("b/2.JPG", "b", "")]
    assert found.classes == ("a", "b")
    assert found.ignored == 1
    assert found.class_counts() == {"a": 1, "b": 2}
    assert found.file(1) == tmp_path / "b/1.png"


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Validation"])
def test_splits(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "train/a/1.png", "train/b/1.png", f"{name}/a/2.png", "test/3.png")
    assert sorted(rows(scan(tmp_path)), key=lambda row: row[2]) == [
        ("test/3.png", None, "test"),
        ("train/a/1.png", "a", "train"),
        ("train/b/1.png", "b", "train"),
        (f"{name}/a/2.png", "a", "val"),
    ]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    touch(tmp_path, "train/1.png", "tram/2.png")
    assert scan(tmp_path).classes == ("train", "tram")


def test_what_cannot_be_told_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path / "mixed", "a/1.png", "2.png")
    with pytest.raises(InputError, match=r"1 images, for example 2\.png, lie beside"):
        scan(tmp_path / "mixed")
    assert len(scan(tmp_path / "mixed", labelled=False)) == 2
    touch(tmp_path / "split", "train/a/1.png", "extra/a/1.png")
    with pytest.raises(InputError, match="'train' looks like a split, but beside it is 'extra'"):
        scan(tmp_path / "split")


def test_flat_folders_and_lists_have_no_labels(tmp_path: Path) -> None:
    touch(tmp_path, "2.png", "1.png")
    assert rows(scan(tmp_path)) == [("1.png", None, ""), ("2.png", None, "")]
    listed = scan(tmp_path / "2.png", tmp_path / "1.png")
    assert list(listed.paths) == [str(tmp_path / "1.png"), str(tmp_path / "2.png")]
    assert listed.classes == ()


def test_nothing_to_list(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is empty"):
        scan(tmp_path)
    touch(tmp_path, "a/notes.txt", "a/more.txt")
    with pytest.raises(InputError, match=r"only 2 other files such as a/more\.txt.*\.jpg"):
        scan(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        scan(tmp_path / "missing")
    with pytest.raises(InputError, match="is not an image"):
        scan(tmp_path / "a/notes.txt")


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    touch(tmp_path / "real", "a/1.png")
    os.symlink(tmp_path / "real/a", tmp_path / "real/b")
    os.symlink(tmp_path / "real", tmp_path / "real/loop")
    assert list(scan(tmp_path / "real").paths) == ["a/1.png"]
