"""Features are computed once, and found again in the process or in a cache file."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from generated import TINY, class_folders
from PIL import Image

import featx
from featx.cache import memory, process
from featx.cache.memory import Memory, MemorySettings
from featx.images.decode import Rejected
from featx.images.inputs import list_images
from featx.network.trunk import Trunk

SMALL = {"weights": "random", "size": 32}


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    return sorted(class_folders(tmp_path / "photos", 4).rglob("*.png"))


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images went through the network, batch by batch."""
    monkeypatch.setattr(process, "activations", process.Kept())
    counts: list[int] = []
    real = Trunk.activations

    def counting(self: Trunk, pixels: list[np.ndarray]) -> object:
        counts.append(len(pixels[0]))
        return real(self, pixels)

    monkeypatch.setattr(Trunk, "activations", counting)
    return counts


def rows(images: object, **settings: object) -> np.ndarray:
    found = Memory(MemorySettings(**{**SMALL, **settings}))
    listed = list_images(images)
    blocks = found.blocks(listed, found.digests(listed))
    return np.concatenate([some.features.reshape(len(some), -1) for some in blocks])


@pytest.mark.parametrize("where", ["process", "file"])
def test_an_image_is_computed_once(
    photos: list[Path], computed: list[int], tmp_path: Path, where: str
) -> None:
    settings = {"file": tmp_path / "features.h5"} if where == "file" else {}
    first = rows([*photos[:6], photos[0]], **settings)
    assert sum(computed) == 6 and np.array_equal(first[0], first[6])
    assert np.array_equal(rows(photos[5::-1], **settings), first[5::-1])
    assert sum(computed) == 6
    rows(photos, **settings)
    assert sum(computed) == len(photos)


def test_a_file_its_bytes_and_equal_pixels_are_found_again(
    photos: list[Path], computed: list[int]
) -> None:
    with Image.open(photos[0]) as image:
        pixels = np.asarray(image.convert("RGB"))
        shown = Image.fromarray(pixels)
    found = rows([photos[0], photos[0].read_bytes(), photos[0].open("rb"), pixels, shown])
    assert sum(computed) == 2  # a file, and pixels without one
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])
    assert np.array_equal(found[3], found[4])


def test_a_file_that_changed_is_computed_again(photos: list[Path], computed: list[int]) -> None:
    before = rows(photos[:2])
    photos[0].write_bytes(photos[1].read_bytes())
    assert np.array_equal(rows(photos[:1])[0], before[1])


def test_features_of_extract_are_found(
    photos: list[Path], computed: list[int], tmp_path: Path
) -> None:
    out = tmp_path / "features.h5"
    featx.extract(tmp_path / "photos", out, **TINY)
    computed.clear()
    with featx.Cache.open(out) as cache:
        expected = cache.matrix("avg").X
    got = featx.ImageFeatures(cache=out).fit_transform(
        [tmp_path / "photos" / path for path in featx.scan(tmp_path / "photos").paths]
    )
    assert not computed
    assert np.array_equal(got, expected)


def test_images_that_are_added_change_nothing_of_what_a_cache_lists(
    photos: list[Path], computed: list[int], tmp_path: Path
) -> None:
    out = tmp_path / "features.h5"
    featx.extract(photos[:5], out, **TINY)
    with featx.Cache.open(out) as cache:
        before = cache.as_dict()
    computed.clear()
    featx.ImageFeatures(cache=out).fit_transform(photos)
    assert sum(computed) == len(photos) - 5
    assert featx.verify(out).problems == []
    with featx.Cache.open(out) as cache:
        after = cache.as_dict()
    assert after.pop("removed") == len(photos) - 5 and before.pop("removed") == 0
    assert after == before
    again = featx.extract(photos, tmp_path / "features.h5", **TINY)
    assert again.reused == len(photos) and again.computed == 0


def test_a_new_file_lists_nothing_and_serves_extract(
    photos: list[Path], computed: list[int], tmp_path: Path
) -> None:
    out = tmp_path / "new.h5"
    featx.ImageFeatures(cache=out, **SMALL).fit_transform(photos)
    with featx.Cache.open(out) as cache:
        assert len(cache) == 0 and len(cache.removed) == len(photos)
    extracted = featx.extract(tmp_path / "photos", out, weights="random", size=32)
    assert extracted.reused == len(photos) and extracted.computed == 0
    assert extracted.removed == []


def test_copies_of_a_cache_are_computed_for_new_images_too(
    photos: list[Path], computed: list[int], tmp_path: Path
) -> None:
    out = tmp_path / "copies.h5"
    featx.extract(photos[:4], out, **TINY, copies=2, augment="mild")
    featx.ImageFeatures(cache=out).fit_transform(photos)
    with featx.Cache.open(out) as cache:
        assert cache.features.shape[:2] == (len(photos), 3)


