"""Fitted heads as layers: from rows of length 1 to probabilities, with the calibration inside."""

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import backend
from ..heads import registry
from ..heads.calibration import SMALLEST, TemperatureScaled
from ..heads.dense import DenseClassifier
from ..model.keras_network import apply_head, head_as_network
from .trees import apply_trees, boosted_trees, forest_trees

__all__ = ["apply_any_head"]


def apply_any_head(rows: Any, name: str, classifier: Any) -> Any:
    """Send rows through a fitted head, and return its probabilities.

    Parameters
    ----------
    rows : KerasTensor of float32, shape (batch, d)
        Of length 1.
    name : str
        A key of `registry.HEADS`.
    classifier : estimator
        A fitted classifier from `training.train`.

    Returns
    -------
    KerasTensor of float32, shape (batch, classes)
    """
    if registry.HEADS[name].layers:
        return apply_head(rows, head_as_network(name, classifier))
    if not isinstance(classifier, TemperatureScaled):  # the shares of the classes, whatever the row
        kernel = np.zeros((rows.shape[1], len(classifier.class_prior_)))
        constant = np.log(np.maximum(classifier.class_prior_, np.finfo(np.float32).tiny))
        return apply_head(rows, DenseClassifier.of_softmax(kernel, constant))
    ops = backend.keras().ops
    scores = _SCORES[name](rows, classifier.estimator_)
    return ops.softmax(scores * float(classifier.inverse_temperature), axis=-1)


def _dense(rows: Any, kernel: np.ndarray, bias: Any = 0.0, name: str | None = None) -> Any:
    """Return rows times a matrix, plus a constant: (batch, d) → (batch, kernel columns)."""
    layer = backend.keras().layers.Dense(kernel.shape[1], name=name)
    found = layer(rows)
    layer.set_weights([kernel, np.broadcast_to(bias, kernel.shape[1:])])
    return found


def _squared_distances(rows: Any, others: np.ndarray) -> Any:
    """Return the squared distances of rows from known ones, (batch, others)."""
    ops = backend.keras().ops
    others = others.astype(np.float64)
    products = _dense(rows, -2 * others.T, (others**2).sum(axis=1))
    return ops.relu(products + ops.sum(ops.square(rows), axis=1, keepdims=True))


def _pairs(margin: Any) -> Any:
    """Return scores of two classes from the margin of the second, (batch, 1), as calibrated."""
    return backend.keras().ops.concatenate([-margin / 2, margin / 2], axis=1)


def _logarithms(probabilities: Any) -> Any:
    ops = backend.keras().ops
    return ops.log(ops.maximum(probabilities, SMALLEST))


def _kernel_ridge(rows: Any, fitted: Any) -> Any:
    ops = backend.keras().ops
    ends = np.cumsum(fitted.widths_)[:-1].tolist()
    blocks = ops.split(rows, ends, axis=1) if ends else [rows]
    kernels = [
        ops.exp(_squared_distances(block, support) * (-0.5 / median))
        for block, support, median in zip(
            blocks, np.split(fitted.support, ends, axis=1), fitted.medians_, strict=True
        )
    ]
    total = functools.reduce(operator.add, kernels)
    return _dense(total, fitted.duals_.astype(np.float64) / len(kernels))


def _rbf_svm(rows: Any, fitted: Any) -> Any:
    """Return the scores of libsvm's classifiers of pairs, put together as scikit-learn does."""
    ops = backend.keras().ops
    support = np.asarray(fitted.support_vectors_)
    kernel = ops.exp(_squared_distances(rows, support) * -float(fitted._gamma))
    count = len(fitted.classes_)
    if count == 2:
        return _pairs(_dense(kernel, fitted.dual_coef_.T, fitted.intercept_))
    pairs = [(i, j) for i in range(count) for j in range(i + 1, count)]
    of_class = np.repeat(np.arange(count), fitted.n_support_)
    coefficients = np.zeros((len(support), len(pairs)))
    first, second = np.zeros((2, len(pairs), count))
    for column, (i, j) in enumerate(pairs):
        # Support vectors of class i are in row j - 1 for its pair with a later class j.
        coefficients[of_class == i, column] = fitted.dual_coef_[j - 1, of_class == i]
        coefficients[of_class == j, column] = fitted.dual_coef_[i, of_class == j]
        first[column, i] = second[column, j] = 1
    margins = _dense(kernel, coefficients, fitted.intercept_)
    wins = ops.cast(margins >= 0, "float32")
    votes = _dense(wins, first - second, second.sum(axis=0))
    sums = _dense(margins, first - second)
    return votes + sums / (3 * (ops.absolute(sums) + 1))


def _nearest(rows: Any, fitted: Any) -> Any:
    """Return the logarithms of the shares of the nearest rows' classes, weighted by 1/distance."""
    keras = backend.keras()
    ops = keras.ops
    known, of_class = np.asarray(fitted._fit_X, np.float32), np.asarray(fitted._y)
    _, at = ops.top_k(-_squared_distances(rows, known), fitted.n_neighbors)
    table = keras.layers.Embedding(*known.shape, name="neighbours")
    table.build()
    table.set_weights([known])
    # By differences: products lose the digits of small distances.
    apart = ops.expand_dims(rows, 1) - table(at)
    distances = ops.sqrt(ops.sum(ops.square(apart), axis=2, keepdims=True))
    weights = 1 / ops.maximum(distances, 1e-12)
    classes = keras.layers.Embedding(len(known), len(fitted.classes_), name="neighbours_classes")
    classes.build()
    classes.set_weights([np.eye(len(fitted.classes_))[of_class]])
    sums = ops.sum(weights * classes(at), axis=1)
    return _logarithms(sums / ops.sum(sums, axis=1, keepdims=True))


def _forest(rows: Any, fitted: Any) -> Any:
    return _logarithms(apply_trees(rows, forest_trees(fitted)))


def _boosting(rows: Any, fitted: Any) -> Any:
    constant = np.asarray(fitted._baseline_prediction, np.float32).reshape(1, -1)
    scores = apply_trees(rows, boosted_trees(fitted)) + constant
    return _pairs(scores) if scores.shape[1] == 1 else scores


#: What gives the scores of heads that are no dense layers: (rows, fitted) → (batch, classes).
_SCORES: Mapping[str, Callable[[Any, Any], Any]] = {
    "kernel-ridge": _kernel_ridge,
    "knn": _nearest,
    "rbf-svm": _rbf_svm,
    "random-forest": _forest,
    "hist-gradient-boosting": _boosting,
}
