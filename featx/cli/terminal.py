"""What people see in the terminal: progress on the error stream, results on standard output."""

import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ..errors import printable

if TYPE_CHECKING:
    from ..cache.extract import ExtractResult
    from ..finetuning.finetune import FinetuneResult
    from ..heads.leaderboard import CompareResult
    from ..model.export import ExportResult
    from ..model.fit import FitResult
    from ..model.verify import VerifyResult
    from ..scoring.evaluate import EvaluateResult
    from ..scoring.score import ScoreResult

__all__ = [
    "Meter",
    "print_described",
    "print_evaluation",
    "print_exported",
    "print_extraction",
    "print_finetuned",
    "print_fitted",
    "print_leaderboard",
    "print_scored",
    "print_skipped",
    "print_verified",
    "say",
    "warn",
    "write_json",
]

_PLAIN_SECONDS = 10.0
_MOST_CLASSES = 12
_MOST_PAIRS = 10
_MOST_SKIPPED = 20


def say(line: str = "") -> None:
    """Write a line to standard output."""
    sys.stdout.write(line + "\n")


def warn(line: str) -> None:
    """Write a line to the error stream."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def write_json(content: Mapping[str, Any]) -> None:
    """Write one JSON object to standard output."""
    say(json.dumps(content, indent=2))


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table; columns after the first are aligned to the right."""
    # Without a terminal there is no width to keep to: nothing is folded or cut.
    console = Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else 1000)
    drawn = Table(title=title or None, title_justify="left", title_style="bold", box=None)
    for number, head in enumerate(heads):
        drawn.add_column(head, justify="right" if number else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*row)
    console.print(drawn)


def _confusion_table(classes: Sequence[str], confusion: Sequence[Sequence[int]]) -> None:
    """Write the confusion matrix; of many classes, the pairs that are confused most."""
    if len(classes) <= _MOST_CLASSES:
        rows = [
            [printable(name), *(str(count) if count else "·" for count in counts)]
            for name, counts in zip(classes, confusion, strict=True)
        ]
        _table("Confusion", ["true \\ predicted", *map(printable, classes)], rows)
        return
    pairs = [
        (count, printable(classes[true]), printable(classes[predicted]))
        for true, counts in enumerate(confusion)
        for predicted, count in enumerate(counts)
        if count and true != predicted
    ]
    pairs.sort(key=lambda pair: (-pair[0], pair[1:]))
    rows = [[true, predicted, str(count)] for count, true, predicted in pairs[:_MOST_PAIRS]]
    _table("Confused most (all in --json)", ["true", "predicted", "images"], rows)


# Results of the stages ----------------------------------------------------------------------


def print_extraction(done: "ExtractResult") -> None:
    """Write what was cached, and what was not."""
    fingerprint = done.fingerprint
    shape = "×".join(map(str, fingerprint.trunk.shape))
    copies = f", {fingerprint.copies} copies of each" if fingerprint.copies else ""
    rate = f" ({done.forward / done.seconds:.1f} a second)" if done.forward else ""
    say(f"{printable(done.out)}: {shape} features at {fingerprint.trunk.cut}{copies}")
    say(
        f"  {done.listed} listed = {done.cached} cached + {done.duplicates} duplicates "
        f"+ {len(done.skipped)} skipped; {len(done.classes)} classes"
    )
    say(f"  {done.reused} reused; {done.forward} through the network in {done.seconds:.1f} s{rate}")
    if done.ignored:
        say(f"  {done.ignored} files that do not look like images were passed over")
    print_skipped([(row.path, row.reason) for row in done.skipped])


def print_leaderboard(board: "CompareResult") -> None:
    """Write the heads, best first, and which of them is the choice."""
    sign = -1 if board.metric == "log-loss" else 1
    rows = []
    for entry in board.entries:
        if entry.error:
            rows.append(
                [entry.head, entry.pool, "failed", "", "", "", "", "", printable(entry.error)]
            )
            continue
        mark = "chosen" if entry is board.choice else "tied" if entry.tied else ""
        settings = ", ".join(f"{name}={value}" for name, value in entry.settings.items())
        shown = [f"{sign * entry.score:.4f}", f"± {entry.half_width:.4f}", mark]
        costs = [f"{entry.fit_seconds:.2f}", f"{entry.score_seconds:.3f}", f"{entry.size:,}"]
        rows.append([entry.head, entry.pool, *shown, *costs, settings])
    heads = ["head", "pool", board.metric, "95 %", "", "fit s", "score s/1000", "bytes", "settings"]
    _table(f"{board.images} images, {board.rule}", heads, rows)
    say(
        f"Tied ones cannot be told from the best; the smallest of them is chosen: "
        f"{board.choice.head} on {board.choice.pool}. ({board.seconds:.1f} s)"
    )


def print_skipped(skipped: Sequence[tuple[str, str]]) -> None:
    """Write the first of the skipped images, (path, reason) each, to the error stream."""
    from ..images.decode import REASONS

    for path, reason in skipped[:_MOST_SKIPPED]:
        warn(f"  skipped {printable(path)}: {reason}, {REASONS.get(reason, '')}")
    if len(skipped) > _MOST_SKIPPED:
        warn(f"  … and {len(skipped) - _MOST_SKIPPED} more (--json lists all)")


