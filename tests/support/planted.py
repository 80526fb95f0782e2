"""Smooth generated images, whose doubles can be told from others; a cache with other labels."""

import copy

import numpy as np
from PIL import Image

import featx


def picture(seed: int, hue: int) -> Image.Image:
    """Return coloured blobs with some grain, different for each seed."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (6, 8, 3)).astype(np.float64)
    coarse[..., hue] = 0.4 * coarse[..., hue] + 150
    blobs = Image.fromarray(coarse.astype(np.uint8)).resize((240, 180), Image.Resampling.BICUBIC)
    grain = random.normal(0, 12, (180, 240, 1))
    return Image.fromarray(np.clip(np.asarray(blobs) + grain, 0, 255).astype(np.uint8))


def relabelled(cache: featx.Cache, changes: dict[str, str]) -> featx.Cache:
    """Return a view of a cache in which some paths have other labels."""
    view = copy.copy(cache)
    vars(view).pop("_images", None)
    view.labels = cache.labels.copy()
    paths = cache.catalog.paths.tolist()
    for path, label in changes.items():
        view.labels[paths.index(path)] = cache.catalog.classes.index(label)
    return view
