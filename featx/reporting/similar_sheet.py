"""A contact sheet of images, each with the images of a cache that are most like it."""

import os
from pathlib import Path

from PIL import Image, ImageDraw

from ..auditing.similar import Query, SimilarResult
from ..errors import printable
from ..images.captions import fitting_caption
from ..images.sheets import check_sheet, write_sheet
from .cells import CELL, COLUMNS, GAP, INK, LINE, SIDE, WIDTH, draw_cell, place_of
from .thumbnails import read_thumbnails

__all__ = ["draw_similar"]

_MOST_QUERIES, _MOST = 30, 49  # with the query itself, ten lines
_LIKE, _EQUAL = "#1f6feb", "#b42318"


def draw_similar(
    found: SimilarResult, out: str | os.PathLike[str], *, overwrite: bool = False
) -> int:
    """Draw images, each followed by the most similar ones with their labels and similarities.

    Parameters
    ----------
    found : SimilarResult
    out : path
        The PNG or JPEG file to write.
    overwrite : bool
        Replace a sheet that exists.

    Returns
    -------
    int
        How many of the images that were asked for are drawn: at most 30, with at most 49 others.

    Raises
    ------
    InputError
        See `check_sheet`.
    StorageError
        When the sheet cannot be written.
    """
    out = check_sheet(out, overwrite)
    queries = found.queries[:_MOST_QUERIES]
    lines = [-(-(1 + len(query.nearest[:_MOST])) // COLUMNS) for query in queries]
    height = GAP + sum(LINE + GAP + CELL * rows for rows in lines)
    sheet = Image.new("RGB", (WIDTH, height), "white")
    draw = ImageDraw.Draw(sheet)
    top = GAP
    for query, rows in zip(queries, lines, strict=True):
        heading = f"{printable(query.name)} and the {len(query.nearest)} most similar images"
        draw.text((GAP, top), *fitting_caption(heading, WIDTH - 2 * GAP))
        top += LINE + GAP
        _draw_query(sheet, found, query, top)
        top += CELL * rows
    write_sheet(sheet, out, overwrite)
    return len(queries)


def _draw_query(sheet: Image.Image, found: SimilarResult, query: Query, top: int) -> None:
    nearest = query.nearest[:_MOST]
    images = [Path(query.name), *(found.root / near.path for near in nearest)]
    digests = [query.digest, *(near.digest for near in nearest)]
    captions = [[("given", _LIKE), (printable(Path(query.name).name), INK)]]
    for near in nearest:
        label = printable(near.label) if near.label is not None else "no label"
        words = f"{near.rank}: {label} {near.similarity:.3f}"
        what = (f"{words}, the same file", _EQUAL) if near.is_equal else (words, _LIKE)
        captions.append([what, (printable(near.path), INK)])
    resize = found.fingerprint.trunk.resize
    thumbnails = read_thumbnails(images, digests, SIDE, resize)
    for number, (pixels, lines) in enumerate(zip(thumbnails, captions, strict=True)):
        draw_cell(sheet, place_of(number, top), pixels, lines)
