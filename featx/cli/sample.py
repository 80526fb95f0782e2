"""`featx sample`: a small real data set to try featx on."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import printable
from .exits import exit_on_error
from .options import Json, Quiet
from .terminal import print_next, quoted, say, write_json

__all__ = ["sample"]


def sample(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="The folder to write the images to; it must be empty or new.",
            show_default=False,
        ),
    ],
    per_class: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Number of images of each class.",
            show_default="all, 1,797 images in total",
        ),
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write a real data set to try featx on: handwritten digits in class folders."""
    with exit_on_error(json, quiet=quiet):
        from ..dataset.sample import write_sample

        written = write_sample(folder, per_class)
        if json:
            write_json(written.as_dict())
            return
        say(f"{printable(written.out)}: {written.train} images to train, {written.test} to test")
        print_next(f"featx extract {quoted(written.out)}", quiet=quiet)
