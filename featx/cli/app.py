"""The command line: its commands are in the modules that end in `_commands`."""

import contextlib
import os
import sys
from typing import Annotated

import typer

from .. import __version__
from . import (
    exits,
    model_commands,
    picture_commands,
    score_commands,
    terminal,
    tune_commands,
    weights_commands,
)
from .quiet import quiet_backend

__all__ = ["app", "main"]

app = typer.Typer(
    name="featx",
    help="Find the best model for few labelled images, and score the next ten thousand with it."
    "\n\nEvery image goes through a frozen VGG16 once; its features are cached, and classifiers "
    "are trained on the cache in seconds.",
    epilog="Start with:  featx extract PHOTOS   and then:  featx fit",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for commands in (picture_commands, model_commands, tune_commands, score_commands):
    app.add_typer(commands.app)
app.add_typer(weights_commands.app, name="weights")


def main() -> None:
    """Run the command line."""
    quiet_backend()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except SystemExit as end:
        if end.code in exits.INTERRUPTED:  # TensorFlow's own end can take seconds
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError):
                    stream.flush()
            os._exit(int(end.code))
        raise


def _print_version(wanted: bool) -> None:
    if wanted:
        terminal.say(f"featx {__version__}")
        raise typer.Exit


@app.callback()
def _featx(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass
