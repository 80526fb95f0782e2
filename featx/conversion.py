"""A fitted head as exact Keras layers, where it can be that."""

from typing import Any

import numpy as np

from . import heads
from .calibration import TemperatureScaled
from .errors import InputError
from .kerashead import KerasHead

__all__ = ["as_network", "can_be_layers"]


def can_be_layers() -> list[str]:
    """Return the names of the heads that can become layers."""
    return [name for name, head in heads.HEADS.items() if head.layers]


def as_network(name: str, classifier: Any) -> KerasHead:
    """Return a network of its own that gives the probabilities of a fitted head.

    Parameters
    ----------
    name : str
        A key of `heads.HEADS`.
    classifier : estimator
        Fitted; from `training.train`.

    Raises
    ------
    InputError
        When a head of this kind cannot become layers; the message says which can.
    """
    if not heads.HEADS[name].layers:
        raise InputError(
            f"The head {name} cannot become layers of a network. Those that can are "
            f"{', '.join(can_be_layers())}: fit one of them."
        )
    if isinstance(classifier, KerasHead):
        return KerasHead.from_bytes(*classifier.to_bytes())
    factor = 1.0
    if isinstance(classifier, TemperatureScaled):
        factor, classifier = classifier.inverse_temperature, classifier.estimator_
    kernel, bias = _margins(classifier)
    if len(bias) == 1:  # two classes, as `calibration.class_scores` has them
        kernel, bias = np.stack([-kernel[0], kernel[0]]) / 2, np.array([-bias[0], bias[0]]) / 2
    return KerasHead.of_softmax(factor * kernel.T, factor * bias)


def _margins(classifier: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrix (classes, d) and the offsets (classes,) of a classifier's scores."""
    if hasattr(classifier, "coef_"):
        return np.asarray(classifier.coef_), np.asarray(classifier.intercept_)
    # Nearest centroid: 2 log p less the sum of (x - c)²/s², of which x²/s² is the same for all.
    deviations = np.asarray(classifier.within_class_std_dev_, np.float64)
    weights = 1 / np.where(deviations == 0, 1, deviations) ** 2
    centroids = np.asarray(classifier.centroids_, np.float64)
    offsets = -(centroids**2 * weights).sum(axis=1) + 2 * np.log(classifier.class_prior_)
    return 2 * centroids * weights, offsets
