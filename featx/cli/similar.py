"""`featx similar`: the images of a cache that are most like some image."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import printable
from . import completion
from .drawings import check_drawings
from .exits import exit_on_error
from .listing import number_of
from .meter import Meter
from .options import NETWORK, OUTPUT, Json, Overwrite, Quiet
from .pages import settings_from
from .terminal import print_skipped, print_table, say, say_wrapped, write_json

if TYPE_CHECKING:
    from ..auditing.similar import SimilarResult

__all__ = ["print_similar", "similar"]

_SHOWN = 20  # images that are given


def similar(
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE",
            help="One or more image files, in the cache or not.",
            show_default=False,
        ),
    ],
    features: Annotated[
        Path,
        typer.Argument(
            metavar="CACHE", help="A cache that featx extract made.", show_default=False
        ),
    ],
    k: Annotated[
        int | None,
        typer.Option(
            "-k",
            "--number",
            min=1,
            metavar="N",
            help="Number of images to find for each one that is given.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            help="Write what is found as a table too: .csv, .jsonl, .parquet or .xlsx.",
        ),
    ] = None,
    view: Annotated[
        str | None,
        typer.Option(
            metavar="VIEW",
            autocompletion=completion.VIEW,
            help="The features that are compared: one of {cache.table.UNFITTED}.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            envvar="FEATX_WEIGHTS",
            rich_help_panel=NETWORK,
            help="The file with the network's weights, if the cache was made with a file of your "
            "own.",
        ),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            "--sheet",
            metavar="FILE",
            rich_help_panel=OUTPUT,
            help="Draw each image and those that are found for it as a contact sheet, with labels "
            "and similarities: a .png or .jpg file.",
        ),
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Find the images of a cache that are most like an image.

    All images of the cache are compared, by the cosine of their features: 1 is the same mix of
    features, and photographs of quite other things still reach 0.7 or so. An image that the cache
    has is not sent through the network again, and is left out of its own list; copies of it are
    listed and marked. The exit code is 3 if an image cannot be used and others can.
    """
    with exit_on_error(json, quiet=quiet):
        from ..auditing.similar import SimilarSettings, find_similar

        settings = settings_from(SimilarSettings, locals())
        check_drawings(sheet, None, overwrite)
        with (
            Meter("Fetching weights", "MB", scale=1e6, quiet=quiet) as download,
            Meter("Comparing", "images", quiet=quiet) as progress,
        ):
            found = find_similar(
                images, features, out, settings, progress=progress, download_progress=download
            )
        if sheet:
            from ..reporting.similar_sheet import draw_similar

            draw_similar(found, sheet, overwrite=overwrite)
        if json:
            write_json(found.as_dict(), "similar")
        else:
            print_similar(found)
            print_skipped(found.skipped)
        if found.skipped:
            raise typer.Exit(3)


def print_similar(found: "SimilarResult") -> None:
    """Write what was found for the first images, one table each."""
    heads = ["image", "label", "similarity", ""]
    for query in found.queries[:_SHOWN]:
        cached = " (its features are in the cache)" if query.is_cached else ""
        say_wrapped(f"{printable(query.name)}{cached}")
        rows = [
            [
                printable(near.path),
                "" if near.label is None else printable(near.label),
                f"{near.similarity:.3f}",
                "the same file" if near.is_equal else "",
            ]
            for near in query.nearest
        ]
        print_table("", heads, rows, left=["label", ""])
        say()
    if len(found.queries) > _SHOWN:
        say(f"… and {number_of(len(found.queries) - _SHOWN, 'image')} more (--json lists all)")
    wrote = f"{printable(found.out)}: " if found.out else ""
    say_wrapped(f"{wrote}{number_of(found.images, 'image')} compared ({found.seconds:.1f} s)")
