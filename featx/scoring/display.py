"""What evaluating and choosing show of themselves: a line, tables, plots."""

from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import printable
from ..metrics import Scores
from ..model.display import mistakes_table
from ..showing.display import Display, Part, Table
from ..showing.scores import ScoresDisplay, accuracy_words, score_terms
from ..showing.words import number_of, shortened

__all__ = ["EvaluateDisplay", "NextDisplay"]

_MOST_CLASSES = 40


class EvaluateDisplay(ScoresDisplay):
    """What an evaluation shows of itself; its plots are of the images that it is about."""

    classes: tuple[str, ...]
    scores: Scores
    by_class: Any
    mistakes: Any
    rule: str
    trained_on: int
    unlabelled: int
    unknown: dict[str, int]
    skipped: Any

    def _line(self) -> str:
        return f"{number_of(self.scores.images, 'image')}, accuracy {accuracy_words(self.scores)}"

    def _parts(self) -> Iterable[Part]:
        yield {
            "images": f"{self.scores.images:,}: {self.rule}",
            **score_terms(self.scores),
            "left out": f"{number_of(self.trained_on, 'image')} that the model was trained on"
            if self.trained_on
            else "",
            "without a label": self.unlabelled or "",
            "of unknown classes": shortened(self.unknown),
            "skipped": len(self.skipped) or "",
        }
        yield Table(
            ["class", "precision", "recall", "F1", "images"],
            [
                [name, row["precision"], row["recall"], row["f1"], row["images"]]
                for name, row in zip(self.classes, self.by_class, strict=True)
            ],
            most=_MOST_CLASSES,
        )
        yield mistakes_table("Most confident mistakes", self.mistakes)

    def _scored(self) -> tuple[Sequence[str], Scores]:
        return self.classes, self.scores


class NextDisplay(Display):
    """What a choice of images to label shows of itself."""

    chosen: Any
    listed: int
    trained_on: int
    labelled: int
    skipped: Any
    out: Any

    def _line(self) -> str:
        return (
            f"{len(self.chosen):,} of {number_of(self.listed, 'image')} to label in "
            f"{printable(self.out)}"
        )

    def _parts(self) -> Iterable[Part]:
        yield {
            "trained on already": self.trained_on or "",
            "labelled already": self.labelled or "",
            "skipped": len(self.skipped) or "",
        }
        yield Table(
            ["image", "predicted", "confidence", "margin", "novelty"],
            [[one.path, one.predicted, one.confidence, one.margin, one.novelty]
             for one in self.chosen],
        )  # fmt: skip
