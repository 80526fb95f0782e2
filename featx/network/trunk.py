"""VGG16 from pixels to the cut, frozen: batches of images become features."""

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from .. import backend
from ..errors import InputError
from ..images.reader import Read
from .fingerprint import TrunkFingerprint
from .runtime import compile_network
from .weights import Weights

__all__ = ["BATCH", "Trunk"]

#: Images in a batch. Always as many: the last bits of features depend on it.
BATCH = 16


class Trunk:
    """The frozen network. Nothing is loaded before the first call of `features`.

    Parameters
    ----------
    weights : Weights
    fingerprint : TrunkFingerprint
    precision : {"float32", "bfloat16"}
        Precision of the network.
    dtype : {"float16", "float32"}
        Data type of the features.
    batch : int
        Images in a batch.
    runtime : {"tensorflow", "winograd", "openvino"}
        The library that computes the network.
    """

    def __init__(
        self,
        weights: Weights,
        fingerprint: TrunkFingerprint,
        *,
        precision: str = "float32",
        dtype: str = "float16",
        batch: int = BATCH,
        runtime: str = "tensorflow",
    ) -> None:
        self.weights = weights
        self.fingerprint = fingerprint
        self.precision = precision
        self.dtype = dtype
        self.batch = batch
        self.runtime = runtime

    def __getstate__(self) -> dict[str, Any]:
        """Leave the compiled network out of a pickle: it is compiled again where it is needed."""
        return {name: value for name, value in vars(self).items() if name != "_network"}

    @functools.cached_property
    def _network(self) -> Callable[[np.ndarray], np.ndarray]:
        return compile_network(
            self.runtime, self.weights.arrays(), self.fingerprint, self.precision, self.batch
        )

    def stream(
        self,
        reads: Iterable[Read],
        together: int,
        advance: Callable[[int, int], None] | None = None,
    ) -> Iterator[tuple[list[Read], np.ndarray]]:
        """Yield the images of a stream that have pixels, with their features, some at a time.

        The rows of an image are those of its copies too; rows of images that are together fill
        batches of one size, and the last batch is padded.

        Parameters
        ----------
        reads : iterable of Read
            Images without pixels are passed over.
        together : int
            How many images at a time, at most.
        advance : callable, optional
            Called after each batch with the number of its rows, and of those that wait.

        Yields
        ------
        (list of Read, ndarray of shape (n, 1 + copies, *fingerprint.shape))
        """
        pending: list[Read] = []
        for read in reads:
            if len(read.pixels):
                pending.append(read)
            if len(pending) == together:
                yield pending, self._features_of(pending, advance)
                pending = []
        if pending:
            yield pending, self._features_of(pending, advance)

    def _features_of(
        self, images: list[Read], advance: Callable[[int, int], None] | None
    ) -> np.ndarray:
        pixels = np.concatenate([image.pixels for image in images])
        found = np.empty((len(pixels), *self.fingerprint.shape), self.dtype)
        for start in range(0, len(pixels), self.batch):
            stop = min(start + self.batch, len(pixels))
            found[start:stop] = self.features(pixels[start:stop])
            if advance:
                advance(stop - start, len(pixels) - stop)
        return found.reshape(len(images), -1, *self.fingerprint.shape)

    @backend.own_settings()
    def features(self, pixels: np.ndarray) -> np.ndarray:
        """Return the features of images at the cut.

        Parameters
        ----------
        pixels : ndarray of uint8, shape (n, size, size, 3)
            Upright RGB, as `decode.decode` makes it. Any n; the last batch is padded.

        Returns
        -------
        ndarray of float16 or float32, shape (n, *fingerprint.shape)
            An image whose features are not finite (only odd weights do that) has none finite.

        Raises
        ------
        CorruptError
            When the weights are not VGG16's.
        InputError
            When features are too large for float16, or the runtime lacks the precision here.
        """
        found = np.empty((len(pixels), *self.fingerprint.shape), self.dtype)
        for start in range(0, len(pixels), self.batch):
            block = pixels[start : start + self.batch]
            padding = self.batch - len(block)
            if padding:
                block = np.concatenate([block, np.zeros((padding, *block.shape[1:]), np.uint8)])
            out = self._network(block)[: self.batch - padding]
            with np.errstate(over="ignore"):  # told below
                kept = found[start : start + len(out)] = out.astype(self.dtype)
            finite, fits = (np.isfinite(some).all(axis=(1, 2, 3)) for some in (out, kept))
            if (finite & ~fits).any():
                raise InputError(
                    f"Features at {self.fingerprint.cut} are beyond float16's 65,504. "
                    "Use --dtype float32."
                )
        return found
