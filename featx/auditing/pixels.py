"""What the pixels of image files tell, read once: a small grey thumbnail and a few statistics."""

import contextlib
from dataclasses import dataclass

import numpy as np

from ..dataset.catalog import Catalog
from ..images.reader import Reader
from ..images.sandbox import Job
from ..progress import Progress, ignore_progress

__all__ = ["THUMBNAIL", "Pixels", "correlation", "read_pixels"]

#: Pixels a side of the thumbnails that images are compared by.
THUMBNAIL = 32
_SIZE = 4 * THUMBNAIL  # blur cannot be seen on a thumbnail
_AHEAD = 64
_PAIRS = 4096
#: A thumbnail that varies less (grey levels, standard deviation) is flat, and correlates with all
#: that is as flat and about as bright.
_FLAT, _AS_BRIGHT = 1.0, 8.0


@dataclass(frozen=True, eq=False)
class Pixels:
    """What was read of the image files.

    Attributes
    ----------
    is_read : ndarray of bool, shape (n,)
        Whether the file is there and its bytes are those that the features are of.
    thumbnails : ndarray of uint8, shape (n, 32, 32)
        The whole image in grey, squashed.
    brightness : ndarray of float32, shape (n,)
        Mean grey level, 0 to 255; not a number where nothing was read, as in the following.
    contrast : ndarray of float32, shape (n,)
        Standard deviation of the grey levels, of 128 × 128 pixels.
    detail : ndarray of float32, shape (n,)
        Share of the contrast that is finer than 3 pixels of 128: near 0 in a blurred image, and
        near 1 in noise.
    """

    is_read: np.ndarray
    thumbnails: np.ndarray
    brightness: np.ndarray
    contrast: np.ndarray
    detail: np.ndarray

    @classmethod
    def unread(cls, count: int) -> "Pixels":
        """Return what is known of the pixels of `count` files that are not read: nothing."""
        return cls(
            np.zeros(count, bool),
            np.zeros((count, THUMBNAIL, THUMBNAIL), np.uint8),
            *(np.full(count, np.nan, np.float32) for _ in range(3)),
        )


def read_pixels(
    catalog: Catalog, digests: np.ndarray, images: np.ndarray, progress: Progress | None = None
) -> Pixels:
    """Read image files once; those that are gone, changed or damaged are left unread.

    Parameters
    ----------
    catalog : Catalog
    digests : ndarray of str, shape (all images,)
        SHA-256 of the files that the features are of.
    images : ndarray of int, shape (n,)
        Which images of the catalog.
    progress : callable, optional
        See `progress.Progress`.
    """
    told = progress or ignore_progress
    told(0, len(images), "reading")
    found = Pixels.unread(len(images))
    paths = map(catalog.file, images.tolist())
    with contextlib.closing(Reader(Job(_SIZE, "squash")).ahead(paths, _AHEAD)) as reads:
        for number, read in enumerate(reads):
            if not read.reason and read.digest == digests[images[number]]:
                grey = _grey(read.pixels[0])
                found.is_read[number] = True
                found.thumbnails[number] = np.rint(_thumbnail(grey))
                found.brightness[number] = grey.mean()
                found.contrast[number] = grey.std()
                found.detail[number] = _detail(grey)
            told(number + 1, len(images), "reading")
    return found


def correlation(
    thumbnails: np.ndarray, one: np.ndarray, two: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return how pairs of thumbnails correlate, and how one does with the other mirrored.

    Parameters
    ----------
    thumbnails : ndarray of uint8, shape (n, 32, 32)
    one, two : ndarray of int, shape (pairs,)
        Positions of the two of each pair.

    Returns
    -------
    (ndarray of float64, ndarray of float64), shapes (pairs,)
        Pearson's correlation of the pixels. Flat images have none: two of them count as 1 when
        they are about as bright, and as 0 otherwise.
    """
    straight, mirrored = np.empty(len(one)), np.empty(len(one))
    for start in range(0, len(one), _PAIRS):
        some = slice(start, start + _PAIRS)
        a, b = thumbnails[one[some]].astype(np.float32), thumbnails[two[some]].astype(np.float32)
        means = [block.mean(axis=(1, 2), keepdims=True) for block in (a, b)]
        a -= means[0]
        b -= means[1]
        spreads = [np.sqrt((block * block).mean(axis=(1, 2))) for block in (a, b)]
        are_flat = [spread < _FLAT for spread in spreads]
        as_bright = np.abs(means[0] - means[1])[:, 0, 0] < _AS_BRIGHT
        products = np.maximum(spreads[0] * spreads[1], 1e-9)
        for found, other in ((straight, b), (mirrored, b[:, :, ::-1])):
            values = np.einsum("pij,pij->p", a, other) / THUMBNAIL**2 / products
            values = np.where(are_flat[0] | are_flat[1], 0, values)
            found[some] = np.where(are_flat[0] & are_flat[1] & as_bright, 1, values)
    return straight, mirrored


def _grey(pixels: np.ndarray) -> np.ndarray:
    """Return luma (ITU-R BT.601), float32."""
    return pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)


def _thumbnail(grey: np.ndarray) -> np.ndarray:
    step = _SIZE // THUMBNAIL
    return grey.reshape(THUMBNAIL, step, THUMBNAIL, step).mean(axis=(1, 3))


def _detail(grey: np.ndarray) -> float:
    """Return the standard deviation of what a mean over 3 × 3 pixels takes away, as a share."""
    rows = grey[:-2] + grey[1:-1] + grey[2:]
    smooth = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9
    fine = (grey[1:-1, 1:-1] - smooth).std()
    return float(fine / max(float(grey.std()), 1e-6))
