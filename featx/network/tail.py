"""Layers of VGG16 after the cut, with weights of their own: what fine-tuning trains."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import backend
from ..errors import CorruptError, InputError, require_one_of
from .layers import CONVOLUTIONS, INPUT, LAYERS, Arrays, apply_layers, layers_between

__all__ = ["Tail", "Unfrozen", "unfrozen"]

_BATCH = 16


@dataclass(frozen=True)
class Unfrozen:
    """Which layers are trained, and the cut before them.

    Attributes
    ----------
    cut, until : str
        Keys of `layers.LAYERS`: the features that are cached, and those that the head takes.
    layers : tuple of str
        The layers that are trained, besides the head.
    """

    cut: str
    until: str
    layers: tuple[str, ...]


def unfrozen(until: str, count: int, start: str | None = None, own: str | None = None) -> Unfrozen:
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
        A layer after which the weights are no longer VGG16's, since a tuned model has others: the
        cut is not after it.

    Raises
    ------
    InputError
        When there are no such layers.

    Examples
    --------
    >>> unfrozen("block5_pool", 4).cut
    'block4_pool'
    """
    names = layers_between(INPUT, until)
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
        Keys of `layers.LAYERS`.
    shape : tuple of int
        Shape of the features at the cut, (height, width, channels).
    arrays : dict
        The kernels and biases of the convolutions among these layers.
    precision : {"float32", "bfloat16"}
        Precision of the layers.
    """

    cut: str
    until: str
    shape: tuple[int, int, int]
    arrays: Arrays
    precision: str = "float32"

    def __post_init__(self) -> None:
        needed = {name for name in self.layers if name in CONVOLUTIONS}
        if not self.layers or set(self.arrays) != needed:
            raise CorruptError(
                f"A tail from {self.cut} to {self.until} needs the weights of "
                f"{', '.join(sorted(needed))}; there are those of {', '.join(sorted(self.arrays))}."
            )

    def __getstate__(self) -> dict[str, Any]:
        """Leave the compiled layers out of a pickle: they are compiled again where needed."""
        return {name: value for name, value in vars(self).items() if name != "_compiled"}

    @property
    def layers(self) -> list[str]:
        """The names of the layers."""
        return layers_between(self.cut, self.until)

    def model(self, dtype: Any = None) -> Any:
        """Return the layers as a Keras model of features at the cut, with these weights."""
        keras = backend.keras()
        features = keras.Input(self.shape, name="features")
        out = apply_layers(features, self.layers, self.arrays, dtype or self.precision)
        return keras.Model(features, out, name="tail")

    @functools.cached_property
    def _compiled(self) -> Callable[[np.ndarray], Any]:
        tf = backend.tensorflow()
        model = self.model()

        @tf.function(input_signature=[tf.TensorSpec((_BATCH, *self.shape), tf.float32)])
        def features(block: Any) -> Any:
            return tf.cast(model(block, training=False), tf.float32)

        return features

    @backend.own_settings()
    def features(self, features: np.ndarray) -> np.ndarray:
        """Return the features after the last of these layers.

        Parameters
        ----------
        features : ndarray of float, shape (n, *shape)
            At the cut. Any n; the last batch is padded, so an image's bytes do not depend on it.

        Returns
        -------
        ndarray of float32, shape (n, height, width, channels)
        """
        found = []
        for start in range(0, len(features), _BATCH):
            block = features[start : start + _BATCH].astype(np.float32)
            padding = np.zeros((_BATCH - len(block), *self.shape), np.float32)
            found.append(self._compiled(np.concatenate([block, padding])).numpy()[: len(block)])
        if found:
            return np.concatenate(found)
        scale, channels = LAYERS[self.until]
        side = self.shape[0] * LAYERS[self.cut][0] // scale
        return np.empty((0, side, side, channels), np.float32)
