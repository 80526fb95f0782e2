"""Folders and lists of paths become catalogs."""

import os
from pathlib import Path

import pytest
from listing import rows, touch

from featx.dataset.scan import scan
from featx.errors import InputError


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
    (tmp_path / "a/notes.md").touch()
    with pytest.raises(InputError, match=r"notes\.md is not an image\. .*\.csv, \.tsv, \.txt, "):
        scan(tmp_path / "a/notes.md")


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Training", "Testing"),
        ("train_images", "test_images"),
        ("Train_set", "Test_set"),
        ("seg_train", "seg_test"),
        ("train2017", "TEST2017"),
        ("training data", "testing data"),
        ("images-train", "images-test"),
    ],
)
def test_splits_under_their_usual_names(tmp_path: Path, train: str, test: str) -> None:
    touch(tmp_path, f"{train}/a/1.png", f"{train}/b/1.png", f"{test}/a/2.png")
    assert sorted(rows(scan(tmp_path)), key=lambda row: (row[2], row[1] or "")) == [
        (f"{test}/a/2.png", "a", "test"),
        (f"{train}/a/1.png", "a", "train"),
        (f"{train}/b/1.png", "b", "train"),
    ]


def test_folders_of_splits_without_classes_are_splits_without_labels(tmp_path: Path) -> None:
    touch(tmp_path, "train/1.png", "test/2.png")
    assert rows(scan(tmp_path)) == [("test/2.png", None, "test"), ("train/1.png", None, "train")]


@pytest.mark.parametrize("names", [("Training", "extra"), ("dev", "trains"), ("seg_train", "a b")])
def test_splits_beside_other_folders_are_an_error(tmp_path: Path, names: tuple[str, str]) -> None:
    touch(tmp_path, *(f"{name}/a/1.png" for name in names))
    with pytest.raises(InputError, match=f"'{names[0]}' looks like a split, .*'{names[1]}'"):
        scan(tmp_path)


def test_splits_one_folder_deeper_are_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "brain/Training/a/1.png", "brain/Testing/a/1.png")
    with pytest.raises(InputError, match=r"one folder, 'brain', .*Testing, Training\. Give that"):
        scan(tmp_path)
    touch(tmp_path / "years", "bees/2020/1.png", "bees/2021/1.png")
    assert scan(tmp_path / "years").classes == ("bees",)


# Links --------------------------------------------------------------------------------------


def test_links_to_folders_are_followed(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/wasps/1.png", "elsewhere/wasps/deep/2.png", "photos/ants/1.png")
    os.symlink(tmp_path / "elsewhere/wasps", tmp_path / "photos/wasps")
    os.symlink("ants", tmp_path / "photos/emmets")
    found = scan(tmp_path / "photos")
    assert rows(found) == [
        ("ants/1.png", "ants", ""),
        ("wasps/1.png", "wasps", ""),
        ("wasps/deep/2.png", "wasps", ""),
    ]


def test_a_folder_of_links_only(tmp_path: Path) -> None:
    touch(tmp_path / "photos", "ants/1.png", "bees/1.png")
    (tmp_path / "links").mkdir()
    for name in ("ants", "bees"):
        os.symlink(tmp_path / "photos" / name, tmp_path / "links" / name)
    assert scan(tmp_path / "links").classes == ("ants", "bees")


def test_no_link_lists_a_file_twice_or_goes_round(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    real = touch(tmp_path / "in/real", "a/1.png", "b/2.png")
    touch(tmp_path, "other/1.png", "in/beside/3.png")
    os.symlink(real / "a", real / "b/again")  # a folder that is listed
    os.symlink(real, real / "a/loop")  # the folder itself
    os.symlink("..", real / "up")  # a folder that holds it
    os.symlink(tmp_path / "other", real / "c")
    os.symlink(tmp_path / "other", real / "d")  # the same folder by two links
    os.symlink(real / "a", tmp_path / "other/back")  # out and in again
    os.symlink(tmp_path / "gone", real / "gone")
    assert list(scan(real).paths) == ["a/1.png", "b/2.png", "c/1.png"]
    for link in ("b/again", "a/loop", "up", "d", "c/back"):
        assert f"{link} is a link to " in caplog.text
    assert "gone" not in caplog.text


def test_a_folder_reached_by_a_link_and_by_another_folder_is_listed_once(tmp_path: Path) -> None:
    touch(tmp_path, "root/a/1.png", "out/deep/2.png")
    os.symlink(tmp_path / "out/deep", tmp_path / "root/b")
    os.symlink(tmp_path / "out", tmp_path / "root/c")
    assert list(scan(tmp_path / "root").paths) == ["a/1.png", "b/2.png"]
