"""A Keras network as a scikit-learn classifier: dense layers over features."""

import io
import json
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from . import backend, safehdf5
from .errors import CorruptError

__all__ = ["KerasHead"]

_LAYERS = {"InputLayer", "UnitNormalization", "Rescaling", "Dense", "Dropout"}
_PREDICT_ROWS = 1024


class KerasHead(ClassifierMixin, BaseEstimator):
    """Dense layers and a softmax, trained with Adam and early stopping.

    Rows are brought to length 1 and then multiplied by the square root of their number of columns,
    inside the network, so that inputs are about 1 whatever the pool.

    Parameters
    ----------
    hidden : tuple of int
        Units of each hidden layer; () is a softmax layer alone.
    dropout : float
        Share of units left out after each hidden layer while training.
    learning_rate : float
    epochs : int
        At most as many.
    batch_size : int
    patience : int
        Epochs without a lower validation loss before training stops; the best weights are kept.
    validation : float
        Share of the groups (pictures) that is held out to stop by.
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

    def fit(self, X: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None) -> "KerasHead":
        """Train a new network.

        Parameters
        ----------
        X : ndarray of float32, shape (n, d)
        y : ndarray, shape (n,)
        groups : ndarray, shape (n,), optional
            Rows of one group (the copies of a picture) are all trained on or all held out.
        """
        keras = backend.keras()
        self.classes_, columns = np.unique(y, return_inverse=True)
        inside, outside = self._inner_split(columns, groups)
        self.model_ = self._build(X.shape[1])
        self.model_.compile(
            optimizer=keras.optimizers.Adam(self.learning_rate),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        X = X.astype(np.float32)
        random = np.random.default_rng(self.random_state)
        random.permutation(inside)  # as Keras's own loop did: heads stay what they were
        self.history_: dict[str, list[float]] = {}
        lowest, waited, best = np.inf, 0, self.model_.get_weights()
        for _ in range(self.epochs):
            figures = self._epoch(X, columns, random.permutation(inside))
            if len(outside):
                found = self.model_.test_on_batch(X[outside], columns[outside], return_dict=True)
                figures |= {f"val_{name}": float(value) for name, value in found.items()}
            for name, value in figures.items():
                self.history_.setdefault(name, []).append(value)
            loss = figures.get("val_loss", figures["loss"])
            waited += 1
            if loss < lowest:
                lowest, waited, best = loss, 0, self.model_.get_weights()
            if waited >= self.patience:
                break
        self.model_.set_weights(best)
        return self

    def _epoch(self, X: np.ndarray, columns: np.ndarray, order: np.ndarray) -> dict[str, float]:
        """Train on the rows in this order and return the means of loss and accuracy.

        `Model.fit` would take longer for what is around an epoch than for the epoch.
        """
        weight = self._weights(columns[order])
        batches = np.split(order, range(self.batch_size, len(order), self.batch_size))
        logs = [
            self.model_.train_on_batch(
                X[rows], columns[rows], class_weight=weight, return_dict=True
            )
            for rows in batches
        ]
        shares = [len(rows) / len(order) for rows in batches]
        return {name: float(np.dot(shares, [log[name] for log in logs])) for name in logs[0]}

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
        keras = backend.keras()
        layers = keras.layers
        seeds = iter(range(self.random_state * 1000, (self.random_state + 1) * 1000))

        def dense(units: int, activation: str, initializer: Any, name: str) -> Any:
            penalty = keras.regularizers.L2(self.l2) if self.l2 else None
            return layers.Dense(
                units, activation, kernel_initializer=initializer(seed=next(seeds)),
                kernel_regularizer=penalty, name=name,
            )  # fmt: skip

        stack = [keras.Input((width,)), layers.UnitNormalization(), layers.Rescaling(width**0.5)]
        for number, units in enumerate(self.hidden, start=1):
            stack.append(dense(units, "relu", keras.initializers.HeNormal, f"hidden_{number}"))
            if self.dropout:
                stack.append(layers.Dropout(self.dropout, seed=next(seeds)))
        glorot = keras.initializers.GlorotUniform
        stack.append(dense(len(self.classes_), "softmax", glorot, "probabilities"))
        return keras.Sequential(stack, name="head")

    def _weights(self, columns: np.ndarray) -> dict[int, float] | None:
        if self.class_weight is None:
            return None
        counts = np.bincount(columns, minlength=len(self.classes_))
        return dict(enumerate(len(columns) / (len(counts) * np.maximum(counts, 1))))

    @classmethod
    def of_softmax(cls, kernel: np.ndarray, bias: np.ndarray) -> "KerasHead":
        """Return a fitted head of one softmax layer over rows of length 1.

        Parameters
        ----------
        kernel : ndarray, shape (d, classes)
        bias : ndarray, shape (classes,)
        """
        keras = backend.keras()
        head = cls()
        head.classes_ = np.arange(len(bias))
        head.history_ = {}
        head.model_ = keras.Sequential(
            [
                keras.Input((len(kernel),)),
                keras.layers.UnitNormalization(),
                keras.layers.Dense(len(bias), "softmax", name="probabilities"),
            ],
            name="head",
        )
        head.model_.layers[-1].set_weights([kernel, bias])
        return head

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities, float64 (n, classes); rows sum to 1 in double precision."""
        rows = X.astype(np.float32)
        parts = [rows[i : i + _PREDICT_ROWS] for i in range(0, len(rows), _PREDICT_ROWS)]
        exact = np.concatenate([np.asarray(self.model_(part), np.float64) for part in parts])
        return exact / exact.sum(axis=1, keepdims=True)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the most probable class of each row."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def to_bytes(self) -> tuple[bytes, dict[str, Any]]:
        """Return the fitted head as a ``.keras`` file and plain values for JSON."""
        with tempfile.TemporaryDirectory(prefix="featx-") as folder:
            path = Path(folder) / "head.keras"
            self.model_.save(path)
            saved = path.read_bytes()
        return saved, {
            "parameters": self.get_params(),
            "classes": self.classes_.tolist(),
            "history": self.history_,
        }

    @classmethod
    def from_bytes(cls, saved: bytes, described: Mapping[str, Any]) -> "KerasHead":
        """Return the head that `to_bytes` described, from layers of a fixed list only.

        Raises
        ------
        CorruptError
            When the file holds any other layer.
        """
        head = cls(**described["parameters"])
        head.hidden = tuple(head.hidden)
        head.classes_ = np.array(described["classes"])
        head.history_ = described["history"]
        with zipfile.ZipFile(io.BytesIO(saved)) as archive:
            config = json.loads(archive.read("config.json"))
            weights = safehdf5.arrays(archive.read("model.weights.h5"))
        head.model_ = _rebuilt(list(_layers(config)), dict(weights))
        return head


def _layers(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield class name and settings of each layer of a saved network.

    Raises
    ------
    CorruptError
        When there is any other layer than those of a head.
    """
    if (config["module"], config["class_name"]) != ("keras", "Sequential"):
        raise CorruptError(f"The head is a {config['class_name']}, and no stack of layers.")
    for layer in config["config"]["layers"]:
        name = layer["class_name"]
        if layer["module"] != "keras.layers" or name not in _LAYERS:
            raise CorruptError(f"The head has a layer that it has no use for: {name}.")
        yield name, layer["config"]


def _rebuilt(
    layers: Sequence[tuple[str, Mapping[str, Any]]], weights: Mapping[str, np.ndarray]
) -> Any:
    """Build a network from plain numbers: Keras never sees the configuration of the file."""
    keras = backend.keras()
    width = weights["layers/dense/vars/0"].shape[0]
    network = keras.Sequential([keras.Input((width,))], name="head")
    dense = 0
    for name, config in layers:
        if name == "UnitNormalization":
            network.add(keras.layers.UnitNormalization())
        elif name == "Rescaling":
            network.add(keras.layers.Rescaling(float(config["scale"])))
        elif name == "Dropout":
            network.add(keras.layers.Dropout(float(config["rate"]), seed=0))
        elif name == "Dense":
            place = f"layers/dense{f'_{dense}' if dense else ''}/vars"
            kernel, bias = weights[f"{place}/0"], weights[f"{place}/1"]
            if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
                raise CorruptError("The head's weights are not all finite numbers.")
            activation = {"relu": "relu", "softmax": "softmax"}[config["activation"]]
            layer = keras.layers.Dense(len(bias), activation, name=str(config["name"]))
            network.add(layer)
            layer.set_weights([kernel, bias])
            dense += 1
    return network
