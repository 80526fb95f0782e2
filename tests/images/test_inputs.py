"""The images that Python programs give to a model."""

import io
from pathlib import Path

import numpy as np
import pytest
from generated import tiny_models
from PIL import Image

import featx
from featx.errors import InputError
from featx.images.decode import Rejected


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> featx.Model:
    return featx.load(tiny_models(tmp_path_factory.mktemp("inputs"), 6, "lda") / "lda.featx")


def test_every_form_of_an_image_gives_the_same(model: featx.Model, photos: Path) -> None:
    path = photos / "red" / "1.png"
    image = Image.open(path)
    pixels = np.asarray(image)
    opaque = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    forms = [path, str(path), path.read_bytes(), path.open("rb"), io.BytesIO(path.read_bytes()),
             image, pixels, opaque]  # fmt: skip
    expected = model.predict_proba([path])[0]
    found = model.predict_proba(forms)
    # The last bits of a matrix product depend on the number of rows.
    exactly = {"rtol": 1e-9, "atol": 0}
    assert found.shape == (8, 3) and np.allclose(found, np.stack([expected] * 8), **exactly)
    assert np.allclose(model.predict_proba(np.stack([pixels, pixels])), found[:2], **exactly)
    assert np.allclose(model.predict_proba(iter(forms[:2])), found[:2], **exactly)


def test_grey_and_transparent_arrays(model: featx.Model) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8)
    three = np.dstack([grey] * 3)
    same = model.predict_proba([grey, grey[:, :, np.newaxis], three])
    assert np.array_equal(same[0], same[2]) and np.array_equal(same[1], same[2])
    nothing = np.zeros((40, 50, 4), np.uint8)
    white = np.full((40, 50, 3), 255, np.uint8)
    assert np.array_equal(*model.predict_proba([nothing, white]))
    upright = Image.fromarray(three)
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    exif = turned.getexif()
    exif[274] = 6  # shown turned by 90 degrees to the right
    saved = io.BytesIO()
    turned.save(saved, "PNG", exif=exif)
    assert np.array_equal(*model.predict_proba([Image.open(saved), upright]))


@pytest.mark.parametrize(
    "one", ["photo.jpg", Path("photo.jpg"), b"bytes", np.zeros((4, 4, 3), np.uint8),
            io.BytesIO(b"x"), Image.new("RGB", (4, 4))]
)  # fmt: skip
def test_one_image_is_no_list_of_images(model: featx.Model, one: object) -> None:
    with pytest.raises(InputError, match=r"This is one image, and a list .* Put it into a list"):
        model.predict(one)  # type: ignore[arg-type]


def test_what_is_no_image_is_named(model: featx.Model, photos: Path, tmp_path: Path) -> None:
    good = photos / "red" / "1.png"
    (tmp_path / "bad.jpg").write_text("junk")
    with pytest.raises(Rejected, match=r"bad\.jpg: not_image"):
        model.predict([good, tmp_path / "bad.jpg"])
    with pytest.raises(Rejected, match=r"gone\.jpg: vanished"):
        model.predict([good, tmp_path / "gone.jpg"])
    with pytest.raises(Rejected, match="The image at index 1: not_image"):
        model.predict([good, b"junk"])
    with pytest.raises(Rejected, match="The image at index 1: empty"):
        model.predict([good, io.BytesIO()])
    with pytest.raises(Rejected, match="The image at index 0: unsupported"):
        model.predict([Image.new("F", (4, 4))])
    with pytest.raises(Rejected, match="unreadable: no file can have this name"):
        model.predict(["a\ud83d.png"])
    with pytest.raises(Rejected, match="unreadable: no file can have this name"):
        model.predict(["a\0b.png"])
    with pytest.raises(InputError, match="has nothing to see"):
        model.predict([Image.new("RGB", (0, 5))])
    with pytest.raises(InputError, match=r"The image at index 1 is 3\. Expected a path"):
        model.predict([good, 3])
    with pytest.raises(InputError, match="index 0 is a file open for text"):
        model.predict([io.StringIO("x")])
    with pytest.raises(InputError, match="3 is not a list of images"):
        model.predict(3)  # type: ignore[arg-type]
