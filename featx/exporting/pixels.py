"""The images that an exported file is run on before it is written."""

import contextlib
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..cache.file import Cache
from ..dataset.catalog import Catalog
from ..dataset.scan import as_catalog
from ..errors import FeatxError, InputError, printable
from ..images.listed import read_ahead
from ..images.reader import Reader
from ..images.sandbox import Job
from ..model.model import Model

__all__ = ["COUNT", "CheckImages", "find_images"]

log = logging.getLogger("featx")

#: Images; as many as the trunk takes at a time.
COUNT = 16
_MORE = 3  # times as many files are tried, where some are gone


@dataclass(frozen=True, eq=False)
class CheckImages:
    """Images as a model sees them.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (n, size, size, 3)
    source : str
        Where they are from, in words.
    """

    pixels: np.ndarray
    source: str


def find_images(
    model: Model, given: str | os.PathLike[str] | None = None, count: int = COUNT
) -> CheckImages:
    """Return images to check an export of a model with.

    They are those that are given. Without, they are images of the cache that the model was fitted
    on, where it and their files are still there: those that the model was not trained on first.
    Without these, they are generated.

    Parameters
    ----------
    model : Model
    given : path, optional
        A folder, a manifest or an image.
    count : int
        How many images, at most.

    Raises
    ------
    InputError
        When what is given has no image that can be read.
    """
    if given is not None:
        listed = as_catalog(given, labelled=False)
        found = list(_read(model, listed, _evenly(np.arange(len(listed)), _MORE * count), count))
        if not found:
            raise InputError(
                f"No image of {printable(given)} can be read, so the file cannot be checked. Give "
                "other images."
            )
        return CheckImages(np.stack(found), f"images of {printable(given)}")
    kept = model.report.get("train", {}).get("features", "")
    cache = Path(kept if isinstance(kept, str) else kept[0])
    try:
        found = _from_cache(model, cache, count)
    except FeatxError as error:
        log.debug("No images of the cache: %s", error)
        found = []
    if found:
        return CheckImages(np.stack(found), f"images of {printable(cache)}")
    return CheckImages(_generated(model.fingerprint.trunk.size, count), "generated images")


def _from_cache(model: Model, path: Path, count: int) -> list[np.ndarray]:
    if not Cache.is_cache(path):
        return []
    with Cache.open(path) as cache:
        trained = np.isin(cache.digests, model.trained_on)
        some = [_evenly(np.flatnonzero(kind), _MORE * count) for kind in (~trained, trained)]
        chosen = np.concatenate(some)[: _MORE * count]
        return list(_read(model, cache.catalog, chosen, count, cache.digests[chosen]))


def _evenly(places: np.ndarray, most: int) -> np.ndarray:
    """Return at most so many of some places, from everywhere among them, in a mixed order.

    Images of a class stand together, and the first 16 should be of all.
    """
    some = places[np.unique(np.linspace(0, len(places) - 1, min(most, len(places))).astype(int))]
    return np.random.default_rng(0).permutation(some)


def _read(
    model: Model, listed: Catalog, places: np.ndarray, count: int, digests: Iterable[str] = ()
) -> Iterator[np.ndarray]:
    """Yield the images that can be read and are still what the digests say; so many at most."""
    trunk, expected = model.fingerprint.trunk, list(digests)
    reader = Reader(Job(trunk.size, trunk.resize, bits=trunk.bits))
    with contextlib.closing(read_ahead(listed, places.tolist(), reader, COUNT)) as reads:
        for number, read in enumerate(reads):
            if read.reason or (expected and read.digest != expected[number]):
                continue
            yield read.pixels[0]
            count -= 1
            if not count:
                return


def _generated(size: int, count: int) -> np.ndarray:
    """Return images with coarse and fine structure, uint8 (n, size, size, 3).

    Each is a sum of waves from a few a side to many, with colours of their own, and some noise.
    """
    random = np.random.default_rng(0)
    y, x = np.mgrid[0 : 1 : 1j * size, 0 : 1 : 1j * size]
    images = np.empty((count, size, size, 3))
    for image in images:
        image[:] = random.uniform(60, 190, 3)
        for waves in (1, 2, 5, 11, 23):
            angle, phase = random.uniform(0, 2 * np.pi, 2)
            ridge = np.sin(2 * np.pi * waves * (x * np.cos(angle) + y * np.sin(angle)) + phase)
            image += ridge[..., np.newaxis] * random.normal(0, 40 / np.sqrt(waves), 3)
        image += random.normal(0, 4, image.shape)
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)
