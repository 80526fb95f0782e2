"""A network from features at the cut to probabilities: a tail, a pool and a head as one model."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from . import backend, vgg16
from .kerashead import KerasHead
from .tail import Tail

__all__ = ["assembled", "classified", "tail_of"]


def classified(x: Any, pool: str, head: KerasHead, *, dropout: float = 0.0, seed: int = 0) -> Any:
    """Send features through a pool and the layers of a head, and return the probabilities.

    Parameters
    ----------
    x : KerasTensor, shape (batch, height, width, channels)
    pool : str
        A key of `pools.POOLS`.
    head : KerasHead
        Its layers are used themselves: what is trained is trained in it.
    dropout : float
        Share of the inputs of the last layer that is left out while training.
    seed : int
        Of the dropout.
    """
    layers = backend.keras().layers
    x = _pooled(x, pool)
    for layer in head.model_.layers[:-1]:
        x = layer(x)
    if dropout:
        x = layers.Dropout(dropout, seed=seed)(x)
    return head.model_.layers[-1](x)


def _pooled(x: Any, pool: str) -> Any:
    layers = backend.keras().layers
    average = layers.GlobalAveragePooling2D(dtype="float32")
    maximum = layers.GlobalMaxPooling2D(dtype="float32")
    if pool == "avg":
        return average(x)
    if pool == "max":
        return maximum(x)
    if pool == "avgmax":
        return layers.Concatenate()([average(x), maximum(x)])
    return layers.Flatten(dtype="float32")(x)


def assembled(
    tail: Tail,
    pool: str,
    head: KerasHead,
    *,
    trainable: Collection[str] = (),
    dropout: float = 0.0,
    seed: int = 0,
    dtype: Any = None,
) -> Any:
    """Return a Keras model of features at the cut → probabilities.

    Parameters
    ----------
    tail : Tail
    pool, head, dropout, seed
        See `classified`.
    trainable : collection of str
        Layers of the tail that are trained; the head always is.
    dtype : keras.DTypePolicy, optional
        In which the tail computes; by default the tail's precision.
    """
    keras = backend.keras()
    features = keras.Input(tail.shape, name="features")
    x = vgg16.connected(features, tail.layers, tail.arrays, dtype or tail.precision)
    network = keras.Model(features, classified(x, pool, head, dropout=dropout, seed=seed))
    for layer in network.layers:
        if layer.name in tail.layers:
            layer.trainable = layer.name in trainable
    found = {layer.name for layer in network.layers if layer.trainable_weights}
    wanted = set(trainable) & set(vgg16.CONVOLUTIONS)
    if found - wanted != {layer.name for layer in head.model_.layers if layer.weights}:
        raise AssertionError(f"the trainable layers are {found}")
    return network


def tail_of(network: Any, tail: Tail) -> Tail:
    """Return the tail with the weights that its layers have in a network."""
    arrays = {name: tuple(network.get_layer(name).get_weights()) for name in tail.arrays}
    return replace(tail, arrays=arrays)
