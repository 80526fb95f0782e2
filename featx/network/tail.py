"""Layers of the network after the cut, with weights of their own: what fine-tuning trains."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import backend
from ..errors import CorruptError, InputError, require_one_of
from .activations import Activations, PooledLayers
from .networks import DEFAULT, Network, get_network
from .runtime import choose_precision
from .steps import INPUT, Arrays, pool_channels

__all__ = ["Tail", "Unfrozen", "unfrozen"]

_BATCH = 16


@dataclass(frozen=True)
class Unfrozen:
    """Which layers are trained, and the cut before them.

    Attributes
    ----------
    cut, until : str
        Layers of the network: that whose features are cached, and that whose the head takes.
    layers : tuple of str
        The layers that are trained, besides the head.
    """

    cut: str
    until: str
    layers: tuple[str, ...]


def unfrozen(
    until: str,
    count: int,
    start: str | None = None,
    own: str | None = None,
    network: str = DEFAULT,
) -> Unfrozen:
    """Return what it means to train the last layers.

    Parameters
    ----------
    until : str
        The last layer, whose features the head takes.
    count : int
        How many layers, of all that there are up to it, pools included.
    start : str, optional
        The first of them, in place of `count`.
    own : str, optional
        A layer after which the weights are no longer the network's, since a tuned model has
        others: the cut is not after it.
    network : str
        A key of `networks.NETWORKS`.

    Raises
    ------
    InputError
        When there are no such layers.

    Examples
    --------
    >>> unfrozen("block5_pool", 4).cut
    'block4_pool'
    """
    names = get_network(network).layers_between(INPUT, until)
    if start is not None:
        require_one_of("layer", start, names)
        count = len(names) - names.index(start)
    if not 1 <= count <= len(names):
        raise InputError(
            f"{count} layers are to be trained. There are {len(names)} up to {until}: expected 1 "
            f"to {len(names)}."
        )
    before = [INPUT, *names]
    cut = before[-count - 1]
    if own is not None and before.index(own) < before.index(cut):
        cut = own
    return Unfrozen(cut, until, tuple(names[-count:]))


@dataclass(frozen=True, eq=False)
class Tail:
    """The layers after `cut`, up to and with `until`.

    Attributes
    ----------
    cut, until : str
        Layers of the network.
    shape : tuple of int
        Shape of the features at the cut, (height, width, channels).
    arrays : dict
        The weights of these layers.
    precision : {"float32", "bfloat16", "int8"}
        Precision of the features at the cut; see `dtype`.
    network : str
        A key of `networks.NETWORKS`.
    """

    cut: str
    until: str
    shape: tuple[int, int, int]
    arrays: Arrays
    precision: str = "float32"
    network: str = DEFAULT

    def __post_init__(self) -> None:
        needed = {name for name in self.layers if self.row.steps.variables(name)}
        if not self.layers or set(self.arrays) != needed:
            raise CorruptError(
                f"A tail from {self.cut} to {self.until} needs the weights of "
                f"{', '.join(sorted(needed))}; there are those of {', '.join(sorted(self.arrays))}."
            )

    def __getstate__(self) -> dict[str, Any]:
        """Leave the compiled layers out of a pickle: they are compiled again where needed."""
        return {name: value for name, value in vars(self).items() if name != "_compiled"}

    @property
    def row(self) -> Network:
        """The network."""
        return get_network(self.network)

    @property
    def layers(self) -> list[str]:
        """The names of the layers."""
        return self.row.layers_between(self.cut, self.until)

    @property
    def dtype(self) -> str:
        """Precision of these layers, which Keras computes: after int8, the best it has here."""
        if self.precision == "int8":
            return choose_precision("auto", "tensorflow")
        return self.precision

    @functools.cached_property
    def _compiled(self) -> dict[tuple[str, ...], Callable[[np.ndarray], Any]]:
        return {}

    def _function(self, pooled: tuple[str, ...]) -> Callable[[np.ndarray], Any]:
        """Return the function from a batch to features and pools, compiled once."""
        if pooled not in self._compiled:
            self._compiled[pooled] = self._compile(pooled)
        return self._compiled[pooled]

    def _compile(self, pooled: tuple[str, ...]) -> Callable[[np.ndarray], Any]:
        keras, tf = backend.keras(), backend.tensorflow()
        features = keras.Input(self.shape, name="features")
        outputs = self.row.steps.outputs(features, self.layers, self.arrays, self.dtype)
        wanted = {name: outputs[name] for name in (self.until, *pooled)}
        model = keras.Model(features, wanted, name="tail", trainable=False)

        @tf.function(input_signature=[tf.TensorSpec((_BATCH, *self.shape), tf.float32)])
        def activations(block: Any) -> Any:
            found = model(block, training=False)
            return tf.cast(found[self.until], tf.float32), pool_channels(found, pooled, _BATCH)

        return activations

    def features(self, features: np.ndarray) -> np.ndarray:
        """Return the features after the last of these layers; see `activations`."""
        pools = np.empty((len(features), 1, 0), np.float16)
        return self.activations(Activations(features, pools), PooledLayers()).features

    @backend.own_settings()
    def activations(self, activations: Activations, pooled: PooledLayers) -> Activations:
        """Return the features after the last of these layers, and the layer pools with theirs.

        Parameters
        ----------
        activations : Activations
            Features of n images at the cut, and their layer pools. Any n; the last batch is padded,
            so an image's bytes do not depend on it.
        pooled : PooledLayers
            The layers of the pools. Columns of those that are among these layers are replaced;
            the others are kept.

        Returns
        -------
        Activations
            Features float32 (n, height, width, channels).

        Raises
        ------
        ValueError
            When layers are pooled over more than one pass: features at the cut are of the first.
        """
        if pooled.names and len(pooled.passes) > 1:
            raise ValueError(f"layers after the cut have one pass, and not {len(pooled.passes)}")
        here = tuple(name for name in pooled.names if name in self.layers)
        function, count = self._function(here), len(activations)
        cuts = self.row.cuts
        scale, channels = cuts[self.until]
        side = self.shape[0] * cuts[self.cut][0] // scale
        features = np.empty((count, side, side, channels), np.float32)
        means = np.empty((count, sum(2 * cuts[name][1] for name in here)), np.float32)
        for start in range(0, count, _BATCH):
            block = activations.features[start : start + _BATCH].astype(np.float32)
            padding = np.zeros((_BATCH - len(block), *self.shape), np.float32)
            found = function(np.concatenate([block, padding]))
            stop = start + len(block)
            features[start:stop], means[start:stop] = (x.numpy()[: len(block)] for x in found)
        if not here:
            return Activations(features, activations.pools)
        pools = activations.pools.copy()
        own = PooledLayers(here, pooled.sizes, network=self.network).columns
        for name, columns in own.items():
            pools[:, 0, pooled.columns[name]] = means[:, columns]
        return Activations(features, pools)
