"""The command sample."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import printable
from .exits import exit_on_error
from .options import HelpPage, Json, examples
from .terminal import say, say_next, write_json

__all__ = ["app"]

app = typer.Typer()


@app.command(cls=HelpPage, epilog=examples("sample photos", "sample photos --per-class 60"))
def sample(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where the images go: a new or empty folder.")
    ],
    per_class: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="How many images of each of the ten classes are written.",
            show_default="all 1,797 images",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Write a real data set to try featx on: scans of handwritten digits in class folders."""
    with exit_on_error(json):
        from ..dataset.sample import write_sample

        written = write_sample(folder, per_class)
        if json:
            write_json(written.as_dict())
            return
        say(f"{printable(written.out)}: {written.train} images to train on, {written.test} to test")
        say_next(f"featx extract {printable(written.out)}", "computes their features")
