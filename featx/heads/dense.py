"""A Keras network as a scikit-learn classifier: dense layers over features."""

import functools
import itertools
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from .. import backend
from ..errors import CorruptError
from ..storage.tensors import load_tensors, save_tensors

__all__ = ["DenseClassifier"]

_PREDICT_ROWS = 1024


class DenseClassifier(ClassifierMixin, BaseEstimator):
    """Dense layers and a softmax, trained with Adam and early stopping.

    The network scales rows to length 1 and then multiplies them by the square root of their number
    of columns, so that inputs are about 1 for every view.

    Parameters
    ----------
    hidden : tuple of int
        Units of each hidden layer; () is a softmax layer alone.
    dropout : float
        Share of units left out after each hidden layer while training.
    learning_rate : float
    epochs : int
        Maximum number of epochs.
    batch_size : int
    patience : int
        Epochs without a lower validation loss after which training stops; the best weights are
        kept.
    validation : float
        Share of the groups (images) that is held out for early stopping.
    l2 : float
        Penalty on the kernels.
    class_weight : {None, "balanced"}
    random_state : int

    Attributes
    ----------
    classes_ : ndarray
    model_ : keras.Model
    history_ : dict of list of float
        `loss`, `accuracy`, `val_loss`, `val_accuracy`, one number an epoch.
    scale_ : float
        What rows of length 1 are multiplied by inside the network.
    """

    def __init__(
        self,
        hidden: tuple[int, ...] = (),
        dropout: float = 0.0,
        learning_rate: float = 1e-3,
        epochs: int = 100,
        batch_size: int = 32,
        patience: int = 8,
        validation: float = 0.15,
        l2: float = 0.0,
        class_weight: str | None = None,
        random_state: int = 0,
    ) -> None:
        self.hidden = hidden
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.patience = patience
        self.validation = validation
        self.l2 = l2
        self.class_weight = class_weight
        self.random_state = random_state

    @backend.own_settings()
    def fit(
        self, X: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None
    ) -> "DenseClassifier":
        """Train a new network.

        Parameters
        ----------
        X : ndarray of float32, shape (n, d)
        y : ndarray, shape (n,)
        groups : ndarray, shape (n,), optional
            Rows of one group (the copies of an image) are all trained on or all held out.

        Raises
        ------
        ValueError
            When a parameter is out of its range.
        """
        self._check()
        self.classes_, columns = np.unique(y, return_inverse=True)
        inside, outside = self._inner_split(columns, groups)
        self.model_ = self._build(X.shape[1])
        shape = (X.shape[1], len(self.classes_), tuple(self.hidden))
        trainer = _Trainer.of(*shape, self.dropout, self.l2, self.learning_rate)
        weights = self._weights(columns[inside])
        random = np.random.default_rng(self.random_state)
        random.permutation(inside)  # mirrors Model.fit's shuffling, so that results do not change
        with trainer.alone:
            trainer.begin(self.model_)
            arrays = X.astype(np.float32), columns.astype(np.int32), weights
            data = tuple(map(backend.tensorflow().constant, arrays))
            self.history_: dict[str, list[float]] = {}
            lowest, waited = np.inf, 0
            for _ in range(self.epochs):
                logs = trainer.epoch(data, random.permutation(inside), self.batch_size)
                if len(outside):
                    logs |= trainer.validated(data, outside)
                for name, value in logs.items():
                    self.history_.setdefault(name, []).append(value)
                loss = logs.get("val_loss", logs["loss"])
                waited += 1
                if loss < lowest:
                    lowest, waited = loss, 0
                    self.model_.set_weights(trainer.network.get_weights())
                if waited >= self.patience:
                    break
        return self

    def _check(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least 1.")
        if not 0 < self.learning_rate < np.inf:
            raise ValueError(f"learning_rate is {self.learning_rate}; expected a positive number.")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}; expected 0 to below 1.")
        if not 0 <= self.l2 < np.inf:
            raise ValueError(f"l2 is {self.l2}; expected 0 or more.")
        if any(units < 1 for units in self.hidden):
            raise ValueError(f"hidden is {self.hidden}; expected units of 1 and more.")

    def _inner_split(
        self, columns: np.ndarray, groups: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        from sklearn.model_selection import StratifiedGroupKFold

        groups = np.arange(len(columns)) if groups is None else groups
        parts = round(1 / self.validation)
        fewest = min(len(np.unique(groups[columns == c])) for c in range(len(self.classes_)))
        if fewest < 2:
            return np.arange(len(columns)), np.empty(0, int)
        splitter = StratifiedGroupKFold(
            min(parts, fewest), shuffle=True, random_state=self.random_state
        )
        inside, outside = next(splitter.split(columns, columns, groups))
        return inside, outside

    def _build(self, width: int) -> Any:
        self.scale_ = width**0.5
        shape = (width, len(self.classes_), tuple(self.hidden))
        return _network(*shape, self.dropout, self.l2, self.random_state, self.scale_)

    def _weights(self, columns: np.ndarray) -> np.ndarray:
        """Return the weight of each class."""
        counts = np.bincount(columns, minlength=len(self.classes_))
        if self.class_weight is None:
            return np.ones(len(counts), np.float32)
        return (len(columns) / (len(counts) * np.maximum(counts, 1))).astype(np.float32)

    @classmethod
    @backend.own_settings()
    def of_softmax(cls, kernel: np.ndarray, bias: np.ndarray) -> "DenseClassifier":
        """Return a fitted head of one softmax layer over rows of length 1.

        Parameters
        ----------
        kernel : ndarray, shape (d, classes)
        bias : ndarray, shape (classes,)
        """
        head = cls()
        head.classes_ = np.arange(len(bias))
        head.history_ = {}
        head.scale_ = 1.0
        head.model_ = _network(len(kernel), len(bias), (), 0.0, 0.0, 0, head.scale_)
        head.model_.set_weights([kernel, bias])
        return head

    @backend.own_settings()
    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities, float64 (n, classes); rows sum to 1 in double precision."""
        rows = X.astype(np.float32)
        parts = [rows[i : i + _PREDICT_ROWS] for i in range(0, len(rows), _PREDICT_ROWS)]
        exact = np.concatenate([np.asarray(self.model_(part), np.float64) for part in parts])
        return exact / exact.sum(axis=1, keepdims=True)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the most probable class of each row."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def __getstate__(self) -> dict[str, Any]:
        """Pickle weights and plain values in place of the Keras network."""
        state = dict(vars(self))
        return {"fitted": self.to_bytes()} if state.pop("model_", None) else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Build the network anew."""
        fitted = state.get("fitted")
        self.__dict__.update(vars(type(self).from_bytes(*fitted)) if fitted else state)

    def to_bytes(self) -> tuple[bytes, dict[str, Any]]:
        """Return the weights of the fitted head as safetensors, and plain values for JSON."""
        tensors = {}
        for number, layer in enumerate(_dense_layers(self.model_)):
            kernel, bias = layer.get_weights()
            tensors[f"dense_{number}/kernel"] = np.ascontiguousarray(kernel)
            tensors[f"dense_{number}/bias"] = np.ascontiguousarray(bias)
        return save_tensors(tensors), {
            "parameters": self.get_params(),
            "scale": self.scale_,
            "classes": self.classes_.tolist(),
            "history": self.history_,
        }

    @classmethod
    @backend.own_settings()
    def from_bytes(cls, saved: bytes, described: Mapping[str, Any]) -> "DenseClassifier":
        """Return the head that `to_bytes` described. The network is built anew, from numbers only.

        Raises
        ------
        CorruptError
            When the weights are not those of such a head.
        """
        head = cls(**described["parameters"])
        head.hidden = tuple(head.hidden)
        head._check()
        head.classes_ = np.array(described["classes"])
        head.history_ = described["history"]
        head.scale_ = float(described["scale"])
        try:
            tensors = load_tensors(saved)
        except ValueError as error:
            raise CorruptError(f"The head's weights cannot be read: {error}.") from error
        width = len(tensors.get("dense_0/kernel", ()))
        widths = (width, *head.hidden, len(head.classes_))
        expected: dict[str, tuple[int, ...]] = {}
        for number, (before, after) in enumerate(itertools.pairwise(widths)):
            expected[f"dense_{number}/kernel"] = (before, after)
            expected[f"dense_{number}/bias"] = (after,)
        found = {name: array.shape for name, array in tensors.items()}
        if found != expected:
            raise CorruptError(f"The head has weights of the shapes {found}. Expected {expected}.")
        weights = [tensors[name].astype(np.float32) for name in expected]
        if not (np.isfinite(head.scale_) and all(np.isfinite(array).all() for array in weights)):
            raise CorruptError("The head's weights are not all finite numbers.")
        shape = (width, len(head.classes_), head.hidden)
        head.model_ = _network(*shape, head.dropout, 0.0, 0, head.scale_)
        head.model_.set_weights(weights)
        return head


def _dense_layers(network: Any) -> list[Any]:
    """Return the layers that have weights, in order."""
    return [layer for layer in network.layers if layer.weights]


def _network(
    width: int,
    classes: int,
    hidden: tuple[int, ...],
    dropout: float,
    l2: float,
    seed: int,
    scale: float,
) -> Any:
    """Return a new network; its rows of length 1 are multiplied by `scale`."""
    keras = backend.keras()
    layers = keras.layers
    seeds = iter(range(seed * 1000, (seed + 1) * 1000))

    def dense(units: int, activation: str, initializer: Any, name: str) -> Any:
        penalty = keras.regularizers.L2(l2) if l2 else None
        return layers.Dense(
            units, activation, kernel_initializer=initializer(seed=next(seeds)),
            kernel_regularizer=penalty, name=name,
        )  # fmt: skip

    stack = [keras.Input((width,)), layers.UnitNormalization(), layers.Rescaling(scale)]
    for number, units in enumerate(hidden, start=1):
        stack.append(dense(units, "relu", keras.initializers.HeNormal, f"hidden_{number}"))
        if dropout:
            stack.append(layers.Dropout(dropout, seed=next(seeds)))
    stack.append(dense(classes, "softmax", keras.initializers.GlorotUniform, "probabilities"))
    return keras.Sequential(stack, name="head")


class _Trainer:
    """Epochs of one shape of network, compiled once however often it is trained anew.

    `Model.fit` takes seconds for a few hundred rows, and hardly any of them for arithmetic: it
    compiles again for each network, and makes new iterators for each epoch.
    """

    @staticmethod
    @functools.lru_cache(maxsize=4)
    def of(*shape: Any) -> "_Trainer":
        """Return the trainer for the arguments of `_network` without the seed, and a rate."""
        return _Trainer(*shape)

    def __init__(
        self,
        width: int,
        classes: int,
        hidden: tuple[int, ...],
        dropout: float,
        l2: float,
        learning_rate: float,
    ) -> None:
        tf, keras = backend.tensorflow(), backend.keras()
        self.alone = threading.Lock()
        self.network = network = _network(width, classes, hidden, dropout, l2, 0, width**0.5)
        self._optimizer = optimizer = keras.optimizers.Adam(learning_rate)
        optimizer.build(network.trainable_variables)
        self._start = [variable.numpy() for variable in optimizer.variables]

        def loss_and_accuracy(X: Any, y: Any, weights: Any, training: bool) -> tuple[Any, Any]:
            found = network(X, training=training)
            losses = keras.losses.sparse_categorical_crossentropy(y, found)
            loss = tf.reduce_mean(losses * tf.gather(weights, y)) + sum(network.losses)
            right = tf.argmax(found, axis=1, output_type=y.dtype) == y
            return loss, tf.reduce_mean(tf.cast(right, tf.float32))

        shapes = (
            tf.TensorSpec((None, width), tf.float32),
            tf.TensorSpec((None,), tf.int32),
            tf.TensorSpec((classes,), tf.float32),
            tf.TensorSpec((None,), tf.int32),
        )

        @tf.function(input_signature=(*shapes, tf.TensorSpec((), tf.int32)))
        def epoch(X: Any, y: Any, weights: Any, order: Any, size: Any) -> Any:
            mean = tf.zeros(2)
            for start in tf.range(0, tf.size(order), size):
                rows = order[start : start + size]
                with tf.GradientTape() as tape:
                    found = loss_and_accuracy(tf.gather(X, rows), tf.gather(y, rows), weights, True)
                gradients = tape.gradient(found[0], network.trainable_variables)
                optimizer.apply(gradients, network.trainable_variables)
                share = tf.size(rows) / tf.size(order)
                mean += tf.cast(share, tf.float32) * tf.stack(found)
            return mean

        @tf.function(input_signature=shapes)
        def validated(X: Any, y: Any, weights: Any, rows: Any) -> Any:
            alike = tf.ones_like(weights)
            return tf.stack(loss_and_accuracy(tf.gather(X, rows), tf.gather(y, rows), alike, False))

        self._epoch, self._validated = epoch, validated

    def begin(self, network: Any) -> None:
        """Begin anew, with the weights of a network of this shape."""
        for own, new in zip(self.network.variables, network.variables, strict=True):
            own.assign(new)
        for own, new in zip(self._optimizer.variables, self._start, strict=True):
            own.assign(new)

    def epoch(self, data: tuple[Any, ...], order: np.ndarray, batch_size: int) -> dict[str, float]:
        """Train on these rows of (X, y, weights of the classes); return loss and accuracy."""
        loss, accuracy = self._epoch(*data, order.astype(np.int32), batch_size).numpy()
        return {"loss": float(loss), "accuracy": float(accuracy)}

    def validated(self, data: tuple[Any, ...], rows: np.ndarray) -> dict[str, float]:
        """Return loss and accuracy of other rows."""
        loss, accuracy = self._validated(*data, rows.astype(np.int32)).numpy()
        return {"val_loss": float(loss), "val_accuracy": float(accuracy)}
