"""A model as one Keras network: a fitted head as layers, and tail, view and head put together."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np

from .. import backend
from ..errors import InputError
from ..heads import registry
from ..heads.calibration import TemperatureScaled
from ..heads.dense import DenseClassifier
from ..network.tail import Tail

__all__ = [
    "apply_head",
    "apply_view",
    "build_network",
    "can_be_layers",
    "head_as_network",
    "tail_of",
]


#: The name of the layer that gives what a head sees.
_VIEW = "view"


def can_be_layers() -> list[str]:
    """Return the names of the heads that can become Keras layers."""
    return [name for name, head in registry.HEADS.items() if head.layers]


@backend.own_settings()
def head_as_network(name: str, classifier: Any) -> DenseClassifier:
    """Return a new Keras head with the probabilities of a fitted head.

    Parameters
    ----------
    name : str
        A key of `registry.HEADS`.
    classifier : estimator
        A fitted classifier from `training.train`.

    Raises
    ------
    InputError
        When a head of this kind cannot become layers; the message names those that can.
    """
    if not registry.HEADS[name].layers:
        raise InputError(
            f"The head {name} cannot become layers of a network. Those that can are "
            f"{', '.join(can_be_layers())}: fit one of them."
        )
    if isinstance(classifier, DenseClassifier):
        return DenseClassifier.from_bytes(*classifier.to_bytes())
    factor = 1.0
    if isinstance(classifier, TemperatureScaled):
        factor, classifier = classifier.inverse_temperature, classifier.estimator_
    kernel, bias = _margins(classifier)
    if len(bias) == 1:  # two classes, as `calibration.decision_scores` has them
        kernel, bias = np.stack([-kernel[0], kernel[0]]) / 2, np.array([-bias[0], bias[0]]) / 2
    return DenseClassifier.of_softmax(factor * kernel.T, factor * bias)


def _margins(classifier: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrix (classes, d) and the offsets (classes,) of a classifier's scores."""
    if hasattr(classifier, "coef_"):
        return np.asarray(classifier.coef_), np.asarray(classifier.intercept_)
    # Nearest centroid scores 2 log p - sum((x - c)²/s²); x²/s² is the same for all classes.
    deviations = np.asarray(classifier.within_class_std_dev_, np.float64)
    weights = 1 / np.where(deviations == 0, 1, deviations) ** 2
    centroids = np.asarray(classifier.centroids_, np.float64)
    offsets = -(centroids**2 * weights).sum(axis=1) + 2 * np.log(classifier.class_prior_)
    return 2 * centroids * weights, offsets


def apply_head(rows: Any, head: DenseClassifier, *, dropout: float = 0.0, seed: int = 0) -> Any:
    """Send rows through the layers of a head, and return the probabilities.

    Parameters
    ----------
    rows : KerasTensor, shape (batch, d)
        See `apply_view`.
    head : DenseClassifier
        Its layers are shared: training the result trains the head.
    dropout : float
        Share of the last layer's inputs that are dropped in training.
    seed : int
        Seed of the dropout.
    """
    for layer in head.model_.layers[:-1]:
        rows = layer(rows)
    if dropout:
        rows = backend.keras().layers.Dropout(dropout, seed=seed)(rows)
    return head.model_.layers[-1](rows)


def apply_view(view: str, x: Any) -> Any:
    """Return what a view sees of a layer; a head brings it to length 1 itself.

    Parameters
    ----------
    view : str
        A key of `views.VIEWS` that has a pool.
    x : KerasTensor, shape (batch, height, width, channels)
        The layer whose features the head takes.
    """
    keras = backend.keras()
    exact: dict[str, Any] = {"dtype": "float32"}
    average, maximum = keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D
    if view == "avg":
        return average(name=_VIEW, **exact)(x)
    if view == "max":
        return maximum(name=_VIEW, **exact)(x)
    if view == "avgmax":
        both = [average(**exact)(x), maximum(**exact)(x)]
        return keras.layers.Concatenate(name=_VIEW, **exact)(both)
    return keras.layers.Flatten(name=_VIEW, **exact)(x)


@backend.own_settings()
def build_network(
    tail: Tail,
    view: str,
    head: DenseClassifier,
    *,
    trainable: Collection[str] = (),
    dropout: float = 0.0,
    seed: int = 0,
    dtype: Any = None,
) -> Any:
    """Return a Keras model that maps features at the cut to probabilities.

    Parameters
    ----------
    tail : Tail
    view, head, dropout, seed
        See `apply_view` and `apply_head`.
    trainable : collection of str
        Layers of the tail that are trained; the head is always trained.
    dtype : keras.DTypePolicy, optional
        Precision of the tail; by default the one it was made with.
    """
    keras = backend.keras()
    features = keras.Input(tail.shape, name="features")
    steps = tail.row.steps
    x = list(steps.outputs(features, tail.layers, tail.arrays, dtype or tail.dtype).values())[-1]
    rows = apply_view(view, x)
    network = keras.Model(features, apply_head(rows, head, dropout=dropout, seed=seed))
    for layer in network.layers:
        if layer.name in tail.layers:
            layer.trainable = layer.name in trainable
            _freeze_statistics(layer)
    found = {layer.name for layer in network.layers if layer.trainable_weights}
    wanted = {name for name in trainable if steps.variables(name)}
    if found - wanted != {layer.name for layer in head.model_.layers if layer.weights}:
        raise AssertionError(f"the trainable layers are {found}")
    return network


def _freeze_statistics(layer: Any) -> None:
    """Let batch normalisation inside a layer compute as in inference, and learn nothing.

    The statistics of some hundred images are worse than those that the network comes with.
    """
    keras = backend.keras()
    for inner in getattr(layer, "layers", ()):
        if isinstance(inner, keras.layers.BatchNormalization):
            inner.trainable = False
        _freeze_statistics(inner)


def tail_of(network: Any, tail: Tail) -> Tail:
    """Return a copy of the tail with the weights that its layers have in the network."""
    arrays = {name: tuple(network.get_layer(name).get_weights()) for name in tail.arrays}
    return replace(tail, arrays=arrays)
