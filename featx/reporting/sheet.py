"""A contact sheet of the images that a model gets wrong."""

import os

from PIL import Image, ImageDraw

from ..errors import printable
from ..images.captions import fitting_caption
from ..images.sheets import check_sheet, write_sheet
from ..model.predictions import Predictions
from .cells import CELL, COLUMNS, GAP, INK, LINE, SIDE, WIDTH, draw_cell, place_of
from .thumbnails import read_thumbnails

__all__ = ["draw_sheet"]

_MOST = 60
_WRONG = "#b42318"


def draw_sheet(
    parts: "dict[str, Predictions]",
    out: str | os.PathLike[str],
    *,
    resize: str = "crop",
    overwrite: bool = False,
) -> int:
    """Draw images that are predicted wrong, with their true and predicted class and confidence.

    Parameters
    ----------
    parts : dict
        Heading → the images it is about; the most confident mistakes of each come first.
    out : path
        The PNG or JPEG file to write.
    resize : {"crop", "squash"}
        How an image becomes square.
    overwrite : bool
        Replace a sheet that exists.

    Returns
    -------
    int
        How many images are drawn: at most 60 of each part.

    Raises
    ------
    InputError
        See `check_sheet`.
    StorageError
        When the sheet cannot be written.
    """
    out = check_sheet(out, overwrite)
    shown = {heading: some.take(some.wrong[:_MOST]) for heading, some in parts.items()}
    lines = {heading: -(-len(some) // COLUMNS) for heading, some in shown.items()}
    height = GAP + sum(LINE + GAP + max(CELL * rows, LINE) for rows in lines.values())
    sheet = Image.new("RGB", (WIDTH, height), "white")
    draw = ImageDraw.Draw(sheet)
    top = GAP
    for heading, some in shown.items():
        count = len(parts[heading].wrong)
        text = f"{heading}: {count} of {len(parts[heading])} wrong"
        more = f", the {len(some)} most confident" if count > len(some) else ""
        draw.text((GAP, top), *fitting_caption(text + more, WIDTH - 2 * GAP))
        top += LINE + GAP
        _draw_part(sheet, some, top, resize)
        top += max(CELL * lines[heading], LINE)
    write_sheet(sheet, out, overwrite)
    return sum(map(len, shown.values()))


def _draw_part(sheet: Image.Image, some: Predictions, top: int, resize: str) -> None:
    images = [some.root / path for path in some.paths]
    for at, pixels in enumerate(read_thumbnails(images, some.digests, SIDE, resize)):
        true, predicted = some.classes[some.y[at]], some.classes[some.predicted[at]]
        says = f"{printable(true)} → {printable(predicted)} {some.confidence[at]:.2f}"
        path = printable(some.paths[at])
        draw_cell(sheet, place_of(at, top), pixels, [(says, _WRONG), (path, INK)])
