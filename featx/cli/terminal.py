"""What commands share in writing to the terminal: lines, tables, JSON, the next step."""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import printable

if TYPE_CHECKING:
    from ..metrics import Scores

__all__ = [
    "confusion_table",
    "human_bytes",
    "say",
    "say_next",
    "say_scores",
    "say_skipped",
    "table",
    "warn",
    "width",
    "write_json",
]

_MOST_CLASSES = 12
_MOST_PAIRS = 10
_MOST_SKIPPED = 20
#: A reliability table of fewer bins, or with fewer images in them, says nothing.
_FEWEST_BINS = 3
_FEWEST_IN_BIN = 10


def say(line: str = "") -> None:
    """Write a line to standard output."""
    sys.stdout.write(line + "\n")


def warn(line: str) -> None:
    """Write a line to the error stream."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def say_next(command: str, why: str, *, quiet: bool = False) -> None:
    """Name the command that usually comes next."""
    if not quiet:
        say()
        say(f"Next: {command}   ({why})")


def write_json(content: Mapping[str, Any]) -> None:
    """Write one JSON object to standard output."""
    say(json.dumps(content, indent=2))


def width() -> int | None:
    """Return the columns of the terminal; None where the output is piped: nothing is cut then."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def human_bytes(count: float) -> str:
    """Return a number of bytes for people.

    Examples
    --------
    >>> human_bytes(999), human_bytes(21_345_678)
    ('999 bytes', '21.3 MB')
    """
    if count < 1000:
        return f"{count:.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 1000 or unit == "GB":
            break
    return f"{count:.1f} {unit}"


def table(title: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table; columns after the first are aligned to the right."""
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, highlight=False, width=width() or 1000)
    drawn = Table(title=title or None, title_justify="left", title_style="bold", box=None)
    for number, name in enumerate(names):
        drawn.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*row)
    console.print(drawn)


def confusion_table(classes: Sequence[str], confusion: Sequence[Sequence[int]]) -> None:
    """Write the confusion matrix; of many classes, the pairs that are confused most."""
    if len(classes) <= _MOST_CLASSES:
        rows = [
            [printable(name), *(str(count) if count else "·" for count in counts)]
            for name, counts in zip(classes, confusion, strict=True)
        ]
        table("Confusion", ["true \\ predicted", *map(printable, classes)], rows)
        return
    pairs = [
        (count, printable(classes[true]), printable(classes[predicted]))
        for true, counts in enumerate(confusion)
        for predicted, count in enumerate(counts)
        if count and true != predicted
    ]
    pairs.sort(key=lambda pair: (-pair[0], pair[1:]))
    rows = [[true, predicted, str(count)] for count, true, predicted in pairs[:_MOST_PAIRS]]
    table("Confused most (all in --json)", ["true", "predicted", "images"], rows)


def say_scores(scores: "Scores", what: str) -> None:
    """Write the scores of a model in sentences.

    Parameters
    ----------
    scores : Scores
    what : str
        Which images these are, such as "test images".
    """
    from ..metrics import share_interval

    right = round(scores.accuracy * scores.images)
    low, high = share_interval(right, scores.images)
    say(
        f"{right} of {scores.images} {what} are right: accuracy {scores.accuracy:.4f} "
        f"(95 % interval {low:.0%} to {high:.0%})."
    )
    say(
        f"  balanced accuracy {scores.balanced_accuracy:.4f} and macro F1 {scores.macro_f1:.4f} "
        "(every class counts alike; 1 is best)"
    )
    say(
        f"  log loss {scores.log_loss:.4f} (0 is best; {_guess(scores):.2f} is guessing), "
        f"calibration error {scores.calibration_error:.4f} (0 is best)"
    )
    rows = [
        [f"{row['confidence']:.3f}", f"{row['accuracy']:.3f}", str(int(row["images"]))]
        for row in scores.reliability
        if row["images"] >= _FEWEST_IN_BIN
    ]
    if len(rows) >= _FEWEST_BINS:
        say()
        table(
            "How often a label of some confidence is right",
            ["confidence", "right", "images"],
            rows,
        )


def _guess(scores: "Scores") -> float:
    """Return the log loss of equal probabilities for all classes."""
    import math

    return math.log(len(scores.confusion))


def say_skipped(skipped: Sequence[tuple[str, str]]) -> None:
    """Write the first of the skipped images, (path, reason) each, to the error stream."""
    from ..images.decode import REASONS

    for path, reason in skipped[:_MOST_SKIPPED]:
        warn(f"  skipped {printable(path)}: {reason}, {REASONS.get(reason, '')}")
    if len(skipped) > _MOST_SKIPPED:
        warn(f"  … and {len(skipped) - _MOST_SKIPPED} more (--json lists all)")
