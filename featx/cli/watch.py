"""Runs that nobody looks at while they go on: their log, and the file that says how far they are.

A command that has the options says with `ask` what was given; `exits.exit_on_error` opens that, and
ends it with the exit code, whichever way the run ends.
"""

import contextlib
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer

from .. import __version__
from ..errors import InputError, StorageError, printable
from ..storage import notes
from .lines import Line
from .state import BEGINS, Far, State, as_bytes, state_after

__all__ = ["Asked", "Watch", "ask", "current", "watching"]

log = logging.getLogger("featx")

_PAUSE = 1.0  # seconds between two times that the progress file is written
_PATIENCE = 5.0  # seconds that the end of a run waits for it
_HASTE = 0.3  # the same, of a run that a signal ends


@dataclass(frozen=True)
class Asked:
    """What was asked for on the command line.

    Attributes
    ----------
    command : str
        The command's name, such as "extract".
    log_file, progress_file : Path, optional
    log_json : bool
        Whether lines of the log are JSON.
    """

    command: str = "featx"
    log_file: Path | None = None
    log_json: bool = False
    progress_file: Path | None = None


class Watch:
    """What is kept of the run of this process.

    Parameters
    ----------
    asked : Asked

    Raises
    ------
    InputError
        When a file that is asked for cannot be one of these.
    StorageError
        When the log cannot be opened.
    """

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self._process, self._host = os.getpid(), socket.gethostname()
        self._failed = False
        self._ended = False
        now = time.time()
        self._state = State(asked.command, self._process, self._host, __version__, now, now)
        self._file: _Renewed | None = None
        both = (asked.log_file, asked.progress_file)
        if all(both) and len({path.resolve() for path in both if path}) == 1:
            raise InputError(
                f"{printable(both[0])} cannot be both the log and the progress file. Give two "
                "names."
            )
        if asked.log_file:
            notes.require_notes("--log-file", asked.log_file)
            notes.append(asked.log_file, b"")
        if asked.progress_file:
            notes.require_notes("--progress-file", asked.progress_file, BEGINS)
            self._file = _Renewed(asked.progress_file)
            self._file.show(self._state)

    @property
    def keeps_lines(self) -> bool:
        """Whether there is a log file."""
        return self.asked.log_file is not None

    @property
    def speaks_json(self) -> bool:
        """Whether the error stream has JSON Lines, and nothing else."""
        return self.asked.log_json and not self.asked.log_file

    def line(self, message: str, level: int, fields: Mapping[str, Any]) -> Line:
        """Return a line of this run."""
        who = self.asked.command, self._process, self._host
        return Line(message, level, *who, fields)

    def keep(self, line: Line) -> None:
        """Add a line to the log file, if there is one; a disk that fails stops no run."""
        if not self.asked.log_file:
            return
        text = line.as_json() if self.asked.log_json else line.as_text()
        try:
            notes.append(self.asked.log_file, text.encode("utf-8", "backslashreplace") + b"\n")
        except StorageError as error:
            if not self._failed:
                self._failed = True  # first, since the warning comes here too
                log.warning("The log file cannot be written; the run goes on. %s", error)

    def show(self, far: Far) -> None:
        """Take note of how far the run is."""
        if self._file and not self._ended:
            self._state = replace(self._state, far=far, updated=time.time())
            self._file.show(self._state)

    def end(self, code: int, message: str = "", *, hastily: bool = False) -> None:
        """Take note of how the run ended; only the first time counts."""
        if self._ended:
            return
        self._ended = True
        seconds = round(time.time() - self._state.started, 3)
        state = state_after(code)
        if self.keeps_lines or self.speaks_json:
            levels = {"failed": logging.ERROR, "done": logging.INFO}
            level = levels.get(state, logging.WARNING)
            said = f"Ended with exit code {code} after {seconds:,.1f} s."
            line = self.line(said, level, {"exit_code": code, "state": state, "seconds": seconds})
            self.keep(line)
            if self.speaks_json:
                with contextlib.suppress(OSError):
                    sys.stderr.write(line.as_json() + "\n")
        if self._file:
            self._state = replace(
                self._state, state=state, exit_code=code, message=message, updated=time.time()
            )
            self._file.end(self._state, _HASTE if hastily else _PATIENCE)


class _Renewed:
    """A progress file that a thread writes, so that no disk makes the run wait."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state: State | None = None
        self._changed, self._over = threading.Event(), threading.Event()
        self._failed = False
        self._thread = threading.Thread(target=self._run, name="featx-progress", daemon=True)
        self._thread.start()

    def show(self, state: State) -> None:
        """Have a state written soon."""
        self._state = state
        self._changed.set()

    def end(self, state: State, patience: float) -> None:
        """Have the last state written, and wait at most so many seconds for it."""
        self._state = state
        self._over.set()
        self._changed.set()
        self._thread.join(patience)

    def _run(self) -> None:
        while True:
            self._changed.wait()
            self._changed.clear()
            over = self._over.is_set()  # read before the state, which is set before it
            if self._state:
                self._write(self._state)
            if over:
                return
            self._over.wait(_PAUSE)

    def _write(self, state: State) -> None:
        try:
            notes.renew(self._path, as_bytes(state, self._path))
        except StorageError as error:
            if not self._failed:
                log.warning("The progress file cannot be written; the run goes on. %s", error)
            self._failed = True


_asked = Asked()
_current: Watch | None = None


def ask(asked: Asked) -> None:
    """Set what the next run of this process is asked for."""
    global _asked
    _asked = asked


def current() -> Watch | None:
    """Return the watch of the run that goes on, if there is one."""
    return _current


@contextlib.contextmanager
def watching() -> Iterator[Watch]:
    """Watch the run of the block, as it was asked for, and take note of its exit code.

    Raises
    ------
    InputError, StorageError
        See `Watch`.
    """
    global _asked, _current
    asked, _asked = _asked, Asked()
    _current = run = Watch(asked)
    try:
        yield run
        run.end(0)
    except typer.Exit as end:
        run.end(end.exit_code)
        raise
    finally:
        _current = None
