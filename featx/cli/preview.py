"""`featx preview`: a contact sheet of images and their augmented copies."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import printable
from .exits import exit_on_error
from .options import (
    Augment,
    Bits,
    Columns,
    Json,
    Outside,
    Overwrite,
    Quiet,
    Resize,
    Seed,
    Size,
    Sources,
    source_words,
    sources,
)
from .pages import settings_from
from .terminal import print_next, print_skipped, say, write_json

__all__ = ["preview"]


def preview(
    source: Sources,
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FILE", help="The sheet to write, .png or .jpg.")
    ] = Path("sheet.png"),
    augment: Augment = None,
    copies: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Number of augmented copies shown beside each image.",
            show_default="5; flip has 1, none has 0",
        ),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Number of images to show, taken evenly from the whole source."
        ),
    ] = None,
    pictures: Annotated[int | None, typer.Option("--pictures", hidden=True)] = None,
    overwrite: Overwrite = False,
    size: Size = None,
    resize: Resize = None,
    bits: Bits = None,
    columns: Columns = None,
    allow_outside: Outside = False,
    seed: Seed = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Draw a contact sheet of images and their augmented copies, as the network sees them."""
    with exit_on_error(json, quiet=quiet):
        from ..images.preview import PreviewSettings
        from ..images.preview import preview as draw

        if images is None:
            images = pictures  # how the option was spelled before
        if copies is None:
            copies = {"none": 0, "flip": 1}.get(augment or "", PreviewSettings.copies)
        settings = settings_from(PreviewSettings, locals())
        drawn = draw(sources(source, allow_outside, columns), out, settings)
        if json:
            write_json(drawn.as_dict(), "preview")
        else:
            say(f"{printable(drawn.out)}: {drawn.images} images")
            print_skipped(drawn.skipped)
            given = source_words(source, allow_outside, columns)
            how = f" --copies {copies} --augment {augment or 'mild'}" if copies else ""
            print_next(f"featx extract {given}{how}", quiet=quiet)
        if drawn.skipped:
            raise typer.Exit(3)