def print_fitted(fitted: "FitResult") -> None:
    """Write how well a model does, and where it is."""
    model, test = fitted.model, fitted.test
    if fitted.leaderboard:
        print_leaderboard(fitted.leaderboard)
        say()
    say(
        f"{model.head_name} on {model.pool} features: {fitted.train_images} images "
        f"({fitted.train_rows} rows) to train, {test.images} to test"
    )
    say(f"  {fitted.rule}")
    if fitted.left_out:
        say(f"  {fitted.left_out} training images left out: they equal test images")
    if fitted.unlabelled:
        say(f"  {fitted.unlabelled} images without a label left out")
    if model.provider == "random":
        say("  on RANDOM weights: the scores mean nothing")
    say()
    _confusion_table(model.classes, test.confusion.tolist())
    say()
    rows = [
        [f"{row['confidence']:.3f}", f"{row['accuracy']:.3f}", str(int(row["images"]))]
        for row in test.reliability
    ]
    _table("Reliability", ["confidence", "accuracy", "images"], rows)
    say()
    say(f"Test accuracy      {test.accuracy:.4f}")
    say(f"Balanced accuracy  {test.balanced_accuracy:.4f}")
    say(f"Macro F1           {test.macro_f1:.4f}")
    say(f"Log loss           {test.log_loss:.4f}")
    say(f"Calibration error  {test.calibration_error:.4f}")
    if fitted.target_precision is not None:
        _print_threshold(fitted)
    say(f"Model              {printable(fitted.out)} ({fitted.seconds:.1f} s)")


def _print_threshold(fitted: "FitResult") -> None:
    limit, test = fitted.threshold, fitted.threshold_test
    if limit is None or test is None:
        say(f"Threshold          none: a precision of {fitted.target_precision:g} is not reached")
        return
    confidence = math.floor(limit.confidence * 1e6) / 1e6
    say(
        f"Threshold          --abstain {confidence:g} labels {limit.share:.1%} of the images and "
        f"is right on {limit.precision:.2%} of those (out of fold; test: {test.share:.1%}, "
        f"{test.precision:.2%})"
    )


def print_scored(scored: "ScoreResult") -> None:
    """Write how many rows there are of what."""
    new = scored.listed - scored.resumed
    rate = f" ({new / scored.seconds:,.1f} a second)" if new and scored.seconds else ""
    say(f"{printable(scored.out)}: {scored.listed:,} rows")
    failed = sum(scored.failed.values())
    say(f"  {scored.listed:,} listed = {scored.ok:,} scored + {failed:,} failed")
    if scored.resumed:
        say(f"  {scored.resumed:,} of them by a run before")
    counts = sorted(scored.labels.items(), key=lambda item: (-item[1], item[0]))
    for name, count in counts[:_MOST_CLASSES]:
        say(f"  {count:>9,}  {printable(name)}")
    if len(counts) > _MOST_CLASSES:
        say(f"  … and {len(counts) - _MOST_CLASSES} more classes (--json lists all)")
    if scored.undecided:
        say(
            f"  {scored.undecided:>9,}  without a label: too little confidence, or too much novelty"
        )
    say(f"  in {scored.seconds:.1f} s{rate}")
    if scored.failed:
        from ..images.decode import REASONS

        for reason, count in scored.failed.items():
            warn(f"  {count:,} failed: {reason}, {REASONS.get(reason, '')}")


def print_finetuned(found: "FinetuneResult") -> None:
    """Write what fine-tuning came to."""
    tuning = found.model.report["tuning"]
    say(found.reason)
    say()
    rows = [
        [name, f"{test.accuracy:.4f}", f"{test.balanced_accuracy:.4f}", f"{test.log_loss:.4f}",
         "kept" if (name == "tuned") == found.kept else ""]
        for name, test in (("head", found.head_test), ("tuned", found.tuned_test))
    ]  # fmt: skip
    title = f"{found.head_test.images} test images"
    _table(title, ["", "accuracy", "balanced accuracy", "log loss", ""], rows)
    say()
    say(f"Trained            {', '.join(tuning['layers'])} and the head, from {tuning['head']}")
    say(f"Epochs             {tuning['epochs']}")
    say(f"Cache              {printable(found.cache)}")
    say(f"Model              {printable(found.out)} ({found.seconds:.1f} s)")


def print_exported(written: "ExportResult") -> None:
    """Write what was exported."""
    side = written.size
    say(f"{printable(written.out)}: {written.bytes / 1e6:.0f} MB")
    say(f"  takes uint8 RGB images (n, {side}, {side}, 3), gives {len(written.classes)} classes")


