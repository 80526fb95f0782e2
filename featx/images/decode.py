"""Bytes → upright RGB pixels, or a named reason why not.

The rules, for which `RULES` is the version number (results of other versions do not mix):

- Formats: JPEG, PNG, WebP, AVIF, BMP, GIF (first frame), TIFF (first page), and with the package
  pi-heif HEIC. The content decides, not the file's name.
- A JPEG much larger than wanted is decoded at a reduced scale, at least twice the target size
  (libjpeg's DCT scaling).
- The EXIF orientation is applied.
- Transparency, of any kind, is laid over white. Palettes are resolved. CMYK and YCbCr are
  converted by Pillow. 16-bit grey is divided by 257, never clipped; or, where the values are said
  to have fewer bits, by as much as makes the largest one 255. Floats, 32-bit integers beyond 16
  bits and CIE Lab have no agreed range or need a profile: `unsupported`.
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

from ..dataset.stores import NotRead, Store
from ..dataset.stores.within import store_within
from ..errors import FeatxError, InputError, printable
from ..storage import files
from . import formats

__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "REASONS",
    "RESIZE",
    "RULES",
    "Rejected",
    "SkippedImage",
    "UprightImage",
    "check_bits",
    "check_size",
    "decode",
    "fetch",
    "image_of",
    "load",
    "make_upright",
    "read",
    "resize_upright",
]

RULES = 1
RESIZE = ("squash", "crop")

#: Bits of a value in a 16-bit image: all, or as few as cameras have.
BITS = range(9, 17)
#: An image of 16 bits whose values stay below this is nearly black.
_DARK = 1 << 12
# Rows of a transparent image that are laid over white at a time.
_STRIP = 256

#: Images with more pixels are refused from their header (Pillow's own limit for an error).
MAX_PIXELS = 178_956_970
#: Files with more bytes are refused before they are read.
MAX_BYTES = 256 << 20

#: Every reason for which an image is skipped, and what it means.
REASONS = {
    "empty": "the file has no bytes",
    "truncated": "the image's data ends early or is damaged",
    "not_image": "the content is not an image",
    "too_large": "the image has more pixels or bytes than are decoded",
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


class SkippedImage(NamedTuple):
    """An image that cannot be used: its path, a key of `REASONS`, and a sentence about it."""

    path: str
    reason: str
    detail: str


@dataclass(frozen=True, eq=False)
class UprightImage:
    """An upright image at the trunk's size.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (size, size, 3)
        RGB.
    width, height : int
        Size of the upright original, in pixels.
    is_dark : bool
        Whether it has 16 bits and is nearly black, as 12-bit data are.
    """

    pixels: np.ndarray
    width: int
    height: int
    is_dark: bool = False


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
                raise Rejected(
                    "too_large", f"{status.st_size:,} bytes, and {MAX_BYTES:,} are the most"
                )
            data = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        within = store_within(path)
        if within:
            return fetch(*within)
        is_gone = isinstance(error, FileNotFoundError)
        raise Rejected(*(("vanished",) if is_gone else ("unreadable", error.strerror))) from error
    except OSError as error:
        raise Rejected("unreadable", error.strerror or str(error)) from error
    except ValueError as error:  # NUL, or half of a surrogate pair
        raise Rejected("unreadable", f"no file can have this name: {error}") from error
    stamp = files.stamp(status)
    is_settled = max(stamp.modified, stamp.changed) < begun - _SETTLED
    return File(check_size(data), stamp if is_settled else None)


def fetch(store: Store, path: str) -> File:
    """Return the bytes of an image from what gives them, and the stamp of what holds it.

    Raises
    ------
    Rejected
        ``vanished``, ``unreadable``, ``too_large``, ``empty``.
    StorageError, CorruptError
        When nothing can be read any more; see `Store.read`.
    """
    stamp = store.stamp(path)
    try:
        data = store.read(path, MAX_BYTES)
    except NotRead as error:
        raise Rejected(error.reason, error.detail) from error
    return File(check_size(data), stamp)


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


def check_bits(bits: int) -> None:
    """Raise an `InputError` when values of 16-bit images cannot have this many bits."""
    if bits not in BITS:
        raise InputError(f"bits is {bits}. Expected {BITS[0]} to {BITS[-1]}.")


def load(
    path: str | os.PathLike[str], size: int, resize: str = "crop", bits: int = 16
) -> UprightImage:
    """Read and decode an image file; see `decode`."""
    return decode(read(Path(path)).data, size, resize, bits)


def image_of(pixels: np.ndarray) -> Image.Image:
    """Return an image that is decoded already as one of Pillow's.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width), (height, width, 1), 3 or 4 channels
        An upright image of any size: grey, RGB, or RGBA.

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
    return Image.fromarray(pixels)


