"""Captions in contact sheets, in a font that has their letters."""

import contextlib
from collections.abc import Iterator
from typing import Any

from PIL import ImageFont

__all__ = ["caption", "fitting_caption"]

_FONT_SIZE = 12
#: Fonts that systems have, tried where the one of Pillow lacks a letter.
_FONTS = (
    "DejaVuSans.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoSans-Regular.ttf",
    "Arial Unicode.ttf",
    "Hiragino Sans GB.ttc",
    "msgothic.ttc",
    "arial.ttf",
)


def caption(text: str, color: str = "black") -> tuple[str, str, Any]:
    """Return a text with its colour and a font that has its letters; without one, their numbers."""
    for font in _fonts():
        missing = _shape(font, "\uffff")  # never a letter
        if all(_shape(font, letter) != missing for letter in set(text)):
            return text, color, font
    return text.encode("ascii", "backslashreplace").decode(), color, next(iter(_fonts()))


def _fonts() -> Iterator[Any]:
    yield ImageFont.load_default(_FONT_SIZE)
    for name in _FONTS:
        with contextlib.suppress(OSError):
            yield ImageFont.truetype(name, _FONT_SIZE)


def _shape(font: Any, letter: str) -> bytes:
    mask = font.getmask(letter)
    return bytes(f"{mask.size}", "ascii") + bytes(mask)


def fitting_caption(text: str, width: int, color: str = "black") -> tuple[str, str, Any]:
    """Return a caption as `caption` does, cut in its middle to a width in pixels."""
    drawn, color, font = caption(text, color)
    left, right = (len(drawn) + 1) // 2, len(drawn) // 2
    short = drawn
    while font.getlength(short) > width and left > 1:
        left, right = left - 1, max(1, right - 1)
        short = f"{drawn[:left]}…{drawn[-right:]}"
    return short, color, font
