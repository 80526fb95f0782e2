"""Errors become messages and exit codes, here and nowhere else."""

import logging
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from . import terminal
from .errors import FeatxError, shown

__all__ = ["reported"]


class _Terminated(BaseException):
    """SIGTERM came."""


@contextmanager
def reported(json: bool, *, quiet: bool = False, resume: str = "") -> Iterator[None]:
    """Turn what goes wrong inside into a message and an exit code."""
    _log_to_stderr(logging.WARNING if quiet else logging.INFO)
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    except FeatxError as error:
        _fail(str(error), error.exit_code, json)
    except KeyboardInterrupt:
        _fail(f"Interrupted. {resume}".strip(), 130, json)
    except _Terminated:
        _fail(f"Terminated. {resume}".strip(), 143, json)
    except MemoryError:
        _fail("The memory is full. Try a smaller --batch, or close other programs.", 7, json)
    except OSError as error:
        _fail(f"{shown(error.filename or 'I/O')}: {error.strerror or error}", 6, json)
    except typer.Exit:
        raise
    except Exception:
        traceback.print_exc()
        _fail("This is a bug in featx; please report it with the lines above.", 1, json)
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(*_: object) -> None:
    raise _Terminated


def _fail(message: str, code: int, json: bool) -> None:
    terminal.warn(f"featx: {message}")
    if json:
        terminal.write_json({"error": message, "exit_code": code})
    raise typer.Exit(code)


def _log_to_stderr(level: int) -> None:
    log = logging.getLogger("featx")
    log.setLevel(level)
    if not log.handlers:
        handler = logging.Handler()
        handler.emit = lambda record: terminal.warn(record.getMessage())  # type: ignore[method-assign]
        log.addHandler(handler)
        log.propagate = False
