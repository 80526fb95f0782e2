"""Progress of long work, on the error stream."""

import math
import sys
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from .terminal import warn

__all__ = ["Meter"]

_PLAIN_SECONDS = 10.0
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
        self._begun = self._told = 0.0
        self._last: float = math.inf

    def __enter__(self) -> "Meter":
        if sys.stderr.isatty() and not self._quiet:
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
        if self._bar:
            self._bar.update(
                self._task, completed=done, total=total or None, visible=True, detail=text
            )
        elif not self._quiet:
            now = time.monotonic()
            if done < self._last:  # the first call, or something else is counted now
                self._begun = self._told = now
            self._last = done
            if now - self._told >= _PLAIN_SECONDS:
                self._told = now
                warn(self._line(done, total, worked, now) + (f" ({text})" if text else ""))

    def _line(self, done: int, total: int, worked: int, now: float) -> str:
        rate = worked / max(now - self._begun, 1e-9)
        line = f"{self._what}: {done / self._scale:,.0f} of {total / self._scale:,.0f} {self._unit}"
        if rate:
            left = int((total - done) / rate)
            line += f", {rate / self._scale:.1f} a second, {left // 60}:{left % 60:02d} left"
        return line
