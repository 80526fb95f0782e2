"""The network, frozen: batches of images become features at the cut, and pools of layers."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import backend
from ..errors import IncompatibleError, InputError, StorageError, printable
from ..images.reader import Read
from ..progress import Progress
from .activations import Activations, pool_features
from .downloads import find_weights
from .fingerprint import Fingerprint
from .networks import FILE
from .own_weights import compile_own, find_own
from .ranges import known_ranges
from .runtime import Network, compile_network
from .weights import Weights, resolve_weights

__all__ = ["BATCH", "Trunk", "same_trunk"]

#: Images in a batch. Always as many: the last bits of features depend on it.
BATCH = 16


class Trunk:
    """The frozen network. Nothing is loaded before the first images.

    Parameters
    ----------
    weights : Weights
    fingerprint : Fingerprint
        What is computed, in which precision, by which runtime. Its copies play no part here.
    batch : int
        Images in a batch.
    also : sequence of Trunk
        The further networks of the fingerprint, in its order, each by itself.
    """

    def __init__(
        self,
        weights: Weights,
        fingerprint: Fingerprint,
        *,
        batch: int = BATCH,
        also: Sequence["Trunk"] = (),
    ) -> None:
        self.weights = weights
        self.fingerprint = fingerprint
        self.batch = batch
        self.also = tuple(also)
        if tuple(one.fingerprint for one in self.also) != fingerprint.also:
            raise AssertionError("the further networks are not those of the fingerprint")

    def __getstate__(self) -> dict[str, Any]:
        """Leave compiled networks out of a pickle: they are compiled again where needed."""
        return {name: value for name, value in vars(self).items() if name != "_networks"}

    def beside(self, others: Sequence["Trunk"]) -> "Trunk":
        """Return this network with others beside it, which see the same images."""
        if not others:
            return self
        made = replace(self.fingerprint, also=tuple(one.fingerprint for one in others))
        return Trunk(self.weights, made, batch=self.batch, also=others)

    @functools.cached_property
    def _networks(self) -> dict[int, Network]:
        return {}

    def _network(self, size: int) -> Network:
        """Return the network for images of one size, compiled once."""
        if size not in self._networks:
            made = self.fingerprint
            one = replace(made, trunk=replace(made.trunk, size=size), sizes=(), also=())
            self._networks[size] = self._compiled(one)
        return self._networks[size]

    def _compiled(self, one: Fingerprint) -> Network:
        if one.trunk.network != FILE:
            return compile_network(self.weights.arrays(), one, self.batch)
        return compile_own(self.weights, one, self.batch)

    @backend.own_settings()
    def _compile(self) -> None:
        for size in self.fingerprint.pooled.sizes:
            self._network(size)
        for one in self.also:
            one._compile()

    def stream(
        self,
        reads: Iterable[Read],
        together: int,
        advance: Callable[[int, int], None] | None = None,
    ) -> Iterator[tuple[list[Read], Activations]]:
        """Yield the images of a stream that have pixels, with their activations, some at a time.

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
        (list of Read, Activations of (n, 1 + copies) images)
        """
        pending: list[Read] = []
        for read in reads:
            if len(read.pixels):
                if not self._networks:
                    self._compile()  # and more images are read meanwhile
                pending.append(read)
            if len(pending) == together:
                yield pending, self._activations_of(pending, advance)
                pending = []
        if pending:
            yield pending, self._activations_of(pending, advance)

    def _activations_of(
        self, images: list[Read], advance: Callable[[int, int], None] | None
    ) -> Activations:
        sized = zip(*((image.pixels, *image.more_pixels) for image in images), strict=True)
        pixels = [np.concatenate(same) for same in sized]
        count = len(pixels[0])
        found = []
        for start in range(0, count, self.batch):
            stop = min(start + self.batch, count)
            found.append(self.activations([same[start:stop] for same in pixels]))
            if advance:
                advance(stop - start, count - stop)
        return Activations.joined(found).folded(count // len(images))

    def features(self, pixels: np.ndarray) -> np.ndarray:
        """Return the features of images at the first network's cut alone; see `activations`."""
        return self._plain.activations([pixels]).features

    @functools.cached_property
    def _plain(self) -> "Trunk":
        made = self.fingerprint
        plain = made.each[0].without_layers()
        return self if made == plain else Trunk(self.weights, plain, batch=self.batch)

    @backend.own_settings()
    def activations(self, pixels: Sequence[np.ndarray]) -> Activations:
        """Return the features of images at the cut, and the pools of their layers.

        Parameters
        ----------
        pixels : sequence of ndarray of uint8, shape (n, size, size, 3)
            The images at each of `Fingerprint.sizes_in_all`: upright RGB, as `decode.decode` makes
            it. Any n; the last batch is padded.

        Returns
        -------
        Activations
            Features are float16 or float32, as the fingerprint says; or, with "pooled", mean and
            maximum of those in their place. An image whose features are not finite (only odd
            weights do that) has none finite.

        Raises
        ------
        CorruptError
            When the weights are not the network's.
        InputError
            When features are too large for float16, or the runtime lacks the precision here.
        """
        made, pooled = self.fingerprint, self.fingerprint.pooled
        count = len(pixels[0])
        height, width, channels = made.trunk.shape
        is_pooled = made.keep == "pooled"
        features = np.empty((count, height, width, 0 if is_pooled else channels), made.dtype)
        cut_pools = np.empty((count, 2 * channels), np.float32) if is_pooled else None
        pools = np.empty((count, *pooled.shape), np.float16)
        sized = dict(zip(made.sizes_in_all, pixels, strict=True))
        for number, one in enumerate(pooled.passes):
            network = self._network(one.size)
            images = sized[one.size][:, :, ::-1] if one.mirrored else sized[one.size]
            for start in range(0, count, self.batch):
                block = images[start : start + self.batch]
                padding = self.batch - len(block)
                if padding:
                    block = np.concatenate([block, np.zeros((padding, *block.shape[1:]), np.uint8)])
                found, means = (some[: self.batch - padding] for some in network(block))
                stop = start + len(found)
                self._keep(pools[start:stop, number], means)
                if number == 0 and cut_pools is not None:
                    kept = np.empty(found.shape, made.dtype)
                    self._keep(kept, found)
                    cut_pools[start:stop] = pool_features(kept)
                elif number == 0:
                    self._keep(features[start:stop], found)
        also = [
            one.activations([sized[size] for size in one.fingerprint.sizes_in_all])
            for one in self.also
        ]
        return Activations(features, pools, cut_pools, tuple(also))

    def _keep(self, kept: np.ndarray, found: np.ndarray) -> None:
        """Put what was found into an array of another type, where it fits."""
        with np.errstate(over="ignore"):  # told below
            kept[:] = found
        axes = tuple(range(1, found.ndim))
        finite, fits = (np.isfinite(some).all(axis=axes) for some in (found, kept))
        if (finite & ~fits).any():
            raise InputError(
                f"Features at {self.fingerprint.trunk.cut} are beyond float16's 65,504. "
                "Use --dtype float32."
            )


