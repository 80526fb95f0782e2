"""`featx report`: a model and its images as a page for a browser."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import printable
from . import completion
from .exits import exit_on_error
from .meter import Meter
from .options import Json, Model, Overwrite, Quiet, Seed, names
from .pages import settings_from
from .terminal import say, say_wrapped, write_json

__all__ = ["report"]


def report(
    model: Model,
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FILE", help="The .html file to write.")
    ] = Path("report.html"),
    cache: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CACHE",
            help="The cache that the model was fitted on. For a model of several networks the "
            "option is repeated, once for each.",
            show_default="where it was then",
        ),
    ] = None,
    skip: Annotated[
        str | None,
        typer.Option(
            metavar="PART,PART...",
            autocompletion=completion.PARTS,
            help="Parts to leave out, of {reporting.report.PARTS}: wrong labels, doubles and odd "
            "images; the learning curve; the map of the images; all thumbnails.",
            show_default="none",
        ),
    ] = None,
    most: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Number of images at most in each list of images."),
    ] = None,
    overwrite: Overwrite = False,
    seed: Seed = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write a page about a model: how good it is, what it gets wrong, what is odd, how it was made.

    The page is one file that opens in any browser without a network, and shows the images
    themselves. No network is run: the features come from the cache.
    """
    with exit_on_error(json, quiet=quiet):
        from ..reporting.report import ReportSettings
        from ..reporting.report import report as run

        settings = settings_from(ReportSettings, locals(), skip=names(skip), cache=cache or None)
        with Meter("Reporting", "steps", quiet=quiet) as progress:
            written = run(model, out, settings, progress=progress)
        if json:
            write_json(written.as_dict(), "report")
            return
        if written.missing:
            say_wrapped(
                f"{written.missing} of {written.images} images are shown without a thumbnail: "
                "their files are gone or damaged."
            )
        say(
            f"{printable(written.out)}: {written.images} images, {written.bytes / 1e6:.1f} MB "
            f"({written.seconds:.1f} s). Open it in a browser."
        )
