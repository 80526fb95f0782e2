"""`featx export`: a model as one plain Keras file."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import printable
from .exits import exit_on_error
from .meter import Meter
from .options import NETWORK, Json, Model, Overwrite, Quiet, Verbose, Weights
from .terminal import print_next, say, say_wrapped, write_json

__all__ = ["export"]


def export(
    model: Model,
    out: Annotated[
        Path,
        typer.Option("-o", "--out", metavar="FILE", help="The Keras file to write, .keras."),
    ] = Path("model.keras"),
    overwrite: Overwrite = False,
    precision: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            rich_help_panel=NETWORK,
            help="The precision that the file computes in: one of {model.export.PRECISIONS}. "
            "auto is the one that the model was made in, or float32 if that is int8; choose "
            "float32 for processors without bfloat16.",
        ),
    ] = "auto",
    weights: Weights = "auto",
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """Write a model as one plain Keras file, from uint8 images to class probabilities.

    Anything that runs Keras can open the file without featx. The head must be one that can be
    converted to Keras layers.
    """
    with exit_on_error(json, quiet=quiet, verbose=verbose):
        from ..model.export import export as write
        from ..model.file import load

        with Meter("Fetching weights", "MB", scale=1e6, quiet=quiet) as download:
            loaded = load(model, weights=weights, download_progress=download)
            written = write(loaded, out, precision=precision, overwrite=overwrite)
        if json:
            write_json(written.as_dict(), "export")
            return
        side, classes = written.size, len(written.classes)
        say(f"{printable(written.out)}: {written.bytes / 1e6:.0f} MB")
        say_wrapped(
            f"  input: uint8 RGB images (n, {side}, {side}, 3); output: probabilities of "
            f"{classes} classes (n, {classes})",
            "  ",
        )
        print_next(f"keras.saving.load_model({printable(written.out)!r})   in Python", quiet=quiet)
