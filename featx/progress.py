"""How long work tells its caller how far it is, and a bar for those who ask for one."""

import contextlib
import functools
import inspect
import math
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

from .errors import InputError, OutOfTimeError

__all__ = [
    "Deadline",
    "Progress",
    "adding_up",
    "as_function",
    "ignore_progress",
    "shows_progress",
    "watched",
]

Function = TypeVar("Function", bound=Callable[..., Any])

_SECONDS = 0.2  # between two updates in a notebook
_ENDING = "progress"  # of the keywords that take a function, or True


class Progress(Protocol):
    """A function that is called again and again while work goes on."""

    def __call__(self, done: int, total: int, detail: int | str | None = None, /) -> None:
        """Take note of how far the work is.

        Parameters
        ----------
        done, total : int
            Units of work that are done, and that there are in all; 0 when that is not known.
        detail : int or str, optional
            A number: how many of `done` were computed in this run, which a rate is of. A text: what
            is under way.
        """


def ignore_progress(done: int, total: int, detail: int | str | None = None, /) -> None:
    """Do nothing: for work that nobody watches."""


class Deadline:
    """The end of the time that a run may take: nothing is begun after it.

    Work that keeps its finished parts calls `check` whenever one is written, so that the next run
    goes on with the part after it.

    Parameters
    ----------
    hours : float, optional
        From now on; None is for ever.

    Raises
    ------
    InputError
        When `hours` is not a number above 0.
    """

    def __init__(self, hours: float | None) -> None:
        if hours is not None and not 0 < hours < math.inf:
            raise InputError(f"--max-hours is {hours:g}. Expected a number of hours above 0.")
        self._hours = hours
        self._end = math.inf if hours is None else time.monotonic() + 3600 * hours

    @property
    def passed(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self._end

    def check(self, done: int, total: int, unit: str = "images") -> None:
        """End the run when the time is over and there is more to do.

        Parameters
        ----------
        done, total : int
            What is finished and kept, and what there is in all.
        unit : str
            What is counted.

        Raises
        ------
        OutOfTimeError
        """
        if self.passed and done < total:
            raise OutOfTimeError(
                f"The time of --max-hours {self._hours:g} is over: {done:,} of {total:,} {unit} "
                "are done and kept. Run the same again, and it goes on from there."
            )


def adding_up(progress: Progress | None, total: int) -> Callable[[int], None]:
    """Return a function that is called with the units finished since its last call."""
    told, done = progress or ignore_progress, 0

    def advance(more: int) -> None:
        nonlocal done
        done += more
        told(done, total)

    advance(0)
    return advance


@contextlib.contextmanager
def watched(
    progress: Progress | bool | None, title: str, unit: str = "", scale: float = 1
) -> Iterator[Progress | None]:
    """Yield what work calls: the function that is given; for True, one that shows a bar.

    The bar has the units that are done and in all, the rate and the time left. It is in the cell of
    a Jupyter notebook, or on the error stream where that is a terminal, and nowhere else. It ends
    with the block, also after an error, and work without a unit shows none.

    Parameters
    ----------
    progress : callable, bool or None
        Nothing is called for False and None.
    title : str
        What is going on, in the bar.
    unit : str
        What is counted.
    scale : float
        How many of what is counted make one unit.
    """
    if not isinstance(progress, bool) or not progress:
        yield progress or None
        return
    display = _find_display()
    if display is None:
        yield None
        return
    bar = _Bar(functools.partial(display, title), unit, scale)
    try:
        yield bar
    except BaseException:
        bar.end("stopped")
        raise
    bar.end("done")


def as_function(progress: Progress | bool | None) -> Progress | None:
    """Return what is called, in a function with `shows_progress`: there, True has become a bar."""
    return None if isinstance(progress, bool) else progress


def shows_progress(function: Function) -> Function:
    """Let a function take True for ``progress``: a bar for it and for each other part of its work.

    The other parts are its keywords that end in ``_progress`` and are not given.
    """
    names = [name for name in inspect.signature(function).parameters if name.endswith(_ENDING)]
    title = function.__name__

    @functools.wraps(function)
    def shown(*args: Any, **keywords: Any) -> Any:
        asked = keywords.get(_ENDING)
        if not any(isinstance(keywords.get(name), bool) for name in names):
            return function(*args, **keywords)
        with contextlib.ExitStack() as bars:
            for name in names:
                given = keywords.get(name)
                if given is None and isinstance(asked, bool):
                    given = asked
                part = name.removesuffix(_ENDING).rstrip("_")
                unit = ("MB", 1e6) if part == "download" else ("", 1)
                words = f"{title}: {part}" if part else title
                keywords[name] = bars.enter_context(watched(given, words, *unit))
            return function(*args, **keywords)

    return shown  # type: ignore[return-value]


class _Display(Protocol):
    """Where a bar is: a cell of a notebook, or a line of a terminal."""

    seconds: float

    def __call__(self, share: float | None, words: str) -> None:
        """Show the share that is done, None where it is not known, and words beside it."""

    def close(self) -> None:
        """Let go of the line."""


class _Bar:
    """A `Progress` that is shown, from the first unit to the last."""

    def __init__(self, display: Callable[[], _Display], unit: str, scale: float) -> None:
        self._make = display
        self._unit = f" {unit}" if unit else ""
        self._scale = scale
        self._display: _Display | None = None
        self._last = (0, 0)
        self._begun = self._shown = 0.0
        self._before = 0  # units that were done when this began

    def __call__(self, done: int, total: int, detail: int | str | None = None, /) -> None:
        if done < self._last[0]:  # something else is counted now
            self.end("done")
        if self._display is None:
            if (done, total) in (self._last, (0, 0)):  # told again, or no work
                return
            self._display, self._begun = self._make(), time.monotonic()
            self._shown, self._before = 0.0, done
        self._last, now = (done, total), time.monotonic()
        if done == total:
            self.end("done")
        elif now - self._shown >= self._display.seconds:
            self._shown = now
            self._show(self._words(detail, now - self._begun))

    def end(self, how: str) -> None:
        """Show how it ended, if it has not ended yet."""
        if self._display:
            self._show(f"{self._counted()}, {how} after {_clock(time.monotonic() - self._begun)}")
            self._display.close()
        self._display = None

    def _show(self, words: str) -> None:
        done, total = self._last
        if self._display:
            self._display(min(done / total, 1) if total else None, words)

    def _counted(self) -> str:
        done, total = (count / self._scale for count in self._last)
        return f"{done:,.0f}{f' of {total:,.0f}' if total else ''}{self._unit}"

    def _words(self, detail: int | str | None, seconds: float) -> str:
        words, (done, total) = self._counted(), self._last
        worked = detail if isinstance(detail, int) else done - self._before
        if worked > 0 and seconds > 0:
            rate = worked / seconds
            words += f", {rate / self._scale:,.1f} a second"
            words += f", {_clock((total - done) / rate)} left" if total else ""
        return words + (f" ({detail})" if isinstance(detail, str) and detail else "")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _find_display() -> Callable[[str], _Display] | None:
    """Return where bars are shown; None where nobody would see them."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if hasattr(shell, "kernel"):
        return _Notebook
    return _Terminal if sys.stderr.isatty() else None


class _Notebook:
    """The output of a cell, written anew in place; it needs no widgets."""

    seconds = _SECONDS

    def __init__(self, title: str) -> None:
        self._title = title
        self._handle: Any = None

    def __call__(self, share: float | None, words: str) -> None:
        from IPython.display import display
        from markupsafe import Markup

        value = Markup("") if share is None else Markup(' value="{}"').format(f"{share:.4f}")
        html = Markup('<div>{} <progress max="1"{}></progress> {}</div>').format(
            self._title, value, words
        )
        content = {"text/plain": f"{self._title} {words}", "text/html": str(html)}
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)

    def close(self) -> None:
        """Leave what is shown."""


class _Terminal:
    """A line at the end of the error stream; what else is written there stands above it."""

    seconds = 0.0  # rich draws it when it is time

    def __init__(self, title: str) -> None:
        self._title = title
        self._bar: Any = None

    def __call__(self, share: float | None, words: str) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.description}", markup=False),
                BarColumn(20),
                TextColumn("{task.fields[words]}", markup=False),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task(self._title, total=1, words="")
            self._bar.start()
        self._bar.update(
            self._task, completed=share or 0, total=None if share is None else 1, words=words
        )

    def close(self) -> None:
        """End the line."""
        if self._bar:
            self._bar.stop()
