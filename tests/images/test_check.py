"""What is the matter with the images of a source."""

import json
import shutil
from pathlib import Path

import pytest
from generated import class_folders, write_image
from typer.testing import CliRunner

import featx
from featx.cli import app


def test_everything_is_named(tmp_path: Path) -> None:
    photos = class_folders(tmp_path / "photos", 3)
    (photos / "red" / "bad.jpg").write_text("junk")
    (photos / "red" / "notes.txt").write_text("x")
    shutil.copy(photos / "red" / "0.png", photos / "red" / "again.png")
    shutil.copy(photos / "red" / "1.png", photos / "blue" / "moved.png")
    found = featx.check(photos)
    assert (found.listed, found.usable, found.ignored, found.unlabelled) == (12, 11, 1, 0)
    assert [row[:2] for row in found.skipped] == [("red/bad.jpg", "not_image")]
    assert found.classes == {"blue": 4, "green": 3, "red": 4} and found.splits == {}
    (conflict,) = found.conflicts
    assert conflict.paths == ("blue/moved.png", "red/1.png")
    assert conflict.labels == ("blue", "red")
    assert [equal.paths for equal in found.equal] == [
        ("blue/moved.png", "red/1.png"),
        ("red/0.png", "red/again.png"),
    ]
    assert set(found.few) == {"blue", "green", "red"}


def test_the_command_and_extract_say_the_same(tmp_path: Path) -> None:
    photos = class_folders(tmp_path / "photos", 3)
    shutil.copy(photos / "red" / "1.png", photos / "blue" / "moved.png")
    shutil.copy(photos / "green" / "1.png", photos / "green" / "twice.png")
    said = "the same image: blue/moved.png = red/1.png: in the classes blue, red, so fit refuses"
    told = CliRunner().invoke(app.app, ["check", str(photos)])
    assert told.exit_code == 3 and said in told.stderr
    assert "11 images: 11 usable, 0 not" in told.stdout
    assert "the same image: green/1.png = green/twice.png" in told.stderr
    extract = ["extract", str(photos), "-o", str(tmp_path / "f.h5"), "--size", "32",
               "--weights", "random"]  # fmt: skip
    extracted = CliRunner().invoke(app.app, extract)
    assert extracted.exit_code == 0 and said in extracted.stderr
    as_json = json.loads(CliRunner().invoke(app.app, [*extract, "--json"]).stdout)
    checked = json.loads(CliRunner().invoke(app.app, ["check", str(photos), "--json"]).stdout)
    assert as_json["equal"] == checked["equal"] and len(checked["conflicts"]) == 1


def test_equal_images_in_two_splits_are_named(tmp_path: Path) -> None:
    for split in ("train", "test"):
        class_folders(tmp_path / split, 1)
    write_image(tmp_path / "train/red/9.png", 99)
    found = featx.check(tmp_path)
    assert len(found.equal) == 3 and found.equal[0].splits == ("test", "train")
    assert found.conflicts == [] and found.splits == {"train": 4, "test": 3}
    plain = CliRunner().invoke(app.app, ["check", str(tmp_path)])
    assert plain.exit_code == 0 and "in the splits test, train" in plain.stderr
    assert CliRunner().invoke(app.app, ["check", str(tmp_path), "--strict"]).exit_code == 3


def test_it_needs_no_tensorflow_and_leaves_nothing(tmp_path: Path) -> None:
    import subprocess
    import sys

    class_folders(tmp_path / "photos", 1)
    code = (
        "import sys, featx; featx.check('photos');"
        "assert not {'tensorflow', 'keras', 'sklearn', 'h5py'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


@pytest.mark.parametrize("labelled", [True, False])
def test_a_flat_folder_has_no_classes(tmp_path: Path, labelled: bool) -> None:
    write_image(tmp_path / "a.png", 1)
    found = featx.check(tmp_path if labelled else [tmp_path / "a.png"])
    assert (found.usable, found.unlabelled, found.classes) == (1, 1, {})