def make_upright(image: Image.Image, bits: int = 16) -> tuple[Image.Image, bool]:
    """Return one of Pillow's images upright and RGB, and whether it is dark; see `UprightImage`.

    Raises
    ------
    InputError
        When it has no pixels.
    Rejected
        ``unsupported``, ``truncated``.
    """
    if not image.width * image.height:
        raise InputError(f"An image of {image.width} × {image.height} pixels has nothing to see.")
    with _reasons(b""):
        return _upright(image, bits)


def resize_upright(image: Image.Image, size: int, resize: str) -> np.ndarray:
    """Return an upright RGB image at (size, size), uint8 (size, size, 3); see `decode`."""
    box = None
    if resize == "crop":
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        box = (left, top, left + side, top + side)
    return np.array(image.resize((size, size), Image.Resampling.BILINEAR, box=box))


def decode(data: bytes, size: int, resize: str = "crop", bits: int = 16) -> UprightImage:
    """Decode an image and bring it to (size, size), upright and RGB, by the rules of this module.

    Parameters
    ----------
    data : bytes
    size : int
        Pixels a side.
    resize : {"squash", "crop"}
    bits : int
        Bits of the values in images of 16 bits: 12 for many microscopes and X-ray detectors.

    Raises
    ------
    Rejected
        ``not_image``, ``unsupported``, ``too_large``, ``truncated``.
    """
    with _reasons(data), formats.open_image(data) as image:
        if image.width * image.height > MAX_PIXELS:
            raise Rejected(
                "too_large",
                f"{image.width} × {image.height} pixels, and {MAX_PIXELS:,} are the most",
            )
        width, height = image.size
        if _orientation(image) >= 5:
            width, height = height, width
        if image.format == "PNG":
            _check_png(data)
        image.draft(None, (2 * size, 2 * size))
        image.load()
        upright, is_dark = _upright(image, bits)
        # A draft is smaller than the original, whose size is what counts.
        return UprightImage(resize_upright(upright, size, resize), width, height, is_dark)


def _upright(image: Image.Image, bits: int) -> tuple[Image.Image, bool]:
    orientation = _orientation(image)
    upright = image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image
    return _as_rgb(upright, formats.bits_of(image, bits), formats.is_negative(image))


@contextmanager
def _reasons(data: bytes) -> Iterator[None]:
    """Give Pillow's many errors their names."""
    try:
        yield
    except Image.DecompressionBombError as error:
        raise Rejected("too_large", str(error)) from error
    except UnidentifiedImageError as error:
        raise Rejected(*formats.why_unidentified(data)) from error
    except (Rejected, MemoryError):
        raise
    except Exception as error:
        # Decoders raise OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error ...
        reason, detail = formats.why_damaged(data)
        if reason == "truncated":
            detail = f"{REASONS[reason]} ({printable(error)[:200]})"
        raise Rejected(reason, detail) from error


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


def _as_rgb(
    image: Image.Image, bits: int = 16, is_negative: bool = False
) -> tuple[Image.Image, bool]:
    """Return an image as RGB, and whether it has 16 bits and is nearly black."""
    if image.mode in ("F", "LAB", "HSV"):
        kinds = {"F": "floating-point pixels", "LAB": "CIE Lab colours", "HSV": "HSV colours"}
        raise Rejected("unsupported", f"{kinds[image.mode]}, which have no agreed range")
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise Rejected("unsupported", "32-bit pixels beyond 16 bits")
        is_dark = bits == 16 and not is_negative and 0 < values.max() < _DARK
        most = (1 << bits) - 1
        values = np.minimum(values.astype(np.uint32), most)
        grey = ((values * 255 + most // 2) // most).astype(np.uint8)
        grey = 255 - grey if is_negative else grey
        if isinstance(image.info.get("transparency"), int):
            grey[np.asarray(image) == image.info["transparency"]] = 255
        return Image.fromarray(grey).convert("RGB"), is_dark
    if image.has_transparency_data:
        return _over_white(image), False
    return image if image.mode == "RGB" else image.convert("RGB"), False


def _over_white(image: Image.Image) -> Image.Image:
    """Return a transparent image laid over white, strip by strip, for the sake of memory."""
    rgb = Image.new("RGB", image.size)
    for top in range(0, image.height, _STRIP):
        box = (0, top, image.width, min(top + _STRIP, image.height))
        above = image.crop(box).convert("RGBA")
        white = Image.new("RGBA", above.size, (255, 255, 255, 255))
        rgb.paste(Image.alpha_composite(white, above).convert("RGB"), box)
    return rgb
