"""The images that a file is run on: those of the cache, given ones, or generated ones."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from generated import TINY, class_folders, write_image

import featx
from featx.exporting.pixels import find_images
from featx.images import decode


@pytest.fixture
def fitted(tmp_path: Path) -> featx.Model:
    class_folders(tmp_path / "photos", 10)
    featx.extract(tmp_path / "photos", tmp_path / "f.h5", **TINY)
    return featx.fit(tmp_path / "f.h5", tmp_path / "m.featx", head="lda").model


def seen(images: np.ndarray, paths: list[Path]) -> list[str]:
    """Return the names of the images that are among some pixels."""
    known = {decode.load(path, 32).pixels.tobytes(): str(path) for path in paths}
    return [known.get(image.tobytes(), "unknown") for image in images]


def test_images_of_the_cache_come_first_that_were_not_trained_on(fitted: featx.Model) -> None:
    cache = Path(fitted.report["train"]["features"])
    with featx.Cache.open(cache) as opened:
        new = [
            opened.catalog.file(index)
            for index, digest in enumerate(opened.digests)
            if digest not in fitted.trained_on
        ]
    found = find_images(fitted)
    names = seen(found.pixels, sorted((cache.parent / "photos").rglob("*.png")))
    assert found.source == f"images of {cache}" and len(set(names)) == 16
    assert "unknown" not in names and set(map(str, new)) == set(names[: len(new)])


def test_an_image_that_is_another_one_now_is_passed_over(fitted: featx.Model) -> None:
    photos = Path(fitted.report["train"]["features"]).parent / "photos"
    for path in sorted(photos.rglob("*.png"))[:-2]:
        write_image(path, 99)
    (photos / "red" / "9.png").unlink()
    assert len(find_images(fitted).pixels) == 1


@pytest.mark.parametrize("gone", ["photos", "f.h5"])
def test_images_are_generated_where_there_are_none(fitted: featx.Model, gone: str) -> None:
    cache = Path(fitted.report["train"]["features"])
    if gone == "photos":
        shutil.rmtree(cache.parent / gone)
    else:
        cache.write_bytes(b"no cache")
    found = find_images(fitted)
    assert found.source == "generated images" and found.pixels.shape == (16, 32, 32, 3)
    means = found.pixels.mean(axis=(1, 2, 3))
    assert len(np.unique(found.pixels.reshape(16, -1), axis=0)) == 16 and np.ptp(means) > 10
    assert np.array_equal(found.pixels, find_images(fitted).pixels)


def test_given_images_are_taken(fitted: featx.Model, tmp_path: Path) -> None:
    class_folders(tmp_path / "other images", 9)
    (tmp_path / "other images" / "red" / "x.png").write_bytes(b"damaged")
    found = find_images(fitted, tmp_path / "other images")
    names = seen(found.pixels, sorted((tmp_path / "other images").rglob("[0-9].png")))
    assert len(set(names)) == 16 and "unknown" not in names
    assert {Path(name).parent.name for name in names} == {"blue", "green", "red"}
    squashed = replace(fitted.fingerprint, trunk=replace(fitted.fingerprint.trunk, resize="squash"))
    other = find_images(replace(fitted, fingerprint=squashed), tmp_path / "other images")
    assert not np.array_equal(other.pixels, found.pixels)
