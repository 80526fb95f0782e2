"""Errors and signals become messages and exit codes, here and nowhere else."""

import logging
import os
import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import typer

from .. import __version__
from ..errors import FeatxError, OutOfTimeError, StorageError, printable, redacted
from . import terminal, watch

__all__ = [
    "AT_ONCE",
    "PIPE_CLOSED",
    "code_after",
    "end_workers",
    "exit_on_error",
    "ignore_signals",
]

_SIGNALS = {signal.SIGINT: ("Interrupted.", 130), signal.SIGTERM: ("Terminated.", 143)}
_GRACE = 0.5  # seconds

#: Exit code of a command whose reader went away, as of other programs.
PIPE_CLOSED = 128 + signal.SIGPIPE
#: Exit codes after which the process ends at once.
AT_ONCE = frozenset((PIPE_CLOSED, *(code for _, code in _SIGNALS.values())))


def code_after(code: Any, error: OSError | None) -> Any:
    """Return the exit code of a command whose output could, or could not, be written."""
    if error is None:
        return code
    if isinstance(error, BrokenPipeError):
        return PIPE_CLOSED
    terminal.warn(f"featx: standard output: {error.strerror or error}")
    return StorageError.exit_code


def end_workers() -> None:
    """Kill the processes of a comparison: they would wait for minutes for one that is gone."""
    loky = sys.modules.get("joblib.externals.loky.reusable_executor")
    for worker in list(getattr(getattr(loky, "_executor", None), "_processes", None) or ()):
        with suppress(OSError):
            os.kill(worker, signal.SIGKILL)


def ignore_signals() -> None:
    """Let no signal change the exit code of a command whose work is done."""
    for number in _SIGNALS:
        with suppress(ValueError):  # not in the main thread
            signal.signal(number, signal.SIG_IGN)


class _Terminated(BaseException):
    """The process received SIGTERM."""


@contextmanager
def exit_on_error(
    json: bool,
    *,
    quiet: bool = False,
    verbose: bool = False,
    resume: str = "",
    without: str = "",
) -> Iterator[None]:
    """Turn every error inside the block into a message and an exit code.

    Parameters
    ----------
    json : bool
        Print the message as a JSON object on standard output too.
    quiet : bool
        Show warnings only.
    verbose : bool
        Show details too.
    resume : str
        A sentence on what an interrupted run keeps; the command that continues follows it.
    without : str
        An option that this command is shown without, because with it the run would start again.
    """
    _log_to_stderr(logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO)
    resume = f"{resume} Continue with:\n  {_command(without)}" if resume else ""
    # The outer one is for what cannot be watched; what the run ends with is told inside.
    with _failing(json, ""), watch.watching() as run, _failing(json, resume):
        started = {"version": __version__, "arguments": list(map(redacted, sys.argv[1:]))}
        words = f"featx {__version__} began: {_command('')}"
        terminal.note(words, logging.INFO, started, shown=run.speaks_json)
        with _leaving_at_once(json, resume):
            yield


@contextmanager
def _failing(json: bool, resume: str) -> Iterator[None]:
    """Turn every error of the block into a message and an exit code."""
    try:
        yield
    except OutOfTimeError as error:
        _fail(f"{error} {resume}".strip(), error.exit_code, json)
    except FeatxError as error:
        _fail(str(error), error.exit_code, json)
    except KeyboardInterrupt:
        _fail_by(signal.SIGINT, resume, json)
    except _Terminated:
        _fail_by(signal.SIGTERM, resume, json)
    except MemoryError:
        _fail("Not enough memory. Try a smaller --batch, or close other programs.", 7, json)
    except BrokenPipeError:  # what reads the output, such as head, has enough
        raise typer.Exit(PIPE_CLOSED) from None
    except OSError as error:
        _fail(f"{printable(error.filename or 'I/O')}: {error.strerror or error}", 6, json)
    except typer.Exit:
        raise
    except Exception:
        terminal.note(redacted(traceback.format_exc().rstrip()), logging.ERROR, timed=False)
        _fail("This is a bug in featx. Please report it with the lines above.", 1, json)


def _command(without: str) -> str:
    given = [argument for argument in sys.argv[1:] if argument != without]
    return printable(shlex.join(["featx", *given]))


@contextmanager
def _leaving_at_once(json: bool, resume: str) -> Iterator[None]:
    """Turn SIGTERM into an exception, and end the process soon after a signal in any case.

    Python raises KeyboardInterrupt only when the network has finished its batch, which can take
    seconds. The files on the disk are whole at any moment, as after a kill. So a thread that
    receives the signal at once waits a moment for the orderly end, and then ends the process.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    over = threading.Event()
    heard, told = os.pipe()
    os.set_blocking(told, False)

    def wait() -> None:
        for number in iter(lambda: os.read(heard, 1), b""):
            if number[0] in _SIGNALS and not over.wait(_GRACE):
                if sys.stderr.isatty():
                    sys.stderr.write("\x1b[?25h\n")  # a progress bar hides the cursor
                _say_at_once(number[0], resume, json)
                end_workers()
                os._exit(_SIGNALS[signal.Signals(number[0])][1])

    thread = threading.Thread(target=wait, name="featx-signals", daemon=True)
    thread.start()
    before = signal.signal(signal.SIGTERM, _terminate)
    wakeup = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(wakeup)
        signal.signal(signal.SIGTERM, before)
        os.close(told)
        thread.join()
        os.close(heard)


def _terminate(*_: object) -> None:
    raise _Terminated


def _fail_by(number: int, resume: str, json: bool) -> None:
    _say_at_once(number, resume, json)
    raise typer.Exit(_SIGNALS[signal.Signals(number)][1])


def _say_at_once(number: int, resume: str, json: bool) -> None:
    """Say what ends the run, but do not wait for a disk or a reader that does not answer."""
    telling = threading.Thread(target=_say_by, args=(number, resume, json), daemon=True)
    telling.start()
    telling.join(2 * _GRACE)


def _say_by(number: int, resume: str, json: bool) -> None:
    what, code = _SIGNALS[signal.Signals(number)]
    _say(f"{what} {resume}".strip(), code, json)


def _fail(message: str, code: int, json: bool) -> None:
    _say(message, code, json)
    raise typer.Exit(code)


def _say(message: str, code: int, json: bool) -> None:
    terminal.note(message, logging.ERROR, {"exit_code": code}, prefix="featx: ")
    if json:
        with suppress(OSError):  # standard output may be what failed
            terminal.write_json({"error": message, "exit_code": code})
    run = watch.current()
    if run:
        run.end(code, redacted(message), hastily=code in AT_ONCE)


def _log_to_stderr(level: int) -> None:
    log = logging.getLogger("featx")
    log.setLevel(min(level, logging.INFO))  # the log file has these also where nothing is shown
    for handler in log.handlers:
        if isinstance(handler, _Handler):
            handler.shown = level
            return
    log.addHandler(_Handler(level))
    log.propagate = False


class _Handler(logging.Handler):
    """Lines of the library's log, on the error stream from a level on."""

    def __init__(self, shown: int) -> None:
        super().__init__()
        self.shown = shown

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        shown = record.levelno >= self.shown
        terminal.note(record.getMessage(), record.levelno, shown=shown)
