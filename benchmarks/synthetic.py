"""Caches of noisy classes, made without a network."""

from pathlib import Path

import numpy as np

from featx.cache.parts import Parts
from featx.cache.rows import CacheRows
from featx.cache.writer import assemble
from featx.dataset.catalog import Catalog
from featx.network.activations import Activations
from featx.network.fingerprint import Fingerprint, TrunkFingerprint
from featx.network.networks import get_network
from featx.storage.files import digest

__all__ = ["synthetic"]

_PART = 256


def synthetic(
    out: Path, images: int, classes: int, *, size: int = 224, pooled: bool = True
) -> None:
    """Write a cache of images of some classes.

    Parameters
    ----------
    out : Path
    images, classes : int
    size : int
        Pixels a side: 32 gives features of 1×1 positions, 224 of 7×7.
    pooled : bool
        Whether there are layer pools.
    """
    random = np.random.default_rng(0)
    labels = np.arange(images, dtype=np.int32) % classes
    trunk = TrunkFingerprint("0" * 64, "torch", "block5_pool", size, "crop")
    layers = get_network("vgg16").pooled if pooled else ()
    made = Fingerprint(trunk, 0, "", 0, "float16", "float32", layers=layers)
    centres = random.exponential(1.0, (classes, 1, 1, 512)) ** 2
    means = random.exponential(1.0, (classes, made.pooled.shape[1]))
    digests = np.array([digest(str(n).encode()) for n in range(images)], object)
    parts, side = Parts(out), np.array([size, size])
    for start in range(0, images, _PART):
        own = labels[start : start + _PART]
        noise = random.exponential(1.0, (len(own), *trunk.shape)) ** 2
        features = (0.3 * centres[own] + 0.7) * noise * (random.random(noise.shape) < 0.2)
        pools = (0.3 * means[own] + 0.7) * random.exponential(1.0, (len(own), means.shape[1]))
        found = Activations(
            features[:, np.newaxis].astype(np.float16),
            pools[:, np.newaxis, np.newaxis].astype(np.float16),
        )
        parts.write(found, digests[start : start + _PART], [tuple(side)] * len(own), made)
    empty = np.full(images, "", object)
    names = tuple(f"class {n}" for n in range(classes))
    paths = np.array([f"{n:06d}.png" for n in range(images)], object)
    catalog = Catalog(Path(), paths, labels, empty, empty, names)
    rows = CacheRows(catalog, digests, np.tile(side, (images, 1)).astype(np.int32))
    assemble(out, rows, [], [], made, parts=parts, old=None)
    parts.remove()
