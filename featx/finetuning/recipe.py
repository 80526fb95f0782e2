"""How the last layers are trained: settings, checked when they are made."""

import math
from dataclasses import dataclass
from typing import TypedDict

from ..errors import InputError, require_one_of
from ..names import ClassWeight, LayerName, OptimizerName

__all__ = ["OPTIMIZERS", "FinetuneChanges", "FinetuneSettings", "Recipe"]

OPTIMIZERS = ("adam", "sgd")


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes
    ----------
    epochs : int
        Maximum number of epochs.
    optimizer : {"adam", "sgd"}
        SGD has a momentum of 0.9.
    learning_rate : float
    warmup : float
        Epochs of linear learning-rate warm-up from 0; fractions are allowed.
    batch_size : int
    weight_decay : float
        Decoupled weight decay, as in AdamW (Loshchilov and Hutter 2019).
    label_smoothing : float
        Label smoothing factor, 0 to below 1.
    l2_sp : float
        Strength of an L2 penalty on the distance of all trained weights from where they start:
        half of its square times this (L2-SP, Li, Grandvalet and Davoine 2018), in place of an L2
        penalty that the head itself has. The losses of training in the curves include it.
    cosine : bool
        Whether the learning rate falls to 0 over `epochs` like half a cosine (Loshchilov and Hutter
        2017).
    flip : bool
        Whether half of the cached maps are mirrored at random, left to right.
    mixup : float
        Parameter a of Beta(a, a), by which pairs of maps and of labels are mixed (Zhang et al.
        2018); 0 mixes none.
    average : int
        The weights that count after an epoch are the mean over the last epochs, this many.
    patience : int
        Epochs without a lower validation loss before training stops.
    class_weight : {None, "balanced"}
        By default that of the head.
    seed : int
        Seed of the order of the images and of the choice of copies.
    """

    epochs: int = 10
    optimizer: str = "adam"
    learning_rate: float = 1e-5
    warmup: float = 0.5
    batch_size: int = 32
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    l2_sp: float = 0.0
    cosine: bool = False
    flip: bool = False
    mixup: float = 0.0
    average: int = 1
    patience: int = 2
    class_weight: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        require_one_of("optimizer", self.optimizer, OPTIMIZERS)
        at_least = dict.fromkeys(("epochs", "batch_size", "patience", "average"), 1)
        at_least |= dict.fromkeys(("warmup", "weight_decay", "l2_sp", "mixup"), 0)
        for name, least in at_least.items():
            if not least <= getattr(self, name) < math.inf:
                raise InputError(f"{name} is {getattr(self, name)}. Expected {least} or more.")
        if not 0 < self.learning_rate < math.inf:
            raise InputError(f"learning_rate is {self.learning_rate}. Expected more than 0.")
        if self.class_weight is not None:
            require_one_of("class weight", self.class_weight, ("balanced",))
        if not 0 <= self.label_smoothing < 1:
            raise InputError(f"label_smoothing is {self.label_smoothing}. Expected 0 to below 1.")


@dataclass(frozen=True)
class FinetuneSettings(Recipe):
    """Which layers are trained, and how; the fields of `Recipe` are settings too.

    Attributes
    ----------
    unfreeze : int, optional
        How many of the last layers are trained, pools included; by default 4 of VGG16 and of the
        small networks, and fewer of those whose layers are larger blocks.
    start : str, optional
        The first of them, in place of `unfreeze`.
    dropout : float
        Share of the inputs of the last layer that is left out while training.
    validation : float
        Share of the training images that is held out to choose the epoch by, and whether the
        head stays; a given `val` split is taken instead.
    force : bool
        Keep the fine-tuned network even where it is no better.
    overwrite : bool
        Replace a model that exists, and start again, whatever an interrupted run left.
    """

    unfreeze: int | None = None
    start: str | None = None
    dropout: float = 0.0
    validation: float = 0.15
    force: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout is {self.dropout:g}. Expected 0 to below 1.")
        if not 0 < self.validation <= 0.5:
            raise InputError(f"validation is {self.validation:g}. Expected 0 to 0.5.")


class FinetuneChanges(TypedDict, total=False):
    """The fields of `FinetuneSettings` as keywords, for editors and type checkers."""

    epochs: int
    optimizer: OptimizerName
    learning_rate: float
    warmup: float
    batch_size: int
    weight_decay: float
    label_smoothing: float
    l2_sp: float
    cosine: bool
    flip: bool
    mixup: float
    average: int
    patience: int
    class_weight: ClassWeight | None
    seed: int
    unfreeze: int | None
    start: LayerName | str | None
    dropout: float
    validation: float
    force: bool
    overwrite: bool
