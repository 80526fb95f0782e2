"""The command line: one command a file, gathered here."""

import contextlib
import os
import sys
from typing import Annotated

import typer

from .. import __version__
from . import (
    compare,
    evaluate,
    exits,
    export,
    extract,
    finetune,
    fit,
    info,
    preview,
    sample,
    score,
    verify,
    weights,
)
from .options import HelpGroup
from .quiet import quiet_backend
from .terminal import say

__all__ = ["app", "main"]

app = typer.Typer(
    name="featx",
    cls=HelpGroup,
    help="Find the best model for a few labelled images, and label thousands of others with it."
    "\n\nEvery image goes through a frozen VGG16 once; its features are cached, and classifiers "
    "are trained on the cache in seconds.",
    epilog="Start with:  featx extract PHOTOS   then:  featx fit",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    sample, extract, preview, compare, fit, finetune, score, evaluate, export, verify, info,
):  # fmt: skip
    app.add_typer(command.app)
app.add_typer(weights.app, name="weights")


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
        say(f"featx {__version__}")
        raise typer.Exit


@app.callback()
def _featx(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass
