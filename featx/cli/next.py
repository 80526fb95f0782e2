"""`featx next`: which images to label next."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import printable
from .exits import exit_on_error
from .meter import Meter
from .options import (
    Columns,
    Json,
    Model,
    Outside,
    Overwrite,
    Precision,
    Quiet,
    Runtime,
    Seed,
    Verbose,
    Weights,
    sources,
)
from .pages import settings_from
from .terminal import (
    print_next,
    print_skipped,
    print_table,
    quoted,
    say,
    say_wrapped,
    write_json,
)

if TYPE_CHECKING:
    from ..scoring.next import NextResult

__all__ = ["next", "print_chosen"]

_SHOWN = 10


def next(
    model: Model,
    source: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Images without labels: a folder, a manifest (.csv, .tsv, .txt or .jsonl), single "
            "images, or a cache made with the model's network.",
            show_default=False,
        ),
    ],
    n: Annotated[
        int | None,
        typer.Option("-n", "--number", metavar="N", help="Number of images to choose."),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            help="The .csv file to write: a manifest whose column label is to be filled in.",
        ),
    ] = Path("next.csv"),
    overwrite: Overwrite = False,
    columns: Columns = None,
    allow_outside: Outside = False,
    weights: Weights = "auto",
    runtime: Runtime = None,
    precision: Precision = None,
    seed: Seed = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """Choose the images whose labels would teach the model most.

    These are images that the model is unsure of and that differ from one another. Images that have
    a label, or that the model was trained on, are left out. An image that cannot be read is
    skipped, and the exit code is then 3.
    """
    with exit_on_error(json, quiet=quiet, verbose=verbose):
        from ..model.file import load
        from ..scoring.next import NextSettings, choose_next

        settings = settings_from(NextSettings, locals())
        with (
            Meter("Fetching weights", "MB", scale=1e6, quiet=quiet) as download,
            Meter("Looking", "images", quiet=quiet) as progress,
        ):
            loaded = load(
                model,
                weights=weights,
                runtime=runtime or "auto",
                precision=precision or "auto",
                download_progress=download,
            )
            listed = sources(source, allow_outside, columns, labelled=False)
            found = choose_next(loaded, listed, out, settings, progress=progress)
        if json:
            write_json(found.as_dict(), "next")
        else:
            print_chosen(found, settings.n)
            if not quiet:
                say_wrapped(
                    "Fill in the labels. To train on them too, put these images into the folders "
                    "of their classes, or their lines into the manifest that was extracted, and "
                    "run featx extract and featx fit again: only new images are computed."
                )
            more = " --allow-outside" if found.outside else ""
            print_next(
                f"featx evaluate {quoted(model)} {quoted(out)}{more}   (once the labels are in)",
                quiet=quiet,
            )
        if found.skipped:
            raise typer.Exit(3)


def print_chosen(found: "NextResult", wanted: int) -> None:
    """Write the first images that were chosen, and what was left out."""
    say(f"{printable(found.out)}: {len(found.chosen):,} of {found.listed:,} images to label")
    if len(found.chosen) < wanted:
        say("  There are no more that differ from one another")
    if found.trained_on:
        say(f"  {found.trained_on:,} left out: the model was trained on them")
    if found.labelled:
        say(f"  {found.labelled:,} left out: they have a label")
    print_skipped(found.skipped)
    say()
    rows = [
        [
            printable(row.path),
            printable(row.predicted),
            f"{row.confidence:.3f}",
            f"{row.margin:.3f}",
            "" if row.novelty is None else f"{row.novelty:.2f}",
        ]
        for row in found.chosen[:_SHOWN]
    ]
    heads = ["image", "predicted", "confidence", "margin", "novelty"]
    print_table("", heads, rows, left=["predicted"])
    if len(found.chosen) > _SHOWN:
        say(f"… and {len(found.chosen) - _SHOWN:,} more")
    say(f"  in {found.seconds:.1f} s")