def print_evaluation(found: "EvaluateResult") -> None:
    """Write how well a model does on labelled images."""
    scores = found.scores
    say(f"{scores.images} images: {found.rule}")
    if found.trained_on:
        say(f"  {found.trained_on} left out: the model was trained on them")
    if found.unlabelled:
        say(f"  {found.unlabelled} images without a label left out")
    print_skipped(found.skipped)
    say()
    rows = [
        [printable(name), *(f"{row[key]:.3f}" for key in ("precision", "recall", "f1")),
         f"{row['images']}"]
        for name, row in zip(found.classes, found.by_class, strict=True)
    ]  # fmt: skip
    _table("Classes", ["class", "precision", "recall", "F1", "images"], rows)
    say()
    _confusion_table(found.classes, scores.confusion.tolist())
    if found.mistakes:
        say()
        rows = [
            [
                printable(row.path),
                printable(row.true),
                printable(row.predicted),
                f"{row.confidence:.3f}",
            ]
            for row in found.mistakes
        ]
        _table("Worst mistakes", ["path", "true", "predicted", "confidence"], rows)
    say()
    for name, title in _FIGURES.items():
        low, high = found.intervals.get(name, (None, None))
        interval = f"  {low:.4f} to {high:.4f}" if low is not None else ""
        say(f"{title:<19}{getattr(scores, name):.4f}{interval}")


_FIGURES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "log_loss": "Log loss",
    "calibration_error": "Calibration error",
}


def print_verified(found: "VerifyResult") -> None:
    """Write what was found in a file, and what can be done."""
    name = printable(found.path)
    if not found.problems:
        parts = f", and {found.parts} whole parts of an unfinished run" if found.parts else ""
        of = "images" if found.kind == "cache" else "training images"
        say(f"{name}: whole, a {found.kind} of {found.images:,} {of}{parts}")
        return
    say(f"{name}: not as it should be")
    for problem in found.problems:
        say(f"  wrong: {problem}")
    for usable in found.usable:
        say(f"  still usable: {usable}")


def print_described(file: Path, described: Mapping[str, Any]) -> None:
    """Write what is known of a file, a line each."""
    say(printable(file))
    for name, value in described.items():
        if isinstance(value, dict):
            inner = {f"{name}.{key}": item for key, item in value.items()}
        else:
            inner = {name: value}
        for key, item in inner.items():
            say(f"  {printable(key):<26}{_in_short(item)}")


def _in_short(value: Any) -> str:
    if not isinstance(value, list):
        return printable(value)
    if any(isinstance(item, dict | list) for item in value):
        return f"{len(value)} (--json lists them)"
    return ", ".join(map(printable, value)) or "none"


# Progress -----------------------------------------------------------------------------------


class _Rate(ProgressColumn):
    """Units a second, over the recent past."""

    def __init__(self, unit: str, scale: float) -> None:
        super().__init__()
        self._unit = unit
        self._scale = scale

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed / self._scale:.1f} {self._unit}/s" if speed else f"– {self._unit}/s")


class Meter:
    """Progress with rate and time left: a bar on a terminal, a plain line now and then elsewhere.

    Parameters
    ----------
    what : str
        What is going on, such as "Extracting".
    unit : str
        What is counted.
    scale : float
        How many of what is counted make one unit.
    quiet : bool
        Show nothing.
    """

    def __init__(self, what: str, unit: str, *, scale: float = 1, quiet: bool = False) -> None:
        self._what = what
        self._unit = unit
        self._scale = scale
        self._quiet = quiet
        self._bar: Progress | None = None
        self._begun = self._told = 0.0
        self._last: float = math.inf

    def __enter__(self) -> "Meter":
        if sys.stderr.isatty() and not self._quiet:
            count = f"{{task.completed:,.0f}} of {{task.total:,.0f}} {self._unit}"
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn(count if self._scale == 1 else "{task.percentage:>3.0f} %"),
                _Rate(self._unit, self._scale),
                TimeRemainingColumn(),
                console=Console(stderr=True, markup=False),
            )
            self._task = self._bar.add_task(self._what, total=None, visible=False)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, done: int, total: int, more: int | str | None = None) -> None:
        """Show that `done` of `total` are done.

        `more` is a name to show, or a number: that of which the rate is, in place of `done`.
        """
        worked = more if isinstance(more, int) else done
        if self._bar:
            what = f"{self._what} {more}" if isinstance(more, str) else self._what
            self._bar.update(
                self._task, completed=done, total=total or None, visible=True, description=what
            )
        elif not self._quiet:
            now = time.monotonic()
            if done < self._last:  # the first of it, or something else is counted now
                self._begun = self._told = now
            self._last = done
            if now - self._told >= _PLAIN_SECONDS:
                self._told = now
                warn(self._line(done, total, worked, now))

    def _line(self, done: int, total: int, worked: int, now: float) -> str:
        rate = worked / max(now - self._begun, 1e-9)
        line = f"{self._what}: {done / self._scale:,.0f} of {total / self._scale:,.0f} {self._unit}"
        if rate:
            left = int((total - done) / rate)
            line += f", {rate / self._scale:.1f} a second, {left // 60}:{left % 60:02d} left"
        return line
