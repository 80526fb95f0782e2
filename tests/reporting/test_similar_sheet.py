"""Contact sheets of similar images."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from generated import TINY, class_folders
from PIL import Image

import featx
from featx.errors import InputError
from featx.reporting.cells import CELL, GAP, LINE, SIDE
from featx.reporting.similar_sheet import draw_similar


@pytest.fixture
def made(tmp_path: Path) -> Path:
    class_folders(tmp_path / "photos", 3)
    featx.extract(tmp_path / "photos", tmp_path / "f.h5", **TINY)
    return tmp_path


def cell(sheet: Image.Image, column: int, row: int = 0) -> np.ndarray:
    """Return the thumbnail of a cell of the first image that is given."""
    x, y = GAP + column * (SIDE + GAP), GAP + LINE + GAP + row * CELL
    return np.asarray(sheet)[y : y + SIDE, x : x + SIDE].astype(int)


def test_each_image_is_drawn_with_those_like_it(made: Path) -> None:
    red = made / "photos" / "red"
    found = featx.find_similar([red / "0.png", red / "1.png"], made / "f.h5", k=6)
    assert draw_similar(found, made / "s.png") == 2
    sheet = Image.open(made / "s.png")
    assert sheet.height == GAP + 2 * (LINE + GAP + 2 * CELL)
    hues = {"red": 0, "green": 1, "blue": 2}
    names = ["red", *(near.path.split("/")[0] for near in found.queries[0].nearest)]
    for number, name in enumerate(names):
        pixels = cell(sheet, number % 5, number // 5)
        # class_folders gives blue the channel 2, green 1 and red 0.
        assert pixels.mean(axis=(0, 1)).argmax() == hues[name], number
    with pytest.raises(InputError, match=r"s\.png exists"):
        draw_similar(found, made / "s.png")
    with pytest.raises(InputError, match=r"Expected one that ends in \.png or \.jpg"):
        draw_similar(found, made / "s.gif")


def test_an_image_that_is_gone_or_another_one_is_not_drawn(made: Path) -> None:
    red = made / "photos" / "red"
    found = featx.find_similar(red / "0.png", made / "f.h5", k=8)
    first = found.queries[0].nearest[0].path
    shutil.copy(red / "0.png", made / "photos" / first)  # another image by the same name
    draw_similar(found, made / "s.png")
    sheet = Image.open(made / "s.png")
    inside = cell(sheet, 1)[40:-10, 10:-10]
    assert (inside == 255).all(), "another image is shown in its place"
    assert cell(sheet, 0).std() > 10


def test_of_many_images_the_first_are_drawn(made: Path) -> None:
    found = featx.find_similar([made / "photos/red/0.png"] * 40, made / "f.h5", k=1)
    assert draw_similar(found, made / "s.jpg") == 30
