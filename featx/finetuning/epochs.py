"""A network trained on cached features, epoch by epoch, with a checkpoint after each."""

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import backend
from ..cache.file import Cache
from ..network.hardware import has_bfloat16
from ..progress import Progress
from ..storage.unfinished import Checkpoint
from .recipe import Recipe

__all__ = [
    "TrainedEpochs",
    "TrainingImages",
    "epoch_of",
    "probabilities",
    "seconds_an_epoch",
    "train_epochs",
]

log = logging.getLogger("featx")

_PREDICT = 32
_WORTH_COMPILING = 10_000_000  # numbers that are read while training: a hundred images at 14 x 14


@dataclass(frozen=True, eq=False)
class TrainingImages:
    """The images of one training.

    Attributes
    ----------
    cache : Cache
        A cache of features at the cut.
    train, validation : ndarray of int
        Indices of images in the cache. Each epoch trains on another copy of every image;
        validation is on the originals. Without validation images all epochs are run.
    y_train, y_validation : ndarray of int
    classes : int
    """

    cache: Cache
    train: np.ndarray
    y_train: np.ndarray
    validation: np.ndarray
    y_validation: np.ndarray
    classes: int


@dataclass(frozen=True, eq=False)
class TrainedEpochs:
    """The result of a training; the network has the weights of its best epoch.

    Attributes
    ----------
    best_epoch : int
        The epoch with the lowest validation loss; 0 is the network before the training.
    history : dict of list of float
        `loss` and `accuracy` have an item for each epoch; `val_loss` and `val_accuracy` have one
        more at the start, for the network before the training.
    """

    best_epoch: int
    history: dict[str, list[float]]


def train_epochs(
    network: Any,
    training: TrainingImages,
    recipe: Recipe,
    epochs: int,
    *,
    phase: str,
    checkpoint: Checkpoint,
    carried: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> TrainedEpochs:
    """Train the trainable layers of a network.

    Parameters
    ----------
    network : keras.Model
        Features at the cut → probabilities.
    training : TrainingImages
    recipe : Recipe
    epochs : int
        At most as many.
    phase : str
        Name of this training in the checkpoint.
    checkpoint : Checkpoint
        Goes on from what is there of this phase.
    carried : dict, optional
        Plain values of the phases before, kept in the checkpoint.
    progress : callable, optional
        See `progress.Progress`; in batches of all epochs, the detail is the number of this run.
    """
    keras = backend.keras()
    _pull_to_start(network, recipe.l2_sp)
    network.compile(
        optimizer=_optimizer(recipe),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
        jit_compile=_pays_to_compile(len(training.train) * epochs, network.input_shape[1:]),
    )
    network.optimizer.build(network.trainable_variables)
    state = checkpoint.load()
    if state and state.values["phase"] == phase:
        _assign(network.variables, state.arrays["network"])
        _assign(network.optimizer.variables, state.arrays["optimizer"])
        best, values = state.arrays["best"], state.values
        recent = [some for name, some in state.arrays.items() if name.startswith("recent")]
    else:
        best, recent = _values(network.variables), []
        values = {"phase": phase, "epoch": 0, "best_epoch": 0, "history": {}, "carried": carried}
        if len(training.validation):
            _record(values["history"], _validated(network, training))
    batches = -(-len(training.train) // recipe.batch_size)
    begun = values["epoch"] * batches
    while values["epoch"] < epochs and not _is_over(values, recipe):
        epoch = values["epoch"]
        dataset = epoch_of(training, recipe, epoch)
        told = _Batches(network, recipe, epoch, batches, epochs, begun, progress)
        logs = network.fit(dataset, verbose=0, shuffle=False, callbacks=[told.callback()]).history
        _record(values["history"], {name: logs[name][0] for name in ("loss", "accuracy")})
        trained = _values(network.trainable_variables)
        recent = [*recent, trained][-recipe.average :]
        _assign(
            network.trainable_variables, [np.mean(some, 0) for some in zip(*recent, strict=True)]
        )
        if len(training.validation):
            _record(values["history"], _validated(network, training))
        values["epoch"] = epoch + 1
        log.info("Epoch %d (%s): %s", epoch + 1, phase, _last(values["history"]))
        losses = values["history"].get("val_loss")
        if losses is None or losses[-1] < min(losses[:-1]):
            best, values["best_epoch"] = _values(network.variables), epoch + 1
        _assign(network.trainable_variables, trained)
        arrays = {
            "network": _values(network.variables),
            "optimizer": _values(network.optimizer.variables),
            "best": best,
            **{f"recent {number}": some for number, some in enumerate(recent)},
        }
        checkpoint.save(arrays, values)
    _assign(network.variables, best)
    return TrainedEpochs(values["best_epoch"], values["history"])


def _pays_to_compile(images: int, shape: Sequence[int]) -> bool | str:
    """Return whether XLA compiles the training: not worth it for little.

    On processors with AVX2 alone it is a half faster; on those that multiply bfloat16 natively,
    TensorFlow's own kernels are (docs/performance.md).
    """
    if has_bfloat16():
        return False
    return True if images * int(np.prod(shape)) > _WORTH_COMPILING else "auto"


def _optimizer(recipe: Recipe) -> Any:
    optimizers = backend.keras().optimizers
    common = {
        "learning_rate": recipe.learning_rate,
        "weight_decay": recipe.weight_decay or None,
    }
    if recipe.optimizer == "sgd":
        return optimizers.SGD(momentum=0.9, **common)
    return optimizers.Adam(**common)


def _pull_to_start(network: Any, strength: float) -> None:
    """Have the loss grow with the distance of the trained weights from those they have now."""
    if not strength:
        return
    keras = backend.keras()

    def penalty(start: Any) -> Any:
        return lambda weights: strength / 2 * keras.ops.sum((weights - start) ** 2)

    for variable in network.trainable_variables:
        variable.regularizer = penalty(keras.Variable(variable.numpy(), trainable=False))


def _is_over(values: dict[str, Any], recipe: Recipe) -> bool:
    waited = values["epoch"] - values["best_epoch"]
    return "val_loss" in values["history"] and waited >= recipe.patience


def _record(history: dict[str, list[float]], logs: dict[str, float]) -> None:
    for name, value in logs.items():
        history.setdefault(name, []).append(float(value))


def _last(history: dict[str, list[float]]) -> str:
    names = {"loss": "loss", "accuracy": "accuracy", "val_loss": "validation loss",
             "val_accuracy": "accuracy"}  # fmt: skip
    return ", ".join(
        f"{title} {history[name][-1]:.4f}" for name, title in names.items() if name in history
    )


def _values(variables: Sequence[Any]) -> list[np.ndarray]:
    return [variable.numpy() for variable in variables]


def _assign(variables: Sequence[Any], values: Sequence[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _validated(network: Any, training: TrainingImages) -> dict[str, float]:
    found = probabilities(network, training.cache, training.validation)
    truth = np.maximum(found[np.arange(len(found)), training.y_validation], 1e-15)
    right = found.argmax(axis=1) == training.y_validation
    return {"val_loss": float(-np.log(truth).mean()), "val_accuracy": float(right.mean())}


def probabilities(network: Any, cache: Cache, images: np.ndarray) -> np.ndarray:
    """Return the probabilities of the originals, float64 (n, classes); rows sum to 1."""
    found = []
    for start in range(0, len(images), _PREDICT):
        blocks = cache.blocks(images[start : start + _PREDICT], 0)
        features = np.concatenate([some.features[:, 0] for _, some in blocks]).astype(np.float32)
        # The batch always has the same size, so that the function is compiled once.
        padding = np.zeros((_PREDICT - len(features), *features.shape[1:]), np.float32)
        out = network.predict_on_batch(np.concatenate([features, padding]))
        found.append(np.asarray(out, np.float64)[: len(features)])
    rows = np.concatenate(found)
    return rows / rows.sum(axis=1, keepdims=True)


def epoch_of(training: TrainingImages, recipe: Recipe, epoch: int) -> Any:
    """Return the batches of an epoch: an order and a copy of each image of its own."""
    keras = backend.keras()
    random = np.random.default_rng([recipe.seed, epoch])
    order = random.permutation(len(training.train))
    copies = random.integers(1 + training.cache.fingerprint.copies, size=len(order))
    weights = _class_weights(training, recipe)

    class Epoch(keras.utils.PyDataset):  # type: ignore[name-defined]
        def __len__(self) -> int:
            return -(-len(order) // recipe.batch_size)

        def __getitem__(self, number: int) -> tuple[np.ndarray, ...]:
            # A copy of an image is one chunk of the file: reading any of them costs the same.
            chosen = order[number * recipe.batch_size : (number + 1) * recipe.batch_size]
            images = training.train[chosen].tolist()
            features = [
                training.cache.features[image, copy]
                for image, copy in zip(images, copies[chosen].tolist(), strict=True)
            ]
            labels = training.y_train[chosen]
            truth = np.eye(training.classes, dtype=np.float32)[labels]
            batch = (np.stack(features).astype(np.float32), truth, weights[labels])
            return _varied(batch, recipe, np.random.default_rng([recipe.seed, epoch, number]))

    return Epoch()


def _varied(
    batch: tuple[np.ndarray, ...], recipe: Recipe, random: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Return a batch of maps, truth and weights with some maps mirrored, and pairs mixed."""
    if recipe.flip:
        flipped = random.random(len(batch[0])) < 0.5
        batch[0][flipped] = batch[0][flipped, :, ::-1]
    if recipe.mixup:
        share = random.beta(recipe.mixup, recipe.mixup)
        other = random.permutation(len(batch[0]))
        return tuple(np.float32(share) * x + np.float32(1 - share) * x[other] for x in batch)
    return batch


def _class_weights(training: TrainingImages, recipe: Recipe) -> np.ndarray:
    if recipe.class_weight is None:
        return np.ones(training.classes, np.float32)
    counts = np.bincount(training.y_train, minlength=training.classes)
    return (len(training.y_train) / (training.classes * np.maximum(counts, 1))).astype(np.float32)


@dataclass(frozen=True, eq=False)
class _Batches:
    """What happens around the batches of an epoch: the learning rate, and the progress."""

    network: Any
    recipe: Recipe
    epoch: int
    batches: int
    epochs: int
    begun: int
    progress: Progress | None

    def callback(self) -> Any:
        """Return these as a Keras callback."""
        return backend.keras().callbacks.LambdaCallback(
            on_train_batch_begin=lambda batch, logs: self._begin(batch),
            on_train_batch_end=lambda batch, logs: self._end(batch),
        )

    def _begin(self, batch: int) -> None:
        step = self.epoch * self.batches + batch + 1
        rise = min(1.0, step / max(1.0, self.recipe.warmup * self.batches))
        fall = 1.0
        if self.recipe.cosine:  # over the epochs that there may be, and not those that are run
            fall = (1 + math.cos(math.pi * (step - 1) / (self.recipe.epochs * self.batches))) / 2
        self.network.optimizer.learning_rate = rise * fall * self.recipe.learning_rate

    def _end(self, batch: int) -> None:
        if self.progress:
            done = self.epoch * self.batches + batch + 1
            self.progress(done, self.epochs * self.batches, done - self.begun)


def seconds_an_epoch(network: Any, images: int) -> float:
    """Estimate what an epoch takes from a pass forward, which is compiled already.

    The pass back is about two more (once for the features, once for the weights).
    """
    features = np.random.default_rng(0).random((_PREDICT, *network.input_shape[1:]), np.float32)
    times = []
    for _ in range(2):
        begun = time.perf_counter()
        network.predict_on_batch(features)
        times.append(time.perf_counter() - begun)
    return 3 * min(times) * images / _PREDICT
