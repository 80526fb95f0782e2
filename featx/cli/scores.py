"""How well a model does, in sentences: shared by fit and evaluate."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..errors import printable
from .terminal import fits, print_table, say, say_wrapped

if TYPE_CHECKING:
    from ..metrics import Scores
    from ..model.predictions import Mistake

__all__ = ["print_confusion", "print_mistakes", "print_reliability", "print_scores"]

_MOST_CLASSES = 12
_MOST_PAIRS = 10
#: Images that a row of the reliability table needs: the accuracy of fewer is mostly chance.
_ENOUGH = 10
_LEAST_ROWS = 3

Interval = tuple[float, float]


def print_scores(scores: "Scores", what: str, intervals: Mapping[str, Interval]) -> None:
    """Write the scores, a sentence each that says which values are good.

    Parameters
    ----------
    scores : Scores
    what : str
        What the images are, such as "test images".
    intervals : mapping
        95 % intervals of some of the scores, by the name of the score.
    """
    from ..metrics import share_interval

    right = int(scores.confusion.trace())
    low, high = share_interval(right, scores.images)
    say_wrapped(
        f"{right} of {scores.images} {what} are right (95 % interval {math.floor(100 * low)} to "
        f"{math.ceil(100 * high)} %)."
    )
    classes = len(scores.confusion)
    lines = (
        f"Accuracy {scores.accuracy:.4f}{_within(intervals, 'accuracy')}: the share of the images "
        "that are right.",
        f"Balanced accuracy {scores.balanced_accuracy:.4f}{_within(intervals, 'balanced_accuracy')}"
        f": the same with every class counting equally. Macro F1 {scores.macro_f1:.4f}"
        f"{_within(intervals, 'macro_f1')}: 1 is best.",
        f"Log loss {scores.log_loss:z.4f}{_within(intervals, 'log_loss')}: 0 is best; giving all "
        f"{classes} classes the same probability has {math.log(classes):.4f}.",
        f"Calibration error {scores.calibration_error:.4f}: 0 is best; on average, confidence and "
        f"accuracy are {100 * scores.calibration_error:.1f} percentage points apart.",
    )
    for line in lines:
        say_wrapped(line, "  ")


def _within(intervals: Mapping[str, Interval], name: str) -> str:
    low, high = intervals.get(name, (None, None))
    return "" if low is None else f" ({low:z.4f} to {high:z.4f})"


def print_reliability(scores: "Scores") -> None:
    """Write accuracy by confidence, where there are enough images for it to say something."""
    rows = [
        [f"{row['confidence']:.3f}", f"{row['accuracy']:.3f}", f"{int(row['images']):,}"]
        for row in scores.reliability
        if row["images"] >= _ENOUGH
    ]
    if len(rows) >= _LEAST_ROWS:
        say()
        title = "Reliability: accuracy should be close to confidence in every row"
        few = "" if len(rows) == len(scores.reliability) else f" (rows of {_ENOUGH} images or more)"
        print_table(title + few, ["confidence", "accuracy", "images"], rows)
    else:
        say_wrapped(
            f"Reliability is not shown as a table: fewer than {_LEAST_ROWS} ranges of confidence "
            f"have {_ENOUGH} images or more (--json lists all).",
            "  ",
        )


def print_mistakes(title: str, mistakes: "Sequence[Mistake]") -> None:
    """Write wrong predictions as a table, after an empty line; nothing where there are none."""
    if not mistakes:
        return
    say()
    rows = [
        [printable(row.path), printable(row.true), printable(row.predicted),
         f"{row.confidence:.3f}"]
        for row in mistakes
    ]  # fmt: skip
    heads = ["path", "true", "predicted", "confidence"]
    print_table(title, heads, rows, left=["true", "predicted"])


def print_confusion(classes: Sequence[str], confusion: Sequence[Sequence[int]]) -> None:
    """Write the confusion matrix; of many classes, the pairs that are confused most."""
    names = [printable(name) for name in classes]
    heads = ["true \\ predicted", *names]
    rows = [
        [name, *(str(count) if count else "·" for count in counts)]
        for name, counts in zip(names, confusion, strict=True)
    ]
    if len(classes) <= _MOST_CLASSES and fits(heads, rows):
        print_table("Confusion: rows are true classes, columns predicted ones", heads, rows)
        return
    pairs = [
        (count, names[true], names[predicted])
        for true, counts in enumerate(confusion)
        for predicted, count in enumerate(counts)
        if count and true != predicted
    ]
    if not pairs:
        say("Confusion: no class is taken for another")
        return
    pairs.sort(key=lambda pair: (-pair[0], pair[1:]))
    rows = [[true, predicted, str(count)] for count, true, predicted in pairs[:_MOST_PAIRS]]
    title = "Confusion: the classes that are confused most (all in --json)"
    print_table(title, ["true", "predicted", "images"], rows, left=["predicted"])
