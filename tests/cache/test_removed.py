"""Features that were paid for are never dropped unawares."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from generated import TINY, class_folders, forged, write_image
from typer.testing import CliRunner

import featx
from featx.cache import plan
from featx.cache.parts import Parts
from featx.cli import app
from featx.errors import CorruptError, InputError


@pytest.fixture
def cache(photos: Path, tmp_path: Path) -> Path:
    featx.extract(photos, tmp_path / "f.h5", **TINY)
    return tmp_path / "f.h5"


def test_another_source_is_refused(cache: Path, tmp_path: Path) -> None:
    before = cache.read_bytes()
    other = class_folders(tmp_path / "other", 1, lies=1)
    with pytest.raises(InputError, match=r"24 images of .*photos, and not all .*other\. .*-o"):
        featx.extract(other, cache, **TINY)
    assert cache.read_bytes() == before
    single = write_image(tmp_path / "one.png", 7)
    with pytest.raises(InputError, match=r"has the features of 24 images of"):
        featx.extract(single, cache, **TINY)
    assert featx.extract(other, tmp_path / "o.h5", **TINY).cached == 3
    assert featx.extract(other, cache, overwrite=True, **TINY).cached == 3


def test_images_that_are_gone_are_kept_and_hidden_until_they_are_back(
    cache: Path, photos: Path, tmp_path: Path
) -> None:
    before = cache.read_bytes()
    shutil.move(photos / "blue" / "3.png", tmp_path / "kept.png")
    shutil.move(photos / "red", tmp_path / "red")
    found = featx.extract(photos, cache, **TINY)
    assert (found.listed, found.cached, found.computed, found.pruned) == (15, 15, 0, 0)
    assert len(found.removed) == 9 and "blue/3.png" in {image.path for image in found.removed}
    with featx.Cache.open(cache) as opened:
        assert len(opened) == 15 and len(opened.features) == 24
        assert opened.matrix("avg").X.shape == (15, 512)
        assert opened.as_dict()["removed"] == 9 and opened.as_dict()["version"] == 3
        assert opened.catalog.classes == ("blue", "green")
    assert featx.fit(cache, tmp_path / "m.featx", head="lda").model.classes == ("blue", "green")
    assert not featx.verify(cache).problems
    again = featx.extract(photos, cache, **TINY)
    assert len(again.removed) == 9 and again.computed == 0
    shutil.move(tmp_path / "kept.png", photos / "blue" / "3.png")
    shutil.move(tmp_path / "red", photos / "red")
    back = featx.extract(photos, cache, **TINY)
    assert (back.computed, back.removed) == (0, [])
    assert cache.read_bytes() == before


def test_pruning_drops_them(cache: Path, photos: Path, tmp_path: Path) -> None:
    (photos / "blue" / "3.png").unlink()
    write_image(photos / "red" / "1.png", 99, 1)  # changed: its features of before are not listed
    assert len(featx.extract(photos, cache, **TINY).removed) == 2
    found = featx.extract(photos, cache, prune=True, **TINY)
    assert (found.pruned, found.removed, found.computed) == (2, [], 0)
    featx.extract(photos, tmp_path / "fresh.h5", **TINY)
    assert cache.read_bytes() == (tmp_path / "fresh.h5").read_bytes()
    assert featx.extract(photos, cache, prune=True, **TINY).pruned == 0


def test_a_shorter_manifest_and_an_empty_share(photos: Path, tmp_path: Path) -> None:
    cache, manifest = tmp_path / "f.h5", photos / "list.csv"
    lines = [f"{color}/{number}.png,{color}" for color in ("blue", "red") for number in range(4)]
    manifest.write_text("\n".join(["path,label", *lines]))
    featx.extract(manifest, cache, **TINY)
    manifest.write_text("\n".join(["path,label", *lines[:6]]))
    assert len(featx.extract(manifest, cache, **TINY).removed) == 2
    before = cache.read_bytes()
    for path in photos.rglob("*.png"):
        path.unlink()
    with pytest.raises(InputError, match="None of the 6 listed images can be used"):
        featx.extract(manifest, cache, **TINY)
    assert cache.read_bytes() == before


@pytest.mark.parametrize("renamed", [False, True])
def test_a_source_that_was_moved_is_the_same(
    cache: Path, photos: Path, tmp_path: Path, renamed: bool
) -> None:
    moved = photos.rename(tmp_path / "moved")
    if renamed:
        for path in list(moved.rglob("*.png")):
            path.rename(path.with_name(f"new {path.name}"))
    found = featx.extract(moved, cache, **TINY)
    assert (found.computed, found.removed) == (0, [])
    with featx.Cache.open(cache) as opened:
        assert opened.catalog.root == moved


def test_equal_names_are_not_equal_images(cache: Path, tmp_path: Path) -> None:
    other = class_folders(tmp_path / "other", 8, lies=1)
    with pytest.raises(InputError, match="not all of them are in"):
        featx.extract(other, cache, **TINY)


def test_parts_of_another_source_are_kept(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "PART_ROWS", 4)
    (photos / "red" / "9.png").write_bytes(b"")
    with pytest.raises(CorruptError):
        featx.extract(photos, tmp_path / "f.h5", strict=True, batch=4, **TINY)
    paid = len(Parts(tmp_path / "f.h5").contents())
    assert paid >= 8
    other = class_folders(tmp_path / "other", 1, lies=1)
    found = featx.extract(other, tmp_path / "f.h5", batch=4, **TINY)
    assert len(found.removed) == paid and {image.path for image in found.removed} == {""}
    back = featx.extract(photos, tmp_path / "f.h5", prune=True, batch=4, **TINY)
    assert back.reused == paid and back.pruned == 3


def test_the_command_says_which_and_ends_with_3(cache: Path, photos: Path) -> None:
    (photos / "blue" / "3.png").unlink()
    command = ["extract", str(photos), "-o", str(cache), "--size", "32", "--weights", "random"]
    told = CliRunner().invoke(app.app, command)
    assert told.exit_code == 3
    assert (
        "gone, or changed since: blue/3.png" in told.stderr and "--prune drops them" in told.stderr
    )
    as_json = CliRunner().invoke(app.app, [*command, "--json"])
    assert as_json.exit_code == 3 and '"blue/3.png"' in as_json.stdout
    pruned = CliRunner().invoke(app.app, [*command, "--prune"])
    assert pruned.exit_code == 0 and "1 images are no longer listed" in pruned.stdout


def test_a_removed_row_that_is_not_there_is_found(cache: Path, photos: Path) -> None:
    (photos / "blue" / "3.png").unlink()
    featx.extract(photos, cache, **TINY)
    with forged(cache) as file:
        del file["removed/width"]
        file["removed/width"] = np.zeros(2, np.int32)
    with pytest.raises(CorruptError, match="columns have the shapes"):
        featx.Cache.open(cache)
    assert os.path.exists(cache)
