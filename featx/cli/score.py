"""`featx score`: one row for every image."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError, printable
from . import completion
from .exits import exit_on_error
from .meter import Meter
from .options import (
    IMAGES,
    OUTPUT,
    Columns,
    Json,
    Model,
    Outside,
    Precision,
    Quiet,
    Runtime,
    Tta,
    Verbose,
    Weights,
    sources,
)
from .pages import settings_from
from .runs import Backend, MaxHours, Scheduler
from .terminal import print_next, quoted, say, warn, write_json

if TYPE_CHECKING:
    from ..dataset.catalog import Catalog
    from ..scoring.score import ScoreResult

__all__ = ["score"]

_MOST_CLASSES = 12


def score(
    model: Model,
    source: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="A folder, a manifest (.csv, .tsv, .txt or .jsonl), single images, - for a list "
            "of paths on standard input, or a cache made with the model's network. Also several "
            "folders, archives, .parquet files, or addresses such as s3://bucket/folder.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            help="The file to write the rows to: .csv, .jsonl, .parquet or .xlsx.",
        ),
    ] = Path("scores.csv"),
    top: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help="Write only the K most probable classes of each image.",
            show_default="the probability of every class",
        ),
    ] = None,
    abstain: Annotated[
        float | None,
        typer.Option(metavar="T", help="Leave the label empty if the confidence is below T."),
    ] = None,
    max_novelty: Annotated[
        float | None,
        typer.Option(metavar="N", help="Leave the label empty if the novelty is above N."),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Start again and replace an existing output."),
    ] = False,
    update: Annotated[
        bool,
        typer.Option(
            "--update",
            help="Score only images that are new or changed since the last run with --update, and "
            "keep the other rows. What is known of them is kept in OUT.known.",
        ),
    ] = False,
    null: Annotated[
        bool,
        typer.Option(
            "--null",
            "-0",
            rich_help_panel=IMAGES,
            help="Paths on standard input end with a NUL byte, as find -print0 writes them.",
        ),
    ] = False,
    columns: Columns = None,
    allow_outside: Outside = False,
    tta: Tta = None,
    weights: Weights = "auto",
    runtime: Runtime = None,
    precision: Precision = None,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            autocompletion=completion.SORT,
            rich_help_panel=OUTPUT,
            help="Sort the rows by one of {scoring.score.SORTS}: the least confident, or the most "
            "novel, come first.",
            show_default="by path",
        ),
    ] = None,
    excel: Annotated[
        bool,
        typer.Option(
            "--excel",
            rich_help_panel=OUTPUT,
            help="Write a CSV file whose letters Excel shows right (with a byte-order mark).",
        ),
    ] = False,
    digest: Annotated[
        bool,
        typer.Option(
            "--digest",
            rich_help_panel=OUTPUT,
            help="Write the SHA-256 of each image file, in a column of its own.",
        ),
    ] = False,
    backend: Backend = None,
    scheduler: Scheduler = None,
    max_hours: MaxHours = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """Predict the class of every image, and write exactly one row for each.

    After an interruption the command continues where it stopped. An image that cannot be read has
    a row with the reason, and the exit code is then 3. Novelty is the fraction of training images
    that lie closer to their nearest neighbours than this image does: near 1, the model has never
    seen anything like it.
    """
    kept = "Finished rows are kept."
    with exit_on_error(json, quiet=quiet, verbose=verbose, resume=kept, without="--overwrite"):
        from ..model.file import load
        from ..scoring.score import ScoreSettings
        from ..scoring.score import score as run

        settings = settings_from(ScoreSettings, locals())
        with (
            Meter("Fetching weights", "MB", scale=1e6, quiet=quiet) as download,
            Meter("Scoring", "images", quiet=quiet) as progress,
        ):
            loaded = load(
                model,
                weights=weights,
                runtime=runtime or "auto",
                precision=precision or "auto",
                download_progress=download,
            )
            listed = _listed(source, null, allow_outside, columns)
            done = run(loaded, listed, out, settings, progress=progress)
        if json:
            write_json(done.as_dict(), "score")
        else:
            print_scored(done)
            print_next(
                f"featx evaluate {quoted(model)} FOLDER   (images whose labels are known)",
                quiet=quiet,
            )
        if done.failed:
            raise typer.Exit(3)


def _listed(
    source: list[str], null: bool, allow_outside: bool, columns: list[str] | None
) -> "Sequence[str] | Catalog":
    """Return the sources, or the images that standard input lists."""
    if source != ["-"]:
        if null:
            raise InputError("-0 is for a list on standard input. Give - as the source.")
        return sources(source, allow_outside, columns, labelled=False)
    from ..dataset.scan import from_paths, split_paths

    return from_paths(split_paths(sys.stdin.buffer, b"\0" if null else b"\n"))


def print_scored(scored: "ScoreResult") -> None:
    """Write how many images have which label, and how many have none."""
    new = scored.listed - scored.resumed - scored.reused
    rate = f" ({new / scored.seconds:,.1f} a second)" if new and scored.seconds else ""
    say(f"{printable(scored.out)}: {scored.listed:,} rows")
    failed = sum(scored.failed.values())
    say(f"  {scored.listed:,} listed = {scored.ok:,} scored + {failed:,} failed")
    if scored.reused:
        say(f"  {scored.reused:,} of them were known from an earlier run")
    if scored.resumed:
        say(f"  {scored.resumed:,} of them were finished by an earlier run")
    counts = sorted(scored.labels.items(), key=lambda item: (-item[1], item[0]))
    for name, count in counts[:_MOST_CLASSES]:
        say(f"  {count:>9,}  {printable(name)}")
    if len(counts) > _MOST_CLASSES:
        say(f"  … and {len(counts) - _MOST_CLASSES} more classes (--json lists all)")
    if scored.undecided:
        say(f"  {scored.undecided:>9,}  without a label: low confidence or high novelty")
    say(f"  in {scored.seconds:.1f} s{rate}")
    for reason, count in scored.failed.items():
        warn(f"  {count:,} failed: {reason}, for example {scored.details.get(reason, '')}")
