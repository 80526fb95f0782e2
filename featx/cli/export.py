"""The command export."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import printable
from .exits import exit_on_error
from .meter import Meter
from .options import WHAT, HelpPage, Json, Model, Overwrite, Weights, examples
from .terminal import human_bytes, say, write_json

if TYPE_CHECKING:
    from ..model.export import ExportResult

__all__ = ["app"]

app = typer.Typer()


@app.command(cls=HelpPage, epilog=examples("export model.featx -o model.keras"))
def export(
    model: Model,
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            help="The file to write; its name ends in .keras.",
            rich_help_panel=WHAT,
        ),
    ] = Path("model.keras"),
    weights: Weights = "auto",
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Write a model as one plain Keras file, from uint8 images to class probabilities.

    Any program that runs Keras opens it, without featx. The head must be one that can become
    Keras layers: the message names those that can.
    """
    with exit_on_error(json):
        from ..model.export import export as run
        from ..model.file import load

        with Meter("Fetching weights", "MB", scale=1e6) as download:
            loaded = load(model, weights=weights, download_progress=download)
            written = run(loaded, out, overwrite=overwrite)
        if json:
            write_json(written.as_dict())
        else:
            _show(written)


def _show(written: "ExportResult") -> None:
    side = written.size
    say(f"{printable(written.out)}: {human_bytes(written.bytes)}")
    say(
        f"  It takes RGB images as uint8 of shape (n, {side}, {side}, 3) and gives the "
        f"probabilities of {len(written.classes)} classes."
    )
    say(
        "  It computes in float32; its probabilities are those of the model to "
        f"{written.apart:.0e}."
    )
