"""Bytes → upright RGB pixels, or a named reason why not.

The rules, for which `RULES` is the version number (results of other versions do not mix):

- Formats: JPEG, PNG, WebP, BMP, GIF (first frame), TIFF (first page). The content decides, not
  the file's name.
- A JPEG much larger than wanted is decoded at a reduced scale, at least twice the target size
  (libjpeg's DCT scaling).
- The EXIF orientation is applied.
- Transparency, of any kind, is laid over white. Palettes are resolved. CMYK and YCbCr are
  converted by Pillow. 16-bit grey is divided by 257, never clipped. Floats, 32-bit integers
  beyond 16 bits and CIE Lab have no agreed range or need a profile: `unsupported`.
- `squash` resizes both sides to `size`; `crop` resizes the shorter side and keeps the middle.
  Both use Pillow's bilinear filter, which averages over the whole area of each new pixel.
"""

import io
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from ..errors import FeatxError, InputError, printable
from ..storage import files

__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "REASONS",
    "RESIZE",
    "RULES",
    "Rejected",
    "UprightImage",
    "check_size",
    "decode",
    "read",
    "resize_array",
    "resize_image",
]

RULES = 1
RESIZE = ("squash", "crop")
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")

#: Images with more pixels are refused from their header (Pillow's own limit for an error).
MAX_PIXELS = 178_956_970
#: Files with more bytes are refused before they are read.
MAX_BYTES = 256 << 20

#: Every reason for which an image is skipped, and what it means.
REASONS = {
    "empty": "the file has no bytes",
    "truncated": "the image's data ends early or is damaged",
    "not_image": "the content is not an image",
    "too_large": f"more than {MAX_PIXELS:,} pixels or {MAX_BYTES:,} bytes",
    "vanished": "the file was listed and is not there",
    "unreadable": "the file cannot be opened",
    "nonfinite": "the network's features are not finite numbers",
    "unsupported": "a kind of image that featx does not decode",
}

# Which Transpose undoes each EXIF orientation (TIFF 6.0, tag 274).
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Containers that people do have among their photographs and that Pillow is not asked to open:
# offset, bytes. Their magic bytes are recognised, so that the error can suggest a fix.
_KNOWN_UNSUPPORTED = ((4, b"ftyp"), (0, b"8BPS"), (0, b"%PDF"), (0, b"\x00\x00\x00\x0cJXL"))

# Nanoseconds after which another change of a file has another time, on any file system.
_SETTLED = 2_000_000_000


class Rejected(FeatxError):
    """An image cannot be used.

    Attributes
    ----------
    reason : str
        A key of `REASONS`.
    detail : str
        A sentence about it.
    path : path or None
        The file, where it is known; the message begins with it.
    """

    exit_code = 4

    def __init__(
        self, reason: str, detail: str = "", path: str | os.PathLike[str] | None = None
    ) -> None:
        self.reason = reason
        self.detail = detail or REASONS[reason]
        self.path = path
        start = f"{printable(path)}: " if path is not None else ""
        super().__init__(f"{start}{reason}: {self.detail}")


@dataclass(frozen=True, eq=False)
class UprightImage:
    """An upright image at the trunk's size.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (size, size, 3)
        RGB.
    width, height : int
        Size of the upright original, in pixels.
    """

    pixels: np.ndarray
    width: int
    height: int


class File(NamedTuple):
    """The bytes of a file; and its stamp, or None when it changed just before they were read."""

    data: bytes
    stamp: files.Stamp | None


def read(path: Path) -> File:
    """Read an image file.

    Raises
    ------
    Rejected
        ``vanished``, ``unreadable`` (also what is not a regular file), ``too_large``, ``empty``.
    """
    begun = time.time_ns()
    try:
        # Without O_NONBLOCK, opening a FIFO that nobody writes to would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise Rejected("unreadable", "not a regular file")
            if status.st_size > MAX_BYTES:
                raise Rejected("too_large", f"{status.st_size:,} bytes")
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise Rejected("vanished") from error
    except OSError as error:
        raise Rejected("unreadable", error.strerror or str(error)) from error
    stamp = files.stamp(status)
    is_settled = max(stamp.modified, stamp.changed) < begun - _SETTLED
    return File(check_size(data), stamp if is_settled else None)


