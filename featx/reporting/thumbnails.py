"""Small versions of image files, as the network sees them: cropped to a square, upright."""

import contextlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ..images.reader import Reader
from ..images.sandbox import Job
from ..progress import Progress, ignore_progress

__all__ = ["encode", "read_thumbnails"]

_AHEAD = 64


def read_thumbnails(
    files: Sequence[Path],
    digests: Sequence[str] | np.ndarray,
    side: int,
    resize: str = "crop",
    *,
    progress: Progress | None = None,
) -> Iterator[np.ndarray | None]:
    """Yield images in order, small; None for one whose file is gone, damaged or another one now.

    They are decoded in a process of their own, with limits: see `images.sandbox`.

    Parameters
    ----------
    files : sequence of Path
    digests : sequence of str
        SHA-256 of each file as it was judged: no other picture is shown in its place.
    side : int
        Pixels a side.
    resize : {"crop", "squash"}
        How an image becomes square.
    progress : callable, optional
        See `progress.Progress`.

    Yields
    ------
    ndarray of uint8, shape (side, side, 3), or None
    """
    told = progress or ignore_progress
    told(0, len(files))
    with contextlib.closing(Reader(Job(side, resize)).ahead(files, _AHEAD)) as reads:
        for done, (read, digest) in enumerate(zip(reads, digests, strict=True), 1):
            yield None if read.reason or read.digest != digest else read.pixels[0]
            told(done, len(files))


def encode(pixels: np.ndarray, quality: int) -> bytes:
    """Return an image as the bytes of a WebP file.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
    quality : int
        0 to 100.
    """
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "WEBP", quality=quality, method=4)
    return written.getvalue()