def test_another_size_is_refused(photos: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "features.h5"
    featx.extract(photos, out, **TINY)
    with pytest.raises(featx.IncompatibleError, match="size: 32 there, 64 asked for"):
        featx.ImageFeatures(cache=out, size=64).fit(photos)


def test_what_another_run_left_unfinished_is_refused_or_used(
    photos: list[Path], computed: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "features.h5"

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(memory, "assemble", stop)
    with pytest.raises(KeyboardInterrupt):
        rows(photos, file=out)
    monkeypatch.undo()
    assert not out.exists()
    with pytest.raises(featx.IncompatibleError, match="size: 32 there, 64 asked for"):
        rows(photos, file=out, size=64)
    computed.clear()
    rows(photos, file=out)
    assert not computed
    assert not out.with_name("features.h5.parts").exists()


def test_an_image_that_cannot_be_used_is_named(photos: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(photos[0].read_bytes()[:100])
    with pytest.raises(Rejected, match=r"broken\.png"):
        rows([*photos[:2], broken])
    with pytest.raises(Rejected, match=r"gone\.png"):
        rows([tmp_path / "gone.png"])
    with pytest.raises(Rejected, match="The image at index 1"):
        rows([photos[0], b"no image"])


def test_a_file_that_changes_between_the_two_readings_is_refused(
    photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "activations", process.Kept())
    found = Memory(MemorySettings(**SMALL))
    listed = list_images(photos[:1])
    digests = found.digests(listed)
    photos[0].write_bytes(photos[1].read_bytes())
    with pytest.raises(featx.InputError, match="changed while it was read"):
        list(found.blocks(listed, digests))


def test_a_process_keeps_only_so_much(
    photos: list[Path], computed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "MOST", 1 << 14)  # two images or so
    expected = rows(photos)
    assert process.activations._bytes <= 1 << 14
    assert np.array_equal(rows(photos), expected)
    assert sum(computed) > len(photos)


def test_a_cache_that_is_overwritten_in_place_is_read_anew(
    photos: list[Path], tmp_path: Path
) -> None:
    """Something else than featx writes into the file that is open: other images, another order."""
    one, two, used = (tmp_path / f"{name}.h5" for name in ("one", "two", "used"))
    featx.extract(photos[:6], one, **TINY)
    shutil.copytree(tmp_path / "photos", tmp_path / "others")
    for path, new in zip(sorted((tmp_path / "others").rglob("*.png"))[:6], "fedcba", strict=True):
        path.rename(path.with_name(f"{new}.png"))
    featx.extract(tmp_path / "others", two, **TINY)
    shutil.copyfile(one, used)
    expected = rows(photos[:6], file=used)
    with used.open("r+b") as file:
        file.write(two.read_bytes())
        file.truncate()
    assert np.array_equal(rows(photos[:6], file=used), expected)
    assert featx.verify(used).problems == []


def test_rows_stay_right_while_another_process_adds_images(
    photos: list[Path], tmp_path: Path
) -> None:
    """Images that are added stand between the others: in the new file, rows have other numbers."""
    shared = tmp_path / "shared.h5"
    expected = rows(photos)
    reader = Memory(MemorySettings(shared, **SMALL))
    reader._plan = replace(reader._plan, images_in_part=2)
    some = list_images(photos[::2])
    blocks = reader.blocks(some, reader.digests(some))
    found = [next(blocks)]
    rows(photos, file=shared)
    found += blocks
    got = np.concatenate([one.features.reshape(len(one), -1) for one in found])
    assert np.array_equal(got, expected[::2])


def test_bits_count_for_images_in_memory(computed: list[int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 4096, (40, 40)).astype(np.uint16)
    image = Image.fromarray(pixels)
    narrow, wide = rows([image], bits=12), rows([image], bits=16)
    assert not np.array_equal(narrow, wide) and sum(computed) == 2


_PROCESS = """
import sys
import featx
from featx.network.trunk import Trunk
real, count = Trunk.activations, []
def counting(self, pixels):
    count.append(len(pixels[0]))
    return real(self, pixels)
Trunk.activations = counting
out, *photos = sys.argv[1:]
X = featx.ImageFeatures(cache=out, weights="random", size=32).fit_transform(photos)
print(sum(count), X.sum())
"""


def test_processes_wait_for_each_other(photos: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "shared.h5"
    command = [sys.executable, "-c", _PROCESS, str(out), *map(str, photos)]
    runs = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [run.communicate(timeout=120) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    counts, sums = zip(*(out.split() for out, _ in said), strict=True)
    assert sum(map(int, counts)) == len(photos)
    assert sums[0] == sums[1]
    assert featx.verify(out).problems == []
