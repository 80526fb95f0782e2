"""The whole of `extract`, on the real VGG16 with random weights and small images."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generated import TINY, write_image

import featx
from featx import Cache
from featx.errors import CorruptError, IncompatibleError, InputError, LockedError, StorageError
from featx.images import augment, decode
from featx.network import trunk
from featx.network.activations import Activations
from featx.storage import files


def extract(source: Path, out: Path, **settings: Any) -> dict[str, Any]:
    done = featx.extract(source, out, **{**TINY, **settings}).as_dict()
    assert done["listed"] == done["cached"] + done["duplicates"] + len(done["skipped"])
    with Cache.open(out) as cache:
        assert len(cache) == done["cached"] + done["duplicates"]
    assert not Path(f"{out}.parts").exists()
    return {key: done[key] for key in ("listed", "cached", "reused", "computed", "duplicates")}


def contents(path: Path) -> dict[str, bytes]:
    """Return the features of a cache by path."""
    with Cache.open(path) as cache:
        return {p: cache.features[i].tobytes() for i, p in enumerate(cache.catalog.paths)}


@pytest.mark.usefixtures("native")
def test_rows_are_the_features_of_their_images(photos: Path, tmp_path: Path) -> None:
    extract(photos, tmp_path / "f.h5", copies=2, augment="article", seed=5)
    with Cache.open(tmp_path / "f.h5") as cache:
        from featx.network import weights

        made = cache.fingerprint
        network = trunk.Trunk(weights.resolve_weights("random"), made)
        for row in (0, 11, 23):
            data = cache.catalog.file(row).read_bytes()
            assert cache.digests[row] == files.digest(data)
            pixels = decode.decode(data, 32).pixels
            copies = augment.augmented_copies(
                pixels, augment.POLICIES["article"], 5, cache.digests[row], 2
            )
            assert np.array_equal(cache.features[row], network.features(copies))


def test_an_unchanged_folder_costs_nothing(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.h5"
    first = extract(photos, out)
    assert first == {"listed": 24, "cached": 24, "reused": 0, "computed": 24, "duplicates": 0}
    before = out.read_bytes(), out.stat().st_ino
    second = extract(photos, out)
    assert second == {"listed": 24, "cached": 24, "reused": 24, "computed": 0, "duplicates": 0}
    assert (out.read_bytes(), out.stat().st_ino) == before


def test_changes_cost_only_themselves(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.h5"
    extract(photos, out)
    before = contents(out)
    write_image(photos / "green" / "new.png", 999)
    (photos / "red" / "0.png").unlink()
    (photos / "red" / "1.png").rename(photos / "red" / "renamed.png")
    (photos / "red" / "2.png").rename(photos / "blue" / "relabelled.png")
    found = extract(photos, out)
    assert found == {"listed": 24, "cached": 24, "reused": 23, "computed": 1, "duplicates": 0}
    after = contents(out)
    assert after["red/renamed.png"] == before["red/1.png"]
    assert after["blue/relabelled.png"] == before["red/2.png"]
    assert "red/0.png" not in after and after["blue/3.png"] == before["blue/3.png"]
    with Cache.open(out) as cache:
        row = cache.catalog.paths.tolist().index("blue/relabelled.png")
        assert cache.catalog.classes[cache.catalog.labels[row]] == "blue"
    assert contents(out) == contents_of_fresh_run(photos, tmp_path)


def contents_of_fresh_run(photos: Path, tmp_path: Path) -> dict[str, bytes]:
    extract(photos, tmp_path / "fresh.h5")
    return contents(tmp_path / "fresh.h5")


def test_duplicates_have_rows_and_cost_nothing(photos: Path, tmp_path: Path) -> None:
    shutil.copy(photos / "red" / "0.png", photos / "red" / "copy.png")
    found = extract(photos, tmp_path / "f.h5")
    assert found == {"listed": 25, "cached": 24, "reused": 0, "computed": 24, "duplicates": 1}
    rows = contents(tmp_path / "f.h5")
    assert rows["red/copy.png"] == rows["red/0.png"]
    write_image(photos / "green" / "new.png", 999)
    found = extract(photos, tmp_path / "f.h5")
    assert found == {"listed": 26, "cached": 25, "reused": 24, "computed": 1, "duplicates": 1}
    assert contents(tmp_path / "f.h5") == contents_of_fresh_run(photos, tmp_path)


def spoil(photos: Path) -> None:
    whole = (photos / "red" / "0.png").read_bytes()
    (photos / "red" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (photos / "red" / "empty.jpg").touch()
    (photos / "red" / "text.jpg").write_text("not an image")
    (photos / "red" / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic")


def test_bad_images_are_skipped_with_their_reason(photos: Path, tmp_path: Path) -> None:
    spoil(photos)
    out = tmp_path / "f.h5"
    done = featx.extract(photos, out, **TINY)
    assert [(row.path, row.reason) for row in done.skipped] == [
        ("red/cut.png", "truncated"),
        ("red/empty.jpg", "empty"),
        ("red/phone.heic", "truncated"),
        ("red/text.jpg", "not_image"),
    ]
    with Cache.open(out) as cache:
        assert cache.skipped == done.skipped
        assert len(cache) == 24
        assert (cache.features[()] != 0).any(axis=(1, 2, 3, 4)).all()
    assert featx.extract(photos, out, **TINY).forward == 0


def test_too_many_bad_images_stop_the_run(photos: Path, tmp_path: Path) -> None:
    spoil(photos)
    with pytest.raises(CorruptError, match=r"more than --max-bad 0\.1 allows"):
        featx.extract(photos, tmp_path / "f.h5", max_bad=0.1, **TINY)
    with pytest.raises(CorruptError, match=r"red/cut\.png: truncated.*--strict"):
        featx.extract(photos, tmp_path / "f.h5", strict=True, **TINY)
    for path in photos.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(CorruptError, match="11 of 28 listed images cannot be used"):
        featx.extract(photos, tmp_path / "f.h5", **TINY)
    shutil.rmtree(photos / "red")
    shutil.rmtree(photos / "green")
    with pytest.raises(InputError, match=r"None of the 8 .* blue/0\.png: the file has no bytes"):
        featx.extract(photos, tmp_path / "f.h5", **TINY)
    assert not (tmp_path / "f.h5").exists()


def test_other_settings_are_named(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.h5"
    extract(photos, out)
    before = out.read_bytes()
    with pytest.raises(IncompatibleError) as caught:
        extract(photos, out, size=64, cut="block4_pool", dtype="float32")
    text = str(caught.value)
    assert "cut: block5_pool there, block4_pool now" in text
    assert "size: 32 there, 64 now" in text
    assert "dtype: float16 there, float32 now" in text
    assert "resize" not in text and "--overwrite" in text
    assert out.read_bytes() == before
    # The seed means nothing without copies.
    assert extract(photos, out, seed=7)["computed"] == 0
    assert extract(photos, out, size=64, overwrite=True)["computed"] == 24


def test_an_interrupted_overwrite_goes_on_and_never_mixes(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "f.h5"
    extract(photos, out)
    before = out.read_bytes()

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("featx.cache.publication.assemble", interrupted)
        featx.extract(photos, out, weights="random", size=64, overwrite=True)
    assert out.read_bytes() == before
    with pytest.raises(IncompatibleError, match=r"f\.h5\.parts was made with other settings"):
        extract(photos, out)
    found = extract(photos, out, size=64, overwrite=True)
    assert (found["reused"], found["computed"]) == (24, 0)
    with Cache.open(out) as cache:
        assert cache.fingerprint.trunk.size == 64


def test_labels_splits_and_groups_come_from_a_manifest(photos: Path, tmp_path: Path) -> None:
    lines = ["path,label,split,group", "blue/0.png,sky,train,g", "red/0.png,fire,test,"]
    (photos / "list.csv").write_text("\n".join(lines))
    extract(photos / "list.csv", tmp_path / "f.h5")
    with Cache.open(tmp_path / "f.h5") as cache:
        catalog = cache.catalog
        assert catalog.classes == ("fire", "sky")
        assert catalog.labels.tolist() == [1, 0]
        assert catalog.splits.tolist() == ["train", "test"]
        assert catalog.groups.tolist() == ["g", ""]


def test_odd_names_survive(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path / "photos")
    names = [b"a\nb", b"caf\xe9", b'=1+1,"x"', "שלום".encode(), b"n" * 250, b"\x01\x7f"]
    os.mkdir(folder)
    for number, name in enumerate(names):
        os.mkdir(os.path.join(folder, name))
        place = Path(os.fsdecode(os.path.join(folder, name, name[:200] + b".png")))
        write_image(place, number)
    extract(tmp_path / "photos", tmp_path / "f.h5")
    with Cache.open(tmp_path / "f.h5") as cache:
        found = {os.fsencode(path) for path in cache.catalog.paths}
        assert found == {name + b"/" + name[:200] + b".png" for name in names}
        assert {os.fsencode(name) for name in cache.catalog.classes} == set(names)


def test_nonfinite_features_are_skipped(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(photos / "red" / "3.png", photos / "red" / "copy.png")
    original = trunk.Trunk.activations

    def spoiled(self: trunk.Trunk, pixels: Sequence[np.ndarray]) -> Activations:
        found = original(self, pixels)
        for number, one in enumerate(pixels[0]):
            if np.array_equal(one, bad):
                found.features[number] = np.nan
        return found

    bad = decode.decode((photos / "red" / "3.png").read_bytes(), 32).pixels
    monkeypatch.setattr(trunk.Trunk, "activations", spoiled)
    done = featx.extract(photos, tmp_path / "f.h5", **TINY)
    assert [(s.path, s.reason) for s in done.skipped] == [
        ("red/3.png", "nonfinite"), ("red/copy.png", "nonfinite"),
    ]  # fmt: skip
    assert done.cached == 23
    assert len(contents(tmp_path / "f.h5")) == 23


def test_wrong_outputs(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        featx.extract(photos, tmp_path, **TINY)
    with pytest.raises(StorageError, match="is a file; a folder is needed"):
        featx.extract(photos, photos / "red" / "0.png" / "f.h5", **TINY)
    photo = photos / "red" / "0.png"
    before = photo.read_bytes()
    for overwrite in (False, True):
        with pytest.raises(InputError, match="exists and is not a featx cache"):
            featx.extract(photos, photo, overwrite=overwrite, **TINY)
    assert photo.read_bytes() == before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cut": "fc2"}, "Unknown layer 'fc2'"),
        ({"augment": "strong", "copies": 1}, "Unknown augmentation 'strong'"),
        ({"augment": "mild"}, "copies is 0"),
        ({"dtype": "int8"}, "Unknown dtype 'int8'"),
        ({"precision": "half"}, "Unknown precision 'half'"),
        ({"size": 100}, "not a multiple of 32"),
        ({"batch": 0}, "The batch size is 0"),
        ({"weights": "imagenet"}, "Unknown weights 'imagenet'"),
    ],
)
def test_wrong_settings(photos: Path, tmp_path: Path, settings: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        featx.extract(photos, tmp_path / "f.h5", **{**TINY, **settings})
    assert not (tmp_path / "f.h5").exists()


# Real processes -----------------------------------------------------------------------------

MANY = 300  # more than two parts


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("many")
    for number in range(MANY):
        write_image(root / "photos" / "ab"[number % 2] / f"{number}.png", number)
    extract(root / "photos", root / "whole.h5")
    return root


def started(many: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "featx", "extract", str(many / "photos"), "-o", str(out)]
    command += ["--weights", "random", "--size", "32"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed_ctrl_c)


def heed_ctrl_c() -> None:
    """Undo what the parent may have done: a shell lets its background jobs ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for_a_part(out: Path, run: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not list(Path(f"{out}.parts").glob("*.safetensors")):
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)


def test_a_killed_run_goes_on_where_it_was(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.h5"
    with started(many, out) as run:
        wait_for_a_part(out, run)
        with pytest.raises(LockedError, match=f"process {run.pid} on"):
            extract(many / "photos", out)
        run.kill()
    assert not out.exists()
    with pytest.raises(IncompatibleError, match="size: 32 there, 64 now"):
        extract(many / "photos", out, size=64)
    resumed = extract(many / "photos", out)
    assert resumed["reused"] in (128, 256)
    assert resumed["computed"] == MANY - resumed["reused"]
    assert contents(out) == contents(many / "whole.h5")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_says_how_to_go_on(
    many: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    out = tmp_path / "f.h5"
    with started(many, out) as run:
        wait_for_a_part(out, run)
        run.send_signal(number)
        _, error = run.communicate(timeout=30)
    assert run.returncode == code
    assert f"Continue with:\n  featx extract {many}/photos -o {out} --weights random" in error
    assert "Traceback" not in error
    assert list(Path(f"{out}.parts").glob("*.safetensors"))
