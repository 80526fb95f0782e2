"""Thirty-odd kinds of broken, renamed, huge and odd files, and what should come of each."""

import gzip
import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from featx.images.decode import MAX_BYTES

OK = "ok"


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def odd_contents() -> dict[str, tuple[bytes, str]]:
    """Return kinds of files: name → (bytes, the status that they should have)."""
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    photo = Image.fromarray(noise)
    jpeg, png = encoded(photo, "JPEG"), encoded(photo, "PNG")
    webp, gif = encoded(photo, "WEBP"), encoded(photo, "GIF")
    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    damaged = bytearray(png)
    damaged[len(png) // 2] ^= 255
    frames = {"save_all": True, "append_images": [photo.rotate(90)]}
    return {
        "empty.jpg": (b"", "empty"),
        "half.jpg": (jpeg[: len(jpeg) // 2], "truncated"),
        "half.png": (png[: len(png) // 2], "truncated"),
        "half.webp": (webp[: len(webp) // 2], "truncated"),
        "half.gif": (gif[: len(gif) // 2], "truncated"),
        "damaged.png": (bytes(damaged), "truncated"),
        "text.jpg": (b"not an image at all\n", "not_image"),
        "page.jpg": (b"<!DOCTYPE html><html><body>404</body></html>", "not_image"),
        "noise.png": (noise.tobytes(), "not_image"),
        "zeros.bmp": (bytes(2000), "not_image"),
        "drawing.png": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "unsupported"),
        "packed.png": (gzip.compress(png), "not_image"),
        "icon.png": (encoded(photo, "ICO"), "not_image"),
        "paper.jpg": (b"%PDF-1.7\n%\xe2\xe3\n", "unsupported"),
        "phone.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "truncated"),
        "layers.tif": (b"8BPS\0\x01" + bytes(100), "unsupported"),
        "next.jpg": (b"\0\0\0\x0cJXL \r\n\x87\n", "unsupported"),
        "float.tif": (encoded(Image.new("F", (9, 9), 0.5), "TIFF"), "unsupported"),
        "deep.tif": (encoded(Image.new("I", (9, 9), 99999), "TIFF"), "unsupported"),
        "lab.tif": (encoded(Image.new("LAB", (9, 9)), "TIFF"), "unsupported"),
        "bomb.png": (
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")),
            "too_large",
        ),
        "png.jpg": (png, OK),
        "jpeg.gif": (jpeg, OK),
        "tail.jpg": (jpeg + b"and more", OK),
        "exif.jpg": (encoded(photo, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"), OK),
        "print.jpg": (encoded(photo.convert("CMYK"), "JPEG"), OK),
        "grey16.png": (encoded(Image.fromarray(noise[..., 0].astype(np.uint16) * 257), "PNG"), OK),
        "palette.png": (encoded(photo.convert("P"), "PNG", transparency=0), OK),
        "clear.png": (encoded(photo.convert("RGBA"), "PNG"), OK),
        "line.bmp": (encoded(photo.convert("1"), "BMP"), OK),
        "moving.gif": (encoded(photo, "GIF", **frames), OK),
        "pages.tif": (encoded(photo, "TIFF", **frames), OK),
        "dot.png": (encoded(photo.crop((0, 0, 1, 1)), "PNG"), OK),
        "strip.png": (encoded(photo.resize((3000, 1)), "PNG"), OK),
        "=2+2.png": (png, OK),
        "+1.png": (png, OK),
        "-rf.png": (png, OK),
        "@sum.png": (png, OK),
        "'quoted', \"twice\".png": (png, OK),
        "a\nnew line.png": (png, OK),
        "\ttab\r.png": (png, OK),
        "\u202egnp.ynnuf.png": (png, OK),
        os.fsdecode(b"caf\xe9.png"): (png, OK),
        "n" * 251 + ".png": (png, OK),
        "日本語.png": (png, OK),
    }


def write_corpus(folder: Path) -> dict[str, str]:
    """Write every kind into a folder and return the status that each path should have."""
    folder.mkdir(parents=True)
    expected = {}
    for name, (data, status) in odd_contents().items():
        (folder / name).write_bytes(data)
        expected[name] = status
    with (folder / "huge.jpg").open("wb") as file:
        file.truncate(MAX_BYTES + 1)  # sparse: it takes no space
    expected["huge.jpg"] = "too_large"
    os.mkfifo(folder / "pipe.jpg")
    (folder / "device.jpg").symlink_to("/dev/zero")
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "memory.jpg").symlink_to("/proc/self/mem")
    for name in ("pipe.jpg", "device.jpg", "loop.jpg", "memory.jpg"):
        expected[name] = "unreadable"
    expected["gone.jpg"] = "vanished"
    return expected
