"""The images of a report: thumbnails of all, and where a classifier looked in some."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from ..cache.file import Cache
from ..dataset import splits
from ..model.model import Model
from ..progress import Progress
from .evidence import Evidence, find_evidence
from .shown import Shown
from .thumbnails import encode, read_thumbnails

__all__ = ["Pictures", "draw_pictures", "places_of"]

#: Images at most → pixels a side, and quality of the WebP files.
_SIDES = ((400, 176, 60), (1500, 128, 50), (5000, 80, 40))
_MOST = _SIDES[-1][0]


@dataclass(frozen=True, eq=False)
class Pictures:
    """Images as they stand in a page.

    Attributes
    ----------
    thumbnails : list of str
        A WebP file in base64 for each image; "" for one that is not shown.
    evidence : dict of int to str
        Image → a data URI of where a classifier looked.
    words : str
        What that is, in words; "" without any.
    missing : int
        Images whose files are gone or damaged.
    """

    thumbnails: list[str]
    evidence: Mapping[int, str] = field(default_factory=dict)
    words: str = ""
    missing: int = 0


def draw_pictures(
    model: Model,
    cache: Cache,
    shown: Shown,
    most: int,
    progress: Progress | None = None,
) -> Pictures:
    """Read the image files and draw what the page needs of them.

    Of more than 5,000 images, those that cards show have a thumbnail, and some of the rest, evenly.

    Parameters
    ----------
    model : Model
    cache : Cache
    shown : Shown
    most : int
        Images at most in each list.
    progress : callable, optional
        See `progress.Progress`.
    """
    places = places_of(cache, shown.paths)
    count = len(places)
    side, quality = next((row[1:] for row in _SIDES if count <= row[0]), _SIDES[-1][1:])
    carded = shown.carded(most)
    kept = np.arange(count)
    if count > _MOST:
        even = np.linspace(0, count - 1, max(_MOST - len(carded), 1)).astype(int)
        kept = np.unique(np.concatenate([carded, even]))
    paths = [cache.catalog.file(places[index]) for index in kept]
    digests = cache.digests[places[kept]]
    resize = model.fingerprint.trunk.resize
    reads = read_thumbnails(paths, digests, side, resize, progress=progress)
    thumbnails, missing, pixels = [""] * count, 0, {}
    for index, image in zip(kept.tolist(), reads, strict=True):
        if image is None:
            missing += 1
            continue
        thumbnails[index] = base64.b64encode(encode(image, quality)).decode()
        if index in carded and index < len(shown):
            pixels[index] = image
    evidence, words = _evidence(model, cache, shown, places, pixels, quality)
    return Pictures(thumbnails, evidence, words, missing)


def places_of(cache: Cache, paths: Sequence[str]) -> np.ndarray:
    """Return the index in a cache of each image, int (n,)."""
    at = {str(path): index for index, path in enumerate(cache.catalog.paths)}
    return np.array([at[path] for path in paths], np.int64)


def _evidence(
    model: Model,
    cache: Cache,
    shown: Shown,
    places: np.ndarray,
    pixels: Mapping[int, np.ndarray],
    quality: int,
) -> tuple[dict[int, str], str]:
    """Return where a linear classifier looked in some of the images, and what that is in words."""
    if cache.fingerprint.also:
        return {}, _SEVERAL
    if cache.fingerprint.keep == "pooled":
        return {}, _NO_POSITIONS
    trained = set(model.trained_on)
    known = np.flatnonzero([digest in trained for digest in cache.digests])
    known = known[cache.labels[known] >= 0]
    units = splits.leakage_groups(cache.catalog, cache.digests)
    found = find_evidence(model, cache, known, units)
    if found is None or not pixels:
        return {}, ""
    predicted = np.concatenate([part.predicted for part in shown.parts])
    numbers = sorted(pixels, key=lambda number: places[number])  # runs are read as one slice
    blocks = cache.blocks(places[numbers], 0)
    features = np.concatenate([some.features[:, 0] for _, some in blocks])
    maps = found.maps(features, predicted[numbers].tolist())
    drawn = {
        number: _overlaid(pixels[number], one, quality)
        for number, one in zip(numbers, maps, strict=True)
    }
    return drawn, _evidence_words(found)


_SEVERAL = (
    "Where a classifier looked is not shown: the model sees images by several networks, and each "
    "looks by itself."
)
_NO_POSITIONS = (
    "Where a classifier looked is not shown: the cache keeps the mean and maximum of the features, "
    "and not their positions. Extract the images again without --keep pooled to see it."
)


def _evidence_words(found: Evidence) -> str:
    start = "Beside each image: which positions speak for the predicted class. "
    if found.is_of_model:
        return start + "The map is exact: the positions add up to the score of the class."
    return start + (
        f"The model itself sees no positions one by one, so this is exact for another classifier, "
        f"{found.head} on avg, fitted on the same images: it tells where such features are, not "
        "what the model thought."
    )


def _overlaid(pixels: np.ndarray, positions: np.ndarray, quality: int) -> str:
    """Return an image in grey with what speaks for the class in colour, as a data URI."""
    strength = np.maximum(positions, 0)
    strength = (strength / max(float(strength.max()), 1e-12)).astype(np.float32)
    side = pixels.shape[0]
    smooth = np.asarray(Image.fromarray(strength).resize((side, side), Image.Resampling.BICUBIC))
    alpha = np.clip(smooth, 0, 1)[..., np.newaxis] * 0.75
    grey = np.repeat(pixels.mean(axis=2, keepdims=True), 3, axis=2)
    warm = np.array([255.0, 170.0, 0.0])
    mixed = (1 - alpha) * grey + alpha * (0.55 * warm + 0.45 * pixels)
    data = encode(np.clip(mixed, 0, 255).astype(np.uint8), quality)
    return f"data:image/webp;base64,{base64.b64encode(data).decode()}"
