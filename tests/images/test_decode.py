import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featx.errors import InputError
from featx.images import decode
from featx.images.decode import Rejected


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def quarters() -> Image.Image:
    """Return an image, red and green above, blue and white below."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:20, :30] = 255, 0, 0
    pixels[:20, 30:] = 0, 255, 0
    pixels[20:, :30] = 0, 0, 255
    pixels[20:, 30:] = 255, 255, 255
    return Image.fromarray(pixels)


def corners(data: bytes, resize: str = "squash") -> list[list[int]]:
    pixels = decode.decode(data, 32, resize).pixels
    assert pixels.shape == (32, 32, 3) and pixels.dtype == np.uint8
    return [pixels[y, x].tolist() for y in (4, 27) for x in (4, 27)]


RED, GREEN, BLUE, WHITE = [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "GIF", "TIFF", "JPEG"])
def test_formats(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "JPEG" else {}
    found = np.array(corners(encoded(quarters(), kind, **options)))
    assert np.abs(found - [RED, GREEN, BLUE, WHITE]).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int) -> None:
    turned = {
        1: lambda p: p, 2: np.fliplr, 3: lambda p: np.rot90(p, 2), 4: np.flipud,
        5: lambda p: p.transpose(1, 0, 2), 6: lambda p: np.rot90(p, 1),
        7: lambda p: np.rot90(p, 2).transpose(1, 0, 2), 8: lambda p: np.rot90(p, 3),
    }[orientation]  # fmt: skip
    stored = Image.fromarray(np.ascontiguousarray(turned(np.asarray(quarters()))))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(stored, "PNG", exif=exif)
    assert corners(data) == [RED, GREEN, BLUE, WHITE]
    decoded = decode.decode(data, 32)
    assert (decoded.width, decoded.height) == (60, 40)


def test_broken_exif_is_no_reason_to_skip() -> None:
    data = encoded(quarters(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    assert decode.decode(data, 32).width == 60


def test_transparency_is_laid_over_white() -> None:
    hidden = quarters().convert("RGBA")
    hidden.putalpha(Image.new("L", hidden.size, 0))
    assert corners(encoded(hidden)) == [WHITE] * 4
    palette = quarters().convert("P", palette=Image.Palette.ADAPTIVE)
    index = palette.getpixel((0, 0))
    assert corners(encoded(palette, transparency=index))[0] == WHITE
    assert corners(encoded(palette))[0] == RED
    grey = Image.new("LA", (40, 40), (0, 0))
    assert corners(encoded(grey)) == [WHITE] * 4


def test_16_bit_grey_is_scaled_and_not_clipped() -> None:
    values = np.full((40, 40), 32768, np.uint16)
    for kind in ("PNG", "TIFF"):
        assert corners(encoded(Image.fromarray(values), kind)) == [[128] * 3] * 4
    values[:] = 65535
    assert corners(encoded(Image.fromarray(values))) == [WHITE] * 4


def test_cmyk_and_one_bit() -> None:
    found = np.array(corners(encoded(quarters().convert("CMYK"), "JPEG", quality=100)))
    assert np.abs(found - [RED, GREEN, BLUE, WHITE]).max() <= 6
    assert corners(encoded(Image.new("1", (40, 40), 1))) == [WHITE] * 4


def test_crop_keeps_the_middle_square() -> None:
    pixels = np.zeros((40, 120, 3), np.uint8)
    pixels[:, 40:80] = 255
    data = encoded(Image.fromarray(pixels))
    assert (decode.decode(data, 32, "crop").pixels[:, 1:-1] == 255).all()
    assert not (decode.decode(data, 32, "squash").pixels[:, 1:-1] == 255).all()


def test_large_jpegs_are_decoded_small_with_little_difference() -> None:
    smooth = quarters().resize((1800, 1200), Image.Resampling.BICUBIC)
    data = encoded(smooth, "JPEG", quality=95)
    drafted = decode.decode(data, 32).pixels.astype(int)
    whole = Image.open(io.BytesIO(data)).resize((32, 32), Image.Resampling.BILINEAR)
    assert np.abs(drafted - np.asarray(whole, int)).mean() < 1


def test_first_frame_and_first_page() -> None:
    pages = [Image.new("RGB", (40, 40), color) for color in ("red", "blue")]
    for kind in ("GIF", "TIFF", "WEBP"):
        more = {"lossless": True} if kind == "WEBP" else {}
        data = encoded(pages[0], kind, save_all=True, append_images=pages[1:], **more)
        assert corners(data) == [RED] * 4


def bomb() -> bytes:
    """Return a PNG that says it has 30,000 × 30,000 pixels."""
    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
        + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    )  # fmt: skip


JPEG = encoded(Image.effect_noise((200, 200), 90), "JPEG")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"hello, world", "not_image"),
        (JPEG[: len(JPEG) // 2], "truncated"),
        (JPEG[:3], "truncated"),
        (encoded(quarters())[:-40], "truncated"),
        (encoded(quarters(), "GIF")[:60], "truncated"),
        (bomb(), "too_large"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "truncated"),
        (b"8BPS\0\x01" + bytes(40), "unsupported"),
        (encoded(Image.new("F", (9, 9), 0.5), "TIFF"), "unsupported"),
        (encoded(Image.new("I", (9, 9), 1 << 20), "TIFF"), "unsupported"),
        (encoded(quarters(), "PPM"), "unsupported"),
    ],
)
def test_reasons(data: bytes, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        decode.decode(data, 32)
    assert caught.value.reason == reason
    assert reason in decode.REASONS


def test_reasons_of_files(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "fifo")
    os.symlink(tmp_path / "loop", tmp_path / "loop")
    with open(tmp_path / "large", "wb") as file:
        file.truncate(decode.MAX_BYTES + 1)
    for name, reason in (
        ("empty", "empty"),
        ("missing", "vanished"),
        ("fifo", "unreadable"),
        ("loop", "unreadable"),
        ("large", "too_large"),
        (".", "unreadable"),
    ):
        with pytest.raises(Rejected) as caught:
            decode.read(tmp_path / name)
        assert caught.value.reason == reason, name


def test_arrays_are_images_too() -> None:
    pixels = np.asarray(quarters())
    upright, is_dark = decode.make_upright(decode.image_of(pixels))
    from_array = decode.resize_upright(upright, 32, "squash")
    assert not is_dark
    assert np.array_equal(from_array, decode.decode(encoded(quarters()), 32, "squash").pixels)
    for wrong in (pixels.astype(float), pixels[..., :2], pixels[:0], pixels[np.newaxis]):
        with pytest.raises(InputError, match=r"Expected uint8 of shape \(height, width, 3\)"):
            decode.image_of(wrong)
