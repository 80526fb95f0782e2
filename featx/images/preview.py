"""A contact sheet of images and their augmented copies."""

import contextlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np
from PIL import Image, ImageDraw

from ..dataset.scan import Source, as_catalog
from ..errors import InputError, printable
from ..keywords import takes
from ..names import Augmentation, ResizeRule
from ..plain import plain
from . import augment, decode
from .captions import caption
from .decode import SkippedImage
from .listed import read_ahead
from .reader import Reader
from .sandbox import Job
from .sheets import check_sheet, write_sheet

__all__ = ["PreviewResult", "PreviewSettings", "preview"]

_GAP = 6
_CAPTION = 19


@dataclass(frozen=True)
class PreviewSettings:
    """The images on the sheet, and how their copies differ.

    Attributes
    ----------
    images : int
        How many images, taken evenly from the source.
    augment : str, optional
        Augmentation policy of the copies; by default "mild" with copies and "none" without.
    copies : int
        Copies beside each original.
    seed : int
        Seed of the copies: the same one as in `extract` shows the same copies.
    size : int
        Pixels a side.
    resize : {"squash", "crop"}
        Whether both sides are resized, or the middle square is taken.
    bits : int
        Bits of the values in images of 16 bits.
    overwrite : bool
        Replace a sheet that exists.
    """

    images: int = 6
    augment: str | None = None
    copies: int = 5
    seed: int = 0
    size: int = 224
    resize: str = "crop"
    bits: int = 16
    overwrite: bool = False


class PreviewChanges(TypedDict, total=False):
    """The fields of `PreviewSettings` as keywords, for editors and type checkers."""

    images: int
    augment: Augmentation | None
    copies: int
    seed: int
    size: int
    resize: ResizeRule
    bits: int
    overwrite: bool


@dataclass(frozen=True)
class PreviewResult:
    """The sheet, how many images are on it, and those that cannot be shown."""

    out: Path
    images: int
    skipped: list[SkippedImage]

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain values, for JSON."""
        return plain(self)


@takes(PreviewSettings, PreviewChanges)
def preview(
    source: Source,
    out: str | os.PathLike[str],
    settings: PreviewSettings | None = None,
    **changes: Unpack[PreviewChanges],
) -> PreviewResult:
    """Draw a row for each image: the original as the network sees it, then its copies.

    Parameters
    ----------
    source : path, several paths, or Catalog
        See `scan.scan`.
    out : path
        The PNG or JPEG file to write.
    settings : PreviewSettings, optional
    **changes
        Fields of `PreviewSettings`, over those of `settings`.

    Returns
    -------
    PreviewResult
        How many images are on the sheet, and which cannot be shown.

    Raises
    ------
    InputError
        When the source or a setting is wrong, or no image can be shown.
    StorageError
        When the sheet cannot be written.

    Examples
    --------
    >>> import featx
    >>> drawn = featx.preview("photos", "sheet.png", augment="flip", copies=1)  # doctest: +SKIP
    >>> drawn.images  # doctest: +SKIP
    6
    """
    settings = replace(settings or PreviewSettings(), **changes)
    out = check_sheet(out, settings.overwrite)
    if settings.images < 1:
        raise InputError(f"images is {settings.images}. Expected 1 or more.")
    decode.check_bits(settings.bits)
    name = settings.augment or ("mild" if settings.copies else "none")
    settings = replace(settings, augment=name)
    policy = augment.get_policy(name, settings.copies)
    listed = as_catalog(source)
    rows: list[tuple[str, np.ndarray]] = []
    skipped: list[SkippedImage] = []
    spread = np.linspace(0, len(listed) - 1, min(settings.images, len(listed))).round()
    chosen = spread.astype(int).tolist()
    job = Job(settings.size, settings.resize, policy, settings.seed, settings.copies, settings.bits)
    with contextlib.closing(read_ahead(listed, chosen, Reader(job), len(chosen))) as reads:
        for index, read in zip(chosen, reads, strict=True):
            path = str(listed.paths[index])
            if read.reason:
                skipped.append(SkippedImage(path, read.reason, read.detail))
            else:
                rows.append((path, read.pixels))
    if not rows:
        path, reason, detail = skipped[0]
        raise InputError(
            f"None of the {len(skipped)} chosen images can be shown; the first is "
            f"{printable(path)}: {reason}, {detail}."
        )
    write_sheet(_sheet(rows, settings), out, settings.overwrite)
    return PreviewResult(out, len(rows), skipped)


def _sheet(rows: list[tuple[str, np.ndarray]], settings: PreviewSettings) -> Image.Image:
    step = settings.size + _GAP
    width = _GAP + step * (1 + settings.copies)
    height = (_CAPTION + step) * len(rows) + _CAPTION + _GAP
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    heading = f"augment {settings.augment}, copies {settings.copies}, seed {settings.seed}, "
    heading += f"{settings.size} px, {settings.resize}"
    draw.text((_GAP, 2), *caption(heading))
    for row, (path, images) in enumerate(rows):
        top = _CAPTION + row * (_CAPTION + step)
        draw.text((_GAP, top + 2), *caption(printable(path)))
        for column, pixels in enumerate(images):
            sheet.paste(Image.fromarray(pixels), (_GAP + column * step, top + _CAPTION))
    return sheet
