"""The head that fine-tuning starts from: its name, its parameters and its view."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..heads.registry import HEADS
from ..heads.training import Examples, train
from ..metrics import METRICS
from ..model.model import Model
from ..network.views import VIEWS

__all__ = ["HeadKind"]

log = logging.getLogger("featx")


@dataclass(frozen=True)
class HeadKind:
    """A head that is not fitted yet.

    Attributes
    ----------
    name : str
        A key of `registry.HEADS`.
    options : dict
        The head's parameters, `class_weight` among them.
    view : str
        A key of `views.VIEWS`.
    """

    name: str
    options: dict[str, Any]
    view: str

    @classmethod
    def of(cls, model: Model) -> "HeadKind":
        """Return the head of a model; of a fine-tuned model, the head it was tuned from."""
        name = model.settings.get("tuned_from", model.head_name)
        return cls(name, _options(name, model.settings), model.view.name)

    @property
    def can_be_layers(self) -> bool:
        """Whether the head can become layers after the network's last one."""
        return HEADS[self.name].layers and VIEWS[self.view].pool is not None

    def or_layers(self, model: Model) -> "HeadKind":
        """Return this head, or the best of the leaderboard that can become layers, or `ridge`.

        What a head of the model's own kind cannot be as layers, `ridge` on avg is nearly.
        """
        if self.can_be_layers:
            return self
        for entry in (model.report["leaderboard"] or {}).get("entries", []):
            name, view = entry["head"], entry.get("view") or entry["pool"]  # its former name
            if name not in HEADS or entry["error"]:
                continue
            kind = HeadKind(name, _options(name, entry["settings"]), view)
            if kind.can_be_layers:
                log.warning(
                    "The head %s on %s cannot become layers after the network. Fine-tuning starts "
                    "from %s on %s, the best of the leaderboard that can.",
                    self.name, self.view, name, view,
                )  # fmt: skip
                return kind
        log.info(
            "The head %s on %s cannot become layers after the network. Fine-tuning starts from "
            "ridge on avg.", self.name, self.view,
        )  # fmt: skip
        return HeadKind("ridge", {}, "avg")

    def fitted(self, examples: Examples, seed: int) -> Any:
        """Fit the head to examples and calibrate it as `fit` does; return the classifier.

        Raises
        ------
        InputError
            When the head cannot learn from these examples.
        """
        head = HEADS[self.name]
        candidates = [{**head.default_params, **self.options}]
        metric = METRICS["accuracy"]
        return train(head, examples, candidates=candidates, metric=metric, seed=seed).classifier


def _options(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are parameters of the head; lists from JSON are tuples again."""
    known = {*HEADS[name].default_params, "class_weight"}
    return {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in settings.items()
        if key in known
    }
