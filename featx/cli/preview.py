"""The command preview."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import printable
from .exits import exit_on_error
from .options import (
    AUGMENTATIONS,
    WHAT,
    HelpPage,
    Json,
    Outside,
    Resize,
    Seed,
    Size,
    Sources,
    examples,
    listed_sources,
    settings_from,
)
from .terminal import say, say_next, say_skipped, write_json

__all__ = ["app"]

app = typer.Typer()


@app.command(
    cls=HelpPage, epilog=examples("preview photos -o sheet.png --augment article --copies 4")
)
def preview(
    source: Sources,
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            help="The contact sheet to write, .png or .jpg.",
            rich_help_panel=WHAT,
        ),
    ] = Path("sheet.png"),
    images: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="How many images are shown, taken evenly from the source.",
            rich_help_panel=WHAT,
        ),
    ] = 6,
    pictures: Annotated[int | None, typer.Option(hidden=True)] = None,
    augment: Annotated[
        str,
        typer.Option(
            metavar=AUGMENTATIONS,
            help="Augmentation policy of the copies.",
            rich_help_panel=WHAT,
        ),
    ] = "mild",
    copies: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help="How many augmented copies are shown beside each original.",
            show_default="5; 1 for flip; 0 for none",
            rich_help_panel=WHAT,
        ),
    ] = None,
    seed: Seed = 0,
    size: Size = 224,
    resize: Resize = "crop",
    allow_outside: Outside = False,
    json: Json = False,
) -> None:
    """Draw a contact sheet of images and their augmented copies, as the network sees them."""
    given = locals()
    with exit_on_error(json):
        from ..images.preview import PreviewSettings
        from ..images.preview import preview as run

        if copies is None:
            copies = {"none": 0, "flip": 1}.get(augment, 5)
        # --pictures is the name that --images had until now; it goes with version 0.2.
        shown = images if pictures is None else pictures
        settings = settings_from(PreviewSettings, given, copies=copies, images=shown)
        drawn = run(listed_sources(source, allow_outside), out, settings)
        if json:
            write_json(drawn.as_dict())
        else:
            say(f"{printable(drawn.out)}: {drawn.images} images")
            say_skipped(drawn.skipped)
            if copies:
                say_next(
                    f"featx extract SOURCE --augment {augment} --copies {copies}",
                    "caches such copies",
                )
        if drawn.skipped:
            raise typer.Exit(3)
