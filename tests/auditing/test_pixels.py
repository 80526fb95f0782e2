"""What is read of image files, and how their thumbnails correlate."""

from pathlib import Path

import numpy as np
from PIL import Image

import featx
from featx.auditing.pixels import THUMBNAIL, Pixels, correlation, read_pixels
from featx.storage.files import file_digest


def digests_of(catalog: featx.Catalog) -> np.ndarray:
    return np.array([file_digest(catalog.file(at)) for at in range(len(catalog))], dtype=object)


def read(root: Path, *names: str) -> Pixels:
    catalog = featx.scan(root)
    digests = digests_of(catalog)
    chosen = [catalog.paths.tolist().index(name) for name in names]
    return read_pixels(catalog, digests, np.array(chosen))


def test_statistics_tell_flat_sharp_and_noisy_images_apart(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 256, (4, 4, 3), np.uint8))
    Image.new("RGB", (200, 150), (90, 90, 90)).save(tmp_path / "flat.png")
    coarse.resize((200, 150), Image.Resampling.BICUBIC).save(tmp_path / "smooth.png")
    Image.fromarray(random.integers(0, 256, (150, 200, 3), np.uint8)).save(tmp_path / "noise.png")
    found = read(tmp_path, "flat.png", "smooth.png", "noise.png")
    assert found.is_read.all()
    assert found.contrast[0] == 0 < found.contrast[2] and abs(found.brightness[0] - 90) < 0.5
    assert found.detail[1] < 0.05 and found.detail[2] > 0.5
    assert found.thumbnails.shape == (3, THUMBNAIL, THUMBNAIL)


def test_changed_and_missing_files_are_left_unread(tmp_path: Path) -> None:
    for number in range(3):
        Image.new("RGB", (9, 9), (number, 0, 0)).save(tmp_path / f"{number}.png")
    catalog = featx.scan(tmp_path)
    digests = digests_of(catalog)
    Image.new("RGB", (9, 9), "white").save(tmp_path / "1.png")
    (tmp_path / "2.png").unlink()
    found = read_pixels(catalog, digests, np.arange(3))
    assert found.is_read.tolist() == [True, False, False]
    assert np.isnan(found.contrast).tolist() == [False, True, True]


def correlated(*thumbnails: np.ndarray) -> tuple[float, float]:
    """Return the correlations of two thumbnails."""
    straight, mirrored = correlation(np.stack(thumbnails), np.array([0]), np.array([1]))
    return float(straight[0]), float(mirrored[0])


def test_correlation_sees_the_same_picture_mirrored_and_brighter() -> None:
    random = np.random.default_rng(0)
    picture, other = random.integers(0, 120, (2, 32, 32), dtype=np.uint8)
    same, mirrored = correlated(picture, 2 * picture + 5)
    assert same > 0.9999 and mirrored < 0.3
    same, mirrored = correlated(picture, picture[:, ::-1])
    assert mirrored > 0.9999 and same < 0.3
    assert max(correlated(picture, other)) < 0.3


def test_correlation_is_pearsons() -> None:
    thumbnails = np.random.default_rng(1).integers(0, 256, (5, 32, 32), dtype=np.uint8)
    one, two = np.array([0, 1, 3]), np.array([4, 2, 3])
    found = correlation(thumbnails, one, two)
    for number, (a, b) in enumerate(zip(one, two, strict=True)):
        for value, other in zip(found, (thumbnails[b], thumbnails[b][:, ::-1]), strict=True):
            exact = np.corrcoef(thumbnails[a].ravel(), other.ravel())[0, 1]
            assert abs(value[number] - exact) < 1e-5


def test_flat_images_are_the_same_when_they_are_as_bright() -> None:
    black, white = np.zeros((32, 32), np.uint8), np.full((32, 32), 255, np.uint8)
    picture = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
    assert correlated(black, black + 1) == (1, 1)
    assert correlated(black, white) == (0, 0)
    assert correlated(black, picture) == (0, 0)