def same_trunk(
    made: Fingerprint,
    whose: str,
    *,
    weights: str,
    runtime: str,
    precision: str,
    provider: str = "",
    progress: Progress | None = None,
) -> Trunk:
    """Return the network that made some features, with its very weights.

    Parameters
    ----------
    made : Fingerprint
        Of the features that exist.
    whose : str
        What they belong to, for messages: "The model" or "The cache".
    weights : str
        See `weights.resolve_weights`.
    runtime, precision : str
        What computes here; see `runtime.choose_here`.
    provider : str
        Who provided the weights, for messages.
    progress : callable, optional
        See `progress.Progress`; in bytes.

    Raises
    ------
    IncompatibleError, StorageError
        When these weights are not at hand and cannot be fetched; the message says what to do.
    """
    wanted = made.trunk
    by = f" ({provider})" if provider else ""
    needed = f"{whose} needs the weights with the SHA-256 {wanted.weights}{by}"
    try:
        if wanted.network == FILE:
            chosen = find_own(FILE, wanted.preprocessing, wanted.weights, weights=weights)
        else:
            chosen = resolve_weights(
                weights,
                network=wanted.network,
                preprocessing=wanted.preprocessing,
                wanted=wanted.weights,
                progress=progress,
            )
    except StorageError as error:
        providers = wanted.row.providers
        others = [name for name, provider in providers.items() if find_weights(provider)]
        if not others:
            raise
        raise IncompatibleError(
            f"{needed}; on this machine are those of {', '.join(others)}. {error}"
        ) from error
    if chosen.digest != wanted.weights:
        raise IncompatibleError(
            f"{needed}; {printable(weights)!r} has {chosen.digest}. Leave --weights out "
            "for weights that featx knows, or give the very file that was extracted with."
        )
    ranges = made.ranges or known_ranges(chosen.digest)
    return Trunk(chosen, replace(made, precision=precision, runtime=runtime, ranges=ranges))
