"""What the network gives for images: features at the cut, and layer pools of every pass.

The layer pools of an image are, for each chosen layer, the mean and the maximum of each channel
over all positions. A pass is one way through the network: at one size, mirrored or not. In place of
the features at the cut, an image may have their mean and maximum alone, in float32, so that views
of them are the same to the last bit.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..errors import InputError, require_one_of
from .networks import DEFAULT, Network, get_network
from .steps import INPUT

__all__ = ["Activations", "Pass", "PooledLayers", "pool_features"]


class Pass(NamedTuple):
    """One way of an image through the network: its side in pixels, and whether it is mirrored."""

    size: int
    mirrored: bool = False

    def __str__(self) -> str:
        return f"{self.size}{' mirrored' if self.mirrored else ''}"


@dataclass(frozen=True)
class PooledLayers:
    """Which layers are pooled, and over which passes.

    Attributes
    ----------
    names : tuple of str
        Layers of the network, in its order; none by default.
    sizes : tuple of int
        Sides of the images in pixels. Features at the cut are those of the first.
    mirror : bool
        Whether each size has a second pass with the mirrored image.
    network : str
        A key of `networks.NETWORKS`; "file" where no layer is pooled.
    """

    names: tuple[str, ...] = ()
    sizes: tuple[int, ...] = (224,)
    mirror: bool = False
    network: str = DEFAULT

    def __post_init__(self) -> None:
        known = [name for name in self._row.cuts if name != INPUT] if self.names else []
        for name in self.names:
            require_one_of("layer", name, known)
        if list(self.names) != sorted(set(self.names), key=known.index):
            raise InputError(
                f"The layers are {', '.join(self.names)}. Expected each once, in the order of the "
                "network."
            )
        if len(set(self.sizes)) < len(self.sizes):
            raise InputError(f"The sizes are {', '.join(map(str, self.sizes))}, one of them twice.")
        for size in self.sizes if self.names else ():
            self._row.shape(self._row.last, size)
        if not self.names and (self.mirror or len(self.sizes) > 1):
            raise InputError(
                "Further sizes and mirrored views are seen by layer pools only: name layers to "
                "pool, or leave the default."
            )

    @property
    def _row(self) -> Network:
        return get_network(self.network)

    @property
    def passes(self) -> list[Pass]:
        """The passes, in the order of `Activations.pools`."""
        sides = (False, True) if self.mirror else (False,)
        return [Pass(size, mirrored) for size in self.sizes for mirrored in sides]

    @property
    def columns(self) -> dict[str, slice]:
        """The columns of each layer's pools: means of its channels, then maxima."""
        found, start = {}, 0
        for name in self.names:
            width = 2 * self._row.cuts[name][1]
            found[name] = slice(start, start + width)
            start += width
        return found

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the pools of one image: (passes, columns)."""
        return len(self.passes), sum(2 * self._row.cuts[name][1] for name in self.names)


def pool_features(features: np.ndarray) -> np.ndarray:
    """Return mean and maximum of each channel over the positions, side by side.

    Parameters
    ----------
    features : ndarray of float, shape (n, height, width, channels)

    Returns
    -------
    ndarray of float32, shape (n, 2 * channels)
    """
    exact = features.astype(np.float32)
    return np.concatenate([exact.mean(axis=(1, 2)), exact.max(axis=(1, 2))], axis=1)


@dataclass(frozen=True, eq=False)
class Activations:
    """Features and layer pools of images, or of images with their copies.

    Attributes
    ----------
    features : ndarray, shape (..., height, width, channels)
        At the cut, of the first pass; without channels where only their pools are there.
    pools : ndarray of float16, shape (..., passes, columns)
        See `PooledLayers`; without columns where no layer is pooled.
    cut_pools : ndarray of float32, shape (..., 2 * channels), optional
        In place of the features, what `pool_features` makes of them.
    also : tuple of Activations
        What further networks give for the same images.
    """

    features: np.ndarray
    pools: np.ndarray
    cut_pools: np.ndarray | None = None
    also: tuple["Activations", ...] = ()

    def __len__(self) -> int:
        return len(self.features)

    def _each(self, change: Callable[[np.ndarray], np.ndarray]) -> "Activations":
        cut_pools = None if self.cut_pools is None else change(self.cut_pools)
        also = tuple(one._each(change) for one in self.also)
        return Activations(change(self.features), change(self.pools), cut_pools, also)

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        pooled = 0 if self.cut_pools is None else self.cut_pools.nbytes
        own = self.features.nbytes + self.pools.nbytes + pooled
        return own + sum(one.nbytes for one in self.also)

    def take(self, chosen: np.ndarray | slice) -> "Activations":
        """Return those of some images: positions or a mask over the first axis."""
        return self._each(lambda some: some[chosen])

    @property
    def originals(self) -> "Activations":
        """Those of images with copies, (n, 1 + copies, …), without the copies: (n, …)."""
        return self._each(lambda some: some[:, 0])

    def flat(self) -> "Activations":
        """Return images with their copies, (n, 1 + copies, …), as single images one by one."""
        return self._each(lambda some: some.reshape(math.prod(some.shape[:2]), *some.shape[2:]))

    def folded(self, each: int) -> "Activations":
        """Return single images as images with `each` − 1 copies; the reverse of `flat`."""
        count = len(self) // each
        return self._each(lambda some: some.reshape(count, each, *some.shape[1:]))

    @property
    def finite(self) -> np.ndarray:
        """Which images have only finite numbers, bool (images,)."""
        kept = [self.features, self.pools]
        kept += [] if self.cut_pools is None else [self.cut_pools]
        found = np.array(
            [all(np.isfinite(one).all() for one in row) for row in zip(*kept, strict=True)], bool
        )
        return np.logical_and.reduce([found, *(one.finite for one in self.also)])

    @staticmethod
    def joined(some: "list[Activations]") -> "Activations":
        """Return several as one; all of them have the same."""
        pooled = [one.cut_pools for one in some if one.cut_pools is not None]
        return Activations(
            np.concatenate([one.features for one in some]),
            np.concatenate([one.pools for one in some]),
            np.concatenate(pooled) if pooled else None,
            tuple(
                Activations.joined(list(beside))
                for beside in zip(*(one.also for one in some), strict=True)
            ),
        )
