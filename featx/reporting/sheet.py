"""A contact sheet of the images that a model gets wrong."""

import os

from PIL import Image, ImageDraw

from ..errors import printable
from ..images.captions import fitting_caption
from ..images.sheets import check_sheet, write_sheet
from ..model.predictions import Predictions
from .thumbnails import read_thumbnails

__all__ = ["draw_sheet"]

_SIDE = 176
_GAP = 8
_LINE = 17
_COLUMNS = 5
_MOST = 60
_WRONG, _INK, _MISSING = "#b42318", "#24292f", "#d0d7de"


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
    lines = {heading: -(-len(some) // _COLUMNS) for heading, some in shown.items()}
    cell = _SIDE + 2 * _LINE + _GAP
    width = _GAP + _COLUMNS * (_SIDE + _GAP)
    height = _GAP + sum(_LINE + _GAP + max(cell * rows, _LINE) for rows in lines.values())
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    top = _GAP
    for heading, some in shown.items():
        count = len(parts[heading].wrong)
        text = f"{heading}: {count} of {len(parts[heading])} wrong"
        more = f", the {len(some)} most confident" if count > len(some) else ""
        draw.text((_GAP, top), *fitting_caption(text + more, width - 2 * _GAP))
        top += _LINE + _GAP
        _draw_part(sheet, draw, some, top, resize)
        top += max(cell * lines[heading], _LINE)
    write_sheet(sheet, out, overwrite)
    return sum(map(len, shown.values()))


def _draw_part(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, some: Predictions, top: int, resize: str
) -> None:
    images = [some.root / path for path in some.paths]
    for at, pixels in enumerate(read_thumbnails(images, some.digests, _SIDE, resize)):
        row, column = divmod(at, _COLUMNS)
        x = _GAP + column * (_SIDE + _GAP)
        y = top + row * (_SIDE + 2 * _LINE + _GAP)
        if pixels is None:
            draw.rectangle((x, y, x + _SIDE, y + _SIDE), outline=_MISSING)
            draw.text((x + 6, y + 6), *fitting_caption("the file is gone, or another", _SIDE - 12))
        else:
            sheet.paste(Image.fromarray(pixels), (x, y))
        true, predicted = some.classes[some.y[at]], some.classes[some.predicted[at]]
        says = f"{printable(true)} → {printable(predicted)} {some.confidence[at]:.2f}"
        draw.text((x, y + _SIDE + 1), *fitting_caption(says, _SIDE, _WRONG))
        path = printable(some.paths[at])
        draw.text((x, y + _SIDE + _LINE), *fitting_caption(path, _SIDE, _INK))
