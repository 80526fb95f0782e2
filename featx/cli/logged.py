"""The options of commands that run long: a log, and a file that says how far they are."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from . import watch

__all__ = ["logged"]

_PANEL = "Runs that nobody looks at"

_OPTIONS: dict[str, tuple[Any, Any]] = {
    "log_file": (
        Annotated[
            Path | None,
            typer.Option(
                "--log-file",
                metavar="FILE",
                rich_help_panel=_PANEL,
                help="Add what happens to this file, with times, whatever --quiet says.",
            ),
        ],
        None,
    ),
    "log_json": (
        Annotated[
            bool,
            typer.Option(
                "--log-json",
                rich_help_panel=_PANEL,
                help="Write the lines of the log as JSON: those of --log-file, or without it those "
                "of the error stream.",
            ),
        ],
        False,
    ),
    "progress_file": (
        Annotated[
            Path | None,
            typer.Option(
                "--progress-file",
                metavar="FILE",
                rich_help_panel=_PANEL,
                help="Keep in this file how far the run is and how it ended: as JSON, or for "
                "Prometheus where the name ends in .prom.",
            ),
        ],
        None,
    ),
}


def logged(function: Callable[..., None]) -> Callable[..., None]:
    """Return the function of a command that has the options too.

    They are the same for each command, so its own function does not have them.
    """

    @functools.wraps(function)
    def run(
        *, log_file: Path | None, log_json: bool, progress_file: Path | None, **given: Any
    ) -> None:
        watch.ask(watch.Asked(function.__name__, log_file, log_json, progress_file))
        function(**given)

    own = inspect.signature(function)
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in _OPTIONS.items()
    ]
    vars(run)["__signature__"] = own.replace(parameters=[*own.parameters.values(), *more])
    kinds = {name: kind for name, (kind, _) in _OPTIONS.items()}
    run.__annotations__ = {**function.__annotations__, **kinds}
    return run
