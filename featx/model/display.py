"""What a model and its fit show of themselves: a line, tables, plots."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from ..errors import InputError, printable
from ..metrics import Scores
from ..network.fingerprint import Fingerprint, TrunkFingerprint
from ..network.networks import DEFAULT
from ..network.tail import Tail
from ..network.views import View
from ..showing.display import Part, Table
from ..showing.scores import ScoresDisplay, score_terms
from ..showing.words import number_of, shortened

__all__ = ["FitDisplay", "ModelDisplay", "mistakes_table"]

_NAMED = 8  # classes in a short description


class ModelDisplay(ScoresDisplay):
    """What a model shows of itself; its plots are of the test images of its fit."""

    head_name: str
    settings: dict[str, Any]
    view: View
    classes: tuple[str, ...]
    fingerprint: Fingerprint
    provider: str
    report: dict[str, Any]
    training: dict[str, np.ndarray]
    tail: Tail | None
    digest: str

    def _line(self) -> str:
        classes = ", ".join(map(printable, self.classes[:_NAMED]))
        more = f", … {len(self.classes) - _NAMED} more" if len(self.classes) > _NAMED else ""
        tuned = f", fine-tuned from {self.tail.layers[0]}" if self.tail else ""
        seen = " and ".join(self._seen(one.trunk) for one in self.fingerprint.each)
        count = number_of(len(self.classes), "class", "classes")
        return f"{self.head_name} on {self.view.name} of {seen}{tuned}; {count}: {classes}{more}"

    def _seen(self, trunk: TrunkFingerprint) -> str:
        """Return which features it sees of a network, in words."""
        network = "" if trunk.network == DEFAULT else f"{trunk.network}'s "
        return f"{network}{self.tail.until if self.tail else trunk.cut} at {trunk.size} px"

    def _parts(self) -> Iterable[Part]:
        options = {k: v for k, v in self.settings.items() if k not in ("view", "seed")}
        yield {
            "settings": ", ".join(f"{name}={value}" for name, value in options.items()),
            "trained on": number_of(len(self.training.get("digests", ())), "image"),
            "weights": self.provider,
            "precision": ", ".join(
                dict.fromkeys(f"{one.precision} by {one.runtime}" for one in self.fingerprint.each)
            ),
            "threshold": _threshold(self.report.get("threshold")),
            "SHA-256": f"{self.digest[:16]}…" if self.digest else "not saved",
        }
        if self.report.get("test"):
            yield "Scores on the test images, which it was not trained on:"
            yield score_terms(self._scored()[1])
        tuning = self.report.get("tuning")
        if tuning:
            yield str(tuning["reason"])

    def _scored(self) -> tuple[Sequence[str], Scores]:
        found = self.report.get("test")
        if not found:
            raise InputError(
                "The model has no scores on test images. Try it on images with labels: "
                "featx.evaluate(model, images) has these plots too."
            )
        known = {field.name: found[field.name] for field in fields(Scores)}
        return self.classes, Scores(**{**known, "confusion": np.array(found["confusion"])})


def _threshold(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    at = found["out_of_fold"]["confidence"]
    return f"a confidence of {at:.6g} for a precision of {found['target_precision']:g}"


class FitDisplay(ScoresDisplay):
    """What a fit shows of itself; its plots are of the test images."""

    model: Any
    test: Scores
    train_images: int
    rule: str
    left_out: int
    left_out_classes: dict[str, int]
    unlabelled: int
    leaderboard: Any
    tested: Any
    out: Any
    seconds: float

    def _line(self) -> str:
        model = self.model
        return (
            f"{model.head_name} on {model.view.name}, accuracy {self.test.accuracy:.4f} on "
            f"{number_of(self.test.images, 'test image')}, saved as {printable(self.out)}"
        )

    def _parts(self) -> Iterable[Part]:
        board = self.leaderboard
        yield {
            "trained on": number_of(self.train_images, "image"),
            "tested on": f"{number_of(self.test.images, 'image')}: {self.rule}",
            "chosen of": number_of(len(board.entries), "entry", "entries") if board else "",
            "left out": f"{self.left_out:,}, equal to test images or of their groups"
            if self.left_out
            else "",
            "classes left out": shortened(self.left_out_classes),
            "without a label": self.unlabelled or "",
            **score_terms(self.test),
            "seconds": f"{self.seconds:.1f}",
        }
        yield mistakes_table("Most confident mistakes on the test images", self.tested.mistakes())

    def _scored(self) -> tuple[Sequence[str], Scores]:
        return self.model.classes, self.test


def mistakes_table(title: str, mistakes: Sequence[Any]) -> Table:
    """Return images that were taken for another class as a table."""
    return Table(
        ["image", "true", "predicted", "confidence"],
        [[one.path, one.true, one.predicted, one.confidence] for one in mistakes],
        title,
    )
