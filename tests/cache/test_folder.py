"""A cache that is a folder of sealed parts."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from generated import TINY, class_folders, forged, write_image

import featx
from featx.cache import plan
from featx.errors import CorruptError, IncompatibleError, InputError


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have parts of four images."""
    monkeypatch.setattr(plan, "PART_ROWS", 4)


def contents(cache: Path) -> dict[str, bytes]:
    """Return features, pools and labels by path."""
    with featx.Cache.open(cache) as opened:
        pools = opened.pools
        return {
            path: opened.features[row].tobytes()
            + (b"" if pools is None else pools[row].tobytes())
            + opened.labels[row].tobytes()
            for row, path in enumerate(opened.catalog.paths)
        }


def extract(photos: Path, out: Path, **changes: object) -> featx.ExtractResult:
    return featx.extract(photos, out, batch=4, **{**TINY, **changes})  # type: ignore[arg-type]


@pytest.mark.usefixtures("small_parts")
def test_a_folder_has_what_a_file_has(photos: Path, tmp_path: Path) -> None:
    as_file, folder = tmp_path / "f.h5", tmp_path / "f.d"
    settings = {"copies": 1, "augment": "flip"}
    extract(photos, as_file, **settings)
    extract(photos, folder, **settings)
    assert contents(folder) == contents(as_file)
    assert {path.name for path in folder.iterdir()} == {"images.h5", "parts", "stamps"}
    with featx.Cache.open(folder) as opened, featx.Cache.open(as_file) as other:
        images = np.array([3, 0, 1, 2, 20])
        assert np.array_equal(opened.matrix("avg", images=images).X,
                              other.matrix("avg", images=images).X)  # fmt: skip
        assert np.array_equal(opened.features[:, 0], other.features[:, 0])
        assert np.array_equal(opened.features[5, 1], other.features[5, 1])
        assert opened.features.shape == other.features.shape
    assert featx.verify(folder).problems == []
    models = [tmp_path / "a.featx", tmp_path / "b.featx"]
    for cache, model in zip((folder, as_file), models, strict=True):
        featx.fit(cache, model, heads=("nearest-centroid",))
    probabilities = [featx.load(model).predict_proba([photos / "red/0.png"]) for model in models]
    assert np.array_equal(*probabilities)


