"""What the network gives for images: features at the cut, and layer pools of every pass.

The layer pools of an image are, for each chosen layer, the mean and the maximum of each channel
over all positions. A pass is one way through the network: at one size, mirrored or not.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..errors import InputError, require_one_of
from .layers import INPUT, LAYERS, cut_shape

__all__ = ["Activations", "Pass", "PooledLayers"]


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
        Keys of `layers.LAYERS`, in the network's order; none by default.
    sizes : tuple of int
        Sides of the images in pixels. Features at the cut are those of the first.
    mirror : bool
        Whether each size has a second pass with the mirrored image.
    """

    names: tuple[str, ...] = ()
    sizes: tuple[int, ...] = (224,)
    mirror: bool = False

    def __post_init__(self) -> None:
        known = [name for name in LAYERS if name != INPUT]
        for name in self.names:
            require_one_of("layer", name, known)
        if list(self.names) != sorted(set(self.names), key=known.index):
            raise InputError(
                f"The layers are {', '.join(self.names)}. Expected each once, in the order of the "
                "network."
            )
        if len(set(self.sizes)) < len(self.sizes):
            raise InputError(f"The sizes are {', '.join(map(str, self.sizes))}, one of them twice.")
        for size in self.sizes:
            cut_shape("block5_pool", size)
        if not self.names and (self.mirror or len(self.sizes) > 1):
            raise InputError(
                "Further sizes and mirrored views are seen by layer pools only: name layers to "
                "pool, or leave the default."
            )

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
            width = 2 * LAYERS[name][1]
            found[name] = slice(start, start + width)
            start += width
        return found

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the pools of one image: (passes, columns)."""
        return len(self.passes), sum(2 * LAYERS[name][1] for name in self.names)


@dataclass(frozen=True, eq=False)
class Activations:
    """Features and layer pools of images, or of images with their copies.

    Attributes
    ----------
    features : ndarray, shape (..., height, width, channels)
        At the cut, of the first pass.
    pools : ndarray of float16, shape (..., passes, columns)
        See `PooledLayers`; without columns where no layer is pooled.
    """

    features: np.ndarray
    pools: np.ndarray

    def __len__(self) -> int:
        return len(self.features)

    def take(self, chosen: np.ndarray | slice) -> "Activations":
        """Return those of some images: positions or a mask over the first axis."""
        return Activations(self.features[chosen], self.pools[chosen])

    @property
    def originals(self) -> "Activations":
        """Those of images with copies, (n, 1 + copies, …), without the copies: (n, …)."""
        return Activations(self.features[:, 0], self.pools[:, 0])

    def flat(self) -> "Activations":
        """Return images with their copies, (n, 1 + copies, …), as single images one by one."""
        count = self.features.shape[0] * self.features.shape[1]
        return Activations(
            self.features.reshape(count, *self.features.shape[2:]),
            self.pools.reshape(count, *self.pools.shape[2:]),
        )

    def folded(self, each: int) -> "Activations":
        """Return single images as images with `each` − 1 copies; the reverse of `flat`."""
        count = len(self) // each
        return Activations(
            self.features.reshape(count, each, *self.features.shape[1:]),
            self.pools.reshape(count, each, *self.pools.shape[1:]),
        )

    @property
    def finite(self) -> np.ndarray:
        """Which images have only finite numbers, bool (images,)."""
        return np.array(
            [
                np.isfinite(features).all() and np.isfinite(pools).all()
                for features, pools in zip(self.features, self.pools, strict=True)
            ],
            bool,
        )

    @staticmethod
    def joined(some: "list[Activations]") -> "Activations":
        """Return several as one."""
        return Activations(
            np.concatenate([one.features for one in some]),
            np.concatenate([one.pools for one in some]),
        )
