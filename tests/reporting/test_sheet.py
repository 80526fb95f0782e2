"""The contact sheet of wrong predictions."""

from pathlib import Path

import numpy as np
import pytest
from generated import tiny_models
from PIL import Image

from featx.model.predictions import Predictions
from featx.reporting.sheet import draw_sheet
from featx.storage import files


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models(tmp_path_factory.mktemp("sheet"), 8)


def digest_of(path: Path) -> str:
    return files.file_digest(path) if path.exists() else "0" * 64


def test_a_sheet_shows_the_images_that_are_wrong(made: Path, tmp_path: Path) -> None:
    paths = np.array(["blue/0.png", "red/0.png", "gone/0.png"], object)
    some = Predictions(
        ("blue", "red"),
        made / "photos",
        paths,
        np.array([digest_of(made / "photos" / path) for path in paths], object),
        np.array([0, 1, 1]),
        np.array([[0.2, 0.8], [0.3, 0.7], [0.9, 0.1]]),
    )
    assert [m.path for m in some.mistakes()] == ["gone/0.png", "blue/0.png"]
    assert some.least_certain.tolist() == [1, 0, 2]
    assert (
        draw_sheet({"test images": some, "none": some.take(np.array([1]))}, tmp_path / "s.png") == 2
    )
    pixels = np.asarray(Image.open(tmp_path / "s.png"))
    blue = (pixels[..., 2] > 130) & (pixels[..., 2] > pixels[..., 0]) & (pixels[..., 0] < 120)
    assert blue.sum() > 20_000  # the blue image in the second place
    assert pixels.shape[0] < 500
