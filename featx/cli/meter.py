"""Progress of long work, on the error stream."""

import logging
import math
import sys
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from .state import Far
from .terminal import note
from .watch import current

__all__ = ["Meter"]

_PLAIN_SECONDS = 10.0
_KEPT_SECONDS = 60.0  # between two lines of a log file
#: Columns of a terminal that has room for a long bar and the rate beside the longest head's name.
_WIDE = 120


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
        self._begun = self._told = self._kept = 0.0
        self._last: float = math.inf

    def __enter__(self) -> "Meter":
        watch = current()
        if sys.stderr.isatty() and not self._quiet and not (watch and watch.speaks_json):
            count = f"{{task.completed:,.0f}} of {{task.total:,.0f}} {self._unit}"
            console = Console(stderr=True, markup=False)
            wide = console.width >= _WIDE
            columns = (
                TextColumn("{task.description}"),
                BarColumn(40 if wide else 10),
                TextColumn(count if self._scale == 1 else "{task.percentage:>3.0f} %"),
                *([_Rate(self._unit, self._scale)] if wide else []),
                TimeRemainingColumn(),
                TextColumn("{task.fields[detail]}"),
            )
            self._bar = Progress(*columns, console=console)
            self._task = self._bar.add_task(self._what, total=None, visible=False, detail="")
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, done: int, total: int, detail: int | str | None = None, /) -> None:
        """Show that `done` of `total` are done; see `progress.Progress`."""
        worked = detail if isinstance(detail, int) else done
        text = detail if isinstance(detail, str) else ""
        now, watch = time.monotonic(), current()
        if done < self._last:  # the first call, or something else is counted now
            self._begun = self._told = self._kept = now
        self._last = done
        far = self._far(done, total, worked, now)
        if watch:
            watch.show(far)
        if self._bar:
            self._bar.update(
                self._task, completed=done, total=total or None, visible=True, detail=text
            )
        shown = not self._bar and not self._quiet and now - self._told >= _PLAIN_SECONDS
        kept = now - self._kept >= _KEPT_SECONDS
        if shown or kept:
            self._told, self._kept = now if shown else self._told, now if kept else self._kept
            line = _line(far) + (f" ({text})" if text else "")
            note(line, logging.INFO, far.as_fields(), shown=shown, kept=kept)

    def _far(self, done: int, total: int, worked: int, now: float) -> Far:
        rate = worked / max(now - self._begun, 1e-9) if now > self._begun else 0.0
        left = max(total - done, 0) / rate if rate and total else None
        scale = self._scale
        return Far(self._what, done / scale, total / scale, self._unit, rate / scale, left)


def _line(far: Far) -> str:
    line = f"{far.stage}: {far.done:,.0f} of {far.total:,.0f} {far.unit}"
    if far.rate and far.seconds_left is not None:
        left = int(far.seconds_left)
        line += f", {far.rate:.1f} a second, {left // 60}:{left % 60:02d} left"
    return line