def check_size(data: bytes) -> bytes:
    """Return the bytes of an image file, unless there are none or too many.

    Raises
    ------
    Rejected
        ``empty``, ``too_large``.
    """
    if not data:
        raise Rejected("empty")
    if len(data) > MAX_BYTES:
        raise Rejected("too_large", f"more than {MAX_BYTES:,} bytes")
    return data


def resize_array(pixels: np.ndarray, size: int, resize: str) -> UprightImage:
    """Resize an image that is decoded already.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width), (height, width, 1), 3 or 4 channels
        An upright image of any size: grey, RGB, or RGBA.
    size : int
        Pixels a side.
    resize : {"squash", "crop"}

    Raises
    ------
    InputError
        When the array is not such an image.
    """
    is_image = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 3, 4))
    if pixels.dtype != np.uint8 or not is_image or not pixels.size:
        raise InputError(
            f"An array of {pixels.dtype} and shape {pixels.shape} is not an image. "
            "Expected uint8 of shape (height, width, 3), or 1 or 4 channels."
        )
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    return resize_image(Image.fromarray(pixels), size, resize)


def resize_image(image: Image.Image, size: int, resize: str) -> UprightImage:
    """Make one of Pillow's images upright and RGB, and resize it.

    Raises
    ------
    Rejected
        ``unsupported``, ``truncated``.
    """
    with _reasons(b""):
        orientation = _orientation(image)
        upright = image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image
        fitted = _fit(_as_rgb(upright), size, resize)
        return UprightImage(np.array(fitted), upright.width, upright.height)


def decode(data: bytes, size: int, resize: str = "crop") -> UprightImage:
    """Decode an image and bring it to (size, size), upright and RGB, by the rules of this module.

    Raises
    ------
    Rejected
        ``not_image``, ``unsupported``, ``too_large``, ``truncated``.
    """
    with _reasons(data), Image.open(io.BytesIO(data), formats=FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise Rejected("too_large", f"{image.width} × {image.height} pixels")
        width, height = image.size
        orientation = _orientation(image)
        if orientation >= 5:
            width, height = height, width
        if image.format == "PNG":
            _check_png(data)
        image.draft(None, (2 * size, 2 * size))
        image.load()
        upright = image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image
        fitted = _fit(_as_rgb(upright), size, resize)
        return UprightImage(np.array(fitted), width, height)


@contextmanager
def _reasons(data: bytes) -> Iterator[None]:
    """Give Pillow's many errors their names."""
    try:
        yield
    except Image.DecompressionBombError as error:
        raise Rejected("too_large", str(error)) from error
    except UnidentifiedImageError as error:
        if any(data[at : at + len(mark)] == mark for at, mark in _KNOWN_UNSUPPORTED):
            raise Rejected("unsupported", "save it as JPEG or PNG first") from error
        raise Rejected("not_image") from error
    except (Rejected, MemoryError):
        raise
    except Exception as error:
        # Decoders raise OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error ...
        raise Rejected("truncated", printable(error)[:200]) from error


def _check_png(data: bytes) -> None:
    """Raise where a checksum is wrong: Pillow does not look at those of the pixels by itself."""
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        image.verify()


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        # A broken EXIF block says nothing about the pixels; every viewer shows such an image.
        return 1


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("F", "LAB", "HSV"):
        raise Rejected("unsupported", f"pixels of Pillow's mode {image.mode}")
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise Rejected("unsupported", "32-bit pixels beyond 16 bits")
        grey = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    if image.has_transparency_data:
        above = image.convert("RGBA")
        white = Image.new("RGBA", above.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, above).convert("RGB")
    return image.convert("RGB")


def _fit(image: Image.Image, size: int, resize: str) -> Image.Image:
    box = None
    if resize == "crop":
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        box = (left, top, left + side, top + side)
    return image.resize((size, size), Image.Resampling.BILINEAR, box=box)
