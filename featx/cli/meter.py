"""Progress with rate and time left: a bar on a terminal, a plain line now and then elsewhere."""

import math
import sys
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from .terminal import warn

__all__ = ["Meter"]

_PLAIN_SECONDS = 10.0


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
