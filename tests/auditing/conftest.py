"""A cache of generated images among which doubles and rubbish were planted."""

from pathlib import Path

import numpy as np
import pytest
from generated import TINY
from PIL import Image, ImageFilter, ImageOps
from planted import picture

import featx

CLASSES = ("blue", "green", "red")


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with photos/ (train and test), where doubles and rubbish are, and f.h5."""
    root = tmp_path_factory.mktemp("audit")
    photos = root / "photos"
    for hue, name in enumerate(reversed(CLASSES)):
        for number in range(14):
            path = photos / ("test" if number < 3 else "train") / name / f"{number:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(100 * hue + number, hue).save(path)
    one, two = photos / "train/red", photos / "test/red"
    with Image.open(one / "05.png") as image:
        image.resize((120, 90)).save(two / "leak.jpg", quality=80)
    with Image.open(photos / "train/blue/06.png") as image:
        ImageOps.mirror(image).save(photos / "train/green/mirror.jpg", quality=60)
    (photos / "train/blue/same.png").write_bytes((photos / "train/blue/07.png").read_bytes())
    Image.new("RGB", (240, 180)).save(one / "black.png")
    picture(500, 0).filter(ImageFilter.GaussianBlur(6)).save(one / "blur.png")
    picture(501, 0).resize((20, 15)).save(one / "tiny.png")
    noise = np.random.default_rng(0).integers(0, 256, (180, 240, 3), dtype=np.uint8)
    Image.fromarray(noise).save(one / "noise.png")
    featx.extract(photos, root / "f.h5", **TINY)
    return root