@pytest.mark.usefixtures("small_parts")
def test_a_change_writes_only_what_is_new(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "f.d"
    extract(photos, folder)
    before = {path: path.stat().st_mtime_ns for path in (folder / "parts").iterdir()}
    write_image(photos / "red" / "new.png", 99)
    (photos / "blue" / "0.png").unlink()
    found = extract(photos, folder)
    assert (found.computed, [image.path for image in found.removed]) == (1, ["blue/0.png"])
    now = {path: path.stat().st_mtime_ns for path in (folder / "parts").iterdir()}
    assert before.items() <= now.items() and len(now) == len(before) + 1
    with featx.Cache.open(folder) as opened:
        assert "blue/0.png" not in opened.catalog.paths and "red/new.png" in opened.catalog.paths
    write_image(photos / "blue" / "0.png", 0)
    assert extract(photos, folder, prune=True).pruned <= 1
    assert featx.verify(folder).problems == []


@pytest.mark.usefixtures("small_parts")
def test_a_stopped_run_goes_on_and_an_overwrite_keeps_the_old_one_until_the_end(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "f.d"
    bad = write_image(photos / "red" / "9.png", 5)
    bad.write_bytes(b"")
    with pytest.raises(CorruptError):
        extract(photos, folder, strict=True)
    assert not (folder / "images.h5").exists() and list((folder / "parts").iterdir())
    bad.unlink()
    assert extract(photos, folder).reused > 0
    before = contents(folder)

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("featx.cache.publication.assemble", stopped)
        extract(photos, folder, overwrite=True, size=64)
    assert contents(folder) == before and featx.verify(folder).problems == []
    assert extract(photos, folder, overwrite=True, size=64).reused > 0  # of the stopped one
    with featx.Cache.open(folder) as opened:
        assert opened.fingerprint.trunk.size == 64
        assert len(list((folder / "parts").iterdir())) == len(opened.parts.names)


@pytest.mark.usefixtures("small_parts")
def test_damage_is_seen_when_it_is_read(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "f.d"
    extract(photos, folder)
    whole = contents(folder)
    part = min((folder / "parts").iterdir())
    data = bytearray(part.read_bytes())
    data[-3] ^= 1
    part.write_bytes(data)
    with featx.Cache.open(folder) as opened, pytest.raises(CorruptError, match="damaged"):
        opened.features[:]
    assert featx.verify(folder).problems
    data[-3] ^= 1
    part.write_bytes(data)
    assert contents(folder) == whole
    other = max((folder / "parts").iterdir())
    shutil.copy(other, part)  # a whole part, of other images
    with featx.Cache.open(folder) as opened, pytest.raises(CorruptError, match="belongs"):
        opened.features[:]
    part.unlink()
    with featx.Cache.open(folder) as opened, pytest.raises(CorruptError, match="is not there"):
        opened.features[:]
    with featx.Cache.open(folder) as opened:
        assert len(opened) == len(whole)  # what is not read is not looked at
    again = extract(photos, folder)
    assert (again.computed, again.reused) == (4, len(whole) - 4)
    assert contents(folder) == whole and featx.verify(folder).problems == []
    part = min((folder / "parts").iterdir())
    part.unlink()
    os.mkfifo(part)
    assert "it is no file" in str(featx.verify(folder).problems)


def test_what_a_killed_run_and_others_leave_in_the_folder_stops_nothing(
    photos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "f.d"
    extract(photos, folder)
    before = contents(folder)
    for name in (".0123456789abcdef.aabbccdd.partial", ".nfs0001", "notes.txt"):
        (folder / name).write_bytes(b"x")
    write_image(photos / "red" / "new.png", 99)
    assert extract(photos, folder).computed == 1
    assert before.items() <= contents(folder).items()


def test_other_folders_and_settings_are_refused(photos: Path, tmp_path: Path) -> None:
    other = class_folders(tmp_path / "other.d", 1)
    with pytest.raises(InputError, match="other files than a cache"):
        extract(photos, other)
    assert featx.verify(other).problems
    with pytest.raises(InputError, match=r"ends in \.d"):
        extract(photos, class_folders(tmp_path / "plain", 1))
    with pytest.raises(InputError, match="is a folder, and a cache is needed"):
        featx.Cache.open(other)
    extract(photos, tmp_path / "f.d")
    images = tmp_path / "f.d" / "images.h5"
    for use in (featx.Cache.open, lambda path: extract(photos, path)):
        with pytest.raises(InputError, match="is a part of the cache"):
            use(images)
    shutil.copytree(tmp_path / "f.d", tmp_path / "f.h5")
    with pytest.raises(InputError, match="a cache that is a folder"):
        extract(photos, tmp_path / "f.h5")
    shutil.copy(images, tmp_path / "file.d")
    with pytest.raises(InputError, match="rename the file"):
        extract(photos, tmp_path / "file.d")
    with pytest.raises(IncompatibleError, match="size: 32 there, 64 now"):
        extract(photos, tmp_path / "f.d", size=64)


@pytest.mark.parametrize(
    ("column", "value", "match"),
    [
        ("parts/name", b"../../secret-00000000.safetensors", "no name of a part"),
        ("parts/name", b"a/00000000.safetensors", "no name of a part"),
        ("images/part", 7, "a part that there is not"),
        ("images/part", -1, "a part that there is not"),
        ("images/row", 1 << 20, "a row that no part has"),
        ("images/row", 100, "damaged"),
    ],
)
def test_forged_places_are_refused(
    photos: Path, tmp_path: Path, column: str, value: object, match: str
) -> None:
    folder = tmp_path / "f.d"
    extract(photos, folder)
    with forged(folder / "images.h5") as file:
        data = file[column][()].astype("S64" if isinstance(value, bytes) else "int64")
        data[0] = value
        del file[column]
        file[column] = data
    with pytest.raises(CorruptError, match=match), featx.Cache.open(folder) as opened:
        opened.features[:]


def test_a_memory_of_estimators_may_be_a_folder(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "f.d"
    extract(photos, folder)
    before = contents(folder)
    new = write_image(tmp_path / "new.png", 99)
    features = featx.ImageFeatures(cache=folder)
    rows = features.fit_transform([new, photos / "red/0.png"])
    assert contents(folder) == before and featx.verify(folder).problems == []
    with featx.Cache.open(folder) as opened:
        assert len(opened.removed) == 1
        assert np.array_equal(rows[1:], opened.matrix(images=np.array([
            opened.catalog.paths.tolist().index("red/0.png")])).X)  # fmt: skip
    assert np.array_equal(features.fit_transform([new]), rows[:1])
