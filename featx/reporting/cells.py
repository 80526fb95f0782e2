"""The cells of a contact sheet: a thumbnail with two lines below it."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from ..images.captions import fitting_caption

__all__ = ["CELL", "COLUMNS", "GAP", "INK", "LINE", "SIDE", "WIDTH", "draw_cell", "place_of"]

SIDE, GAP, LINE = 176, 8, 17
COLUMNS = 5
CELL = SIDE + 2 * LINE + GAP
WIDTH = GAP + COLUMNS * (SIDE + GAP)
INK = "#24292f"
_MISSING = "#d0d7de"


def place_of(number: int, top: int) -> tuple[int, int]:
    """Return where a cell begins, (x, y), of those below `top`."""
    row, column = divmod(number, COLUMNS)
    return GAP + column * (SIDE + GAP), top + row * CELL


def draw_cell(
    sheet: Image.Image,
    place: tuple[int, int],
    pixels: np.ndarray | None,
    lines: Sequence[tuple[str, str]],
    missing: str = "the file is gone, or another",
) -> None:
    """Draw a thumbnail and the lines below it.

    Parameters
    ----------
    sheet : PIL.Image.Image
    place : tuple of int
        Where the cell begins, (x, y).
    pixels : ndarray of uint8, shape (SIDE, SIDE, 3), or None
        None where the image cannot be shown.
    lines : sequence of (str, str)
        Text and colour of each.
    missing : str
        What stands in the place of an image that cannot be shown.
    """
    draw, (x, y) = ImageDraw.Draw(sheet), place
    if pixels is None:
        draw.rectangle((x, y, x + SIDE, y + SIDE), outline=_MISSING)
        draw.text((x + 6, y + 6), *fitting_caption(missing, SIDE - 12))
    else:
        sheet.paste(Image.fromarray(pixels), (x, y))
    for number, (text, color) in enumerate(lines):
        at = (x, y + SIDE + number * LINE + (not number))
        draw.text(at, *fitting_caption(text, SIDE, color))
