"""Formats of images: how one is opened, and why one of them cannot be decoded."""

import importlib.util
import io
import threading
from typing import Literal

from PIL import Image, TiffImagePlugin

__all__ = [
    "DECODED",
    "bits_of",
    "is_heif",
    "is_negative",
    "open_image",
    "why_damaged",
    "why_unidentified",
]

#: Formats that are decoded, by Pillow's names; HEIF needs the package pi-heif.
DECODED = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")

_SAVE = "save it as JPEG or PNG first"

# Offset, bytes, name. People have files of these kinds among their photographs.
_NOT_DECODED = (
    (0, b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"8BPS", "Photoshop"),
    (0, b"%PDF", "PDF"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"SIMPLE  =", "FITS"),
    (128, b"DICM", "DICOM"),
    (0, b"FUJIFILMCCD-RAW", "a camera's raw format"),
    (0, b"<svg", "SVG"),
    (4, b"ftypcrx ", "a camera's raw format"),
    (4, b"ftyp", "a video, or an image in a container that is not known"),
    (0, b"P5\n", "PGM"),
    (0, b"P6\n", "PPM"),
)
_HEIF = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
_DECODED_STARTS = (b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a")
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# Tags of TIFF 6.0.
_BITS, _PHOTOMETRIC, _PLANAR = 258, 262, 284
# Pillow decides by a variable of a module which of its two TIFF decoders opens a file.
_LIBTIFF = threading.Lock()
# Frames of a JPEG that Pillow's decoder has: baseline, extended and progressive, Huffman-coded.
_FRAMES = (0xC0, 0xC1, 0xC2)


def is_heif(data: bytes) -> bool:
    """Tell whether bytes are an image of the HEIF family, such as a phone's HEIC."""
    return data[4:8] == b"ftyp" and data[8:12] in _HEIF


def why_unidentified(data: bytes) -> tuple[str, str]:
    """Return the reason, and a sentence about it, for bytes that Pillow does not take for an image.

    Examples
    --------
    >>> why_unidentified(b"<html>")[0], why_unidentified(b"8BPS")
    ('not_image', ('unsupported', 'Photoshop: save it as JPEG or PNG first'))
    """
    if data.startswith(b"\xff\xd8"):
        return _why_jpeg(data)
    if is_heif(data):
        if importlib.util.find_spec("pi_heif"):
            return "truncated", f"a HEIC that is damaged or of a rare kind: {_SAVE}"
        return "unsupported", (
            "HEIC needs one more package (pip install 'featx[heif]'); or save it as JPEG or PNG "
            "first"
        )
    if data[4:12] in (b"ftypavif", b"ftypavis"):
        return "truncated", f"an AVIF that is damaged or of a rare kind: {_SAVE}"
    for at, mark, name in _NOT_DECODED:
        if data[at : at + len(mark)] == mark:
            return "unsupported", f"{name}: {_SAVE}"
    if data.startswith(_TIFF) and _folder_is_there(data):
        return "unsupported", f"a TIFF of a kind that is not decoded: {_SAVE}"
    is_webp = data.startswith(b"RIFF") and data[8:12] in (b"WEBP", b"")
    is_bmp = data.startswith(b"BM") and _is_bmp(data)
    if data.startswith((*_DECODED_STARTS, *_TIFF)) or is_webp or is_bmp:
        return "truncated", ""
    return "not_image", ""


def why_damaged(data: bytes) -> tuple[str, str]:
    """Return the reason for an image that was opened and then could not be decoded."""
    if data.startswith(b"\xff\xd8"):
        return _why_jpeg(data)
    if data.startswith(b"BM") and not _is_bmp(data):
        return "not_image", ""
    return "truncated", ""


def _is_bmp(data: bytes) -> bool:
    return data[6:10] == bytes(4)  # reserved in its header


def _folder_is_there(data: bytes) -> bool:
    """Tell whether the first folder of a TIFF, which says what kind it is, is in the file."""
    order: Literal["little", "big"] = "little" if data.startswith(b"II") else "big"
    return 8 <= int.from_bytes(data[4:8], order) < len(data) or data[2:4] in (b"+\0", b"\0+")


def _why_jpeg(data: bytes) -> tuple[str, str]:
    """Look for the frame header of a JPEG (ITU-T T.81, B.1.1.3), which says what is special."""
    at = 2
    while at + 5 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            bits = data[at + 4]
            if bits != 8:
                return "unsupported", f"a JPEG of {bits} bits: {_SAVE}"
            if marker not in _FRAMES:
                return "unsupported", f"a lossless or arithmetic JPEG: {_SAVE}"
            break
        if marker == 0xF7:
            return "unsupported", f"JPEG-LS: {_SAVE}"
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return "truncated", ""


# Opening ------------------------------------------------------------------------------------


def open_image(data: bytes) -> Image.Image:
    """Open an image with the decoder that reads it right."""
    names: tuple[str, ...] = DECODED
    if is_heif(data):
        try:
            import pi_heif  # type: ignore[import-untyped]
        except ImportError:
            pass
        else:
            pi_heif.register_heif_opener()
            names = (*names, "HEIF")
    image = Image.open(io.BytesIO(data), formats=names)
    if image.format == "TIFF" and _tag(image, _PLANAR) == 2 and _tag(image, _BITS) == 16:
        # Pillow's own decoder takes the planes of 16 bits for planes of 8.
        with _LIBTIFF:
            before, TiffImagePlugin.READ_LIBTIFF = TiffImagePlugin.READ_LIBTIFF, True
            try:
                image = Image.open(io.BytesIO(data), formats=names)
            finally:
                TiffImagePlugin.READ_LIBTIFF = before
    return image


def _tag(image: Image.Image, number: int) -> int:
    """Return a tag of a TIFF; of several values, the first."""
    value = image.tag_v2.get(number, 1)  # type: ignore[attr-defined]
    return int(value[0] if isinstance(value, tuple) else value)


def bits_of(image: Image.Image, bits: int) -> int:
    """Return the bits of a value: those that a TIFF says, where these are fewer than 16."""
    if image.format == "TIFF" and image.mode.startswith("I") and 8 < _tag(image, _BITS) < 16:
        return _tag(image, _BITS)
    return bits


def is_negative(image: Image.Image) -> bool:
    """Tell whether 0 is white, which Pillow leaves as it is in images of more than 8 bits."""
    return image.format == "TIFF" and image.mode.startswith("I") and _tag(image, _PHOTOMETRIC) == 0
