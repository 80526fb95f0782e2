"""The command score."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError, printable
from .exits import exit_on_error
from .meter import Meter
from .options import (
    HOW,
    WHAT,
    Copies,
    HelpPage,
    Json,
    Model,
    Outside,
    Overwrite,
    Precision,
    Quiet,
    Runtime,
    Weights,
    examples,
    listed_sources,
    settings_from,
)
from .terminal import say, say_next, warn, write_json

if TYPE_CHECKING:
    from ..dataset.catalog import Catalog
    from ..scoring.score import ScoreResult

__all__ = ["app"]

app = typer.Typer()

_MOST_CLASSES = 12


@app.command(
    cls=HelpPage,
    epilog=examples(
        "score model.featx inbox -o scores.csv",
        "score model.featx features.h5 -o scores.jsonl --abstain 0.9",
    )
    + "\n\n  find inbox -name '*.jpg' -print0 | featx score model.featx - -0 -o scores.parquet",
)
def score(
    model: Model,
    source: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE",
            help="A folder, a manifest (.csv or .jsonl), image files, - for a list of paths on "
            "standard input, or a cache made with the model's network.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            help="The file of scores to write: .csv, .jsonl or .parquet.",
            rich_help_panel=WHAT,
        ),
    ] = Path("scores.csv"),
    top: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help="Write the K most probable classes in place of the probability of each class.",
            show_default="the probability of each class",
            rich_help_panel=WHAT,
        ),
    ] = None,
    abstain: Annotated[
        float | None,
        typer.Option(
            metavar="T",
            help="Write no label where the confidence is below T, 0 to 1.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    max_novelty: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            help="Write no label where the novelty is above N, 0 to 1.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    digest: Annotated[
        bool,
        typer.Option("--digest", help="Write the SHA-256 of each file too.", rich_help_panel=WHAT),
    ] = False,
    tta: Copies = 0,
    null: Annotated[
        bool,
        typer.Option(
            "--null",
            "-0",
            help="Paths on standard input end with a NUL byte, as find -print0 writes them.",
            rich_help_panel=HOW,
        ),
    ] = False,
    weights: Weights = "auto",
    runtime: Runtime = "auto",
    precision: Precision = "auto",
    allow_outside: Outside = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write one row for every image: the class that the model predicts, or why it cannot.

    Interrupted, the command continues where it stopped. Images that cannot be read have a row with
    the reason, and the exit code is then 3. Novelty is the fraction of training images that lie
    closer to their nearest neighbours than this image does: near 1, the model never saw anything
    like it.
    """
    given = locals()
    kept = "Finished rows are kept."
    with exit_on_error(json, quiet=quiet, resume=kept, without="--overwrite"):
        from ..model.file import load
        from ..scoring.score import ScoreSettings
        from ..scoring.score import score as run

        settings = settings_from(ScoreSettings, given)
        with (
            Meter("Fetching weights", "MB", scale=1e6, quiet=quiet) as download,
            Meter("Scoring", "images", quiet=quiet) as progress,
        ):
            loaded = load(
                model,
                weights=weights,
                runtime=runtime,
                precision=precision,
                download_progress=download,
            )
            listed = _listed(source, null, allow_outside)
            done = run(loaded, listed, out, settings, progress=progress)
        if json:
            write_json(done.as_dict())
        else:
            _show(done)
            say_next(
                f"featx evaluate {printable(model)} FOLDER",
                "compares predictions with known labels",
                quiet=quiet,
            )
        if done.failed:
            raise typer.Exit(3)


def _listed(source: list[Path], null: bool, allow_outside: bool) -> "list[Path] | Catalog":
    """Return the sources, or the images that standard input lists."""
    if [str(path) for path in source] != ["-"]:
        if null:
            raise InputError("-0 is for a list on standard input. Give - as the source.")
        return listed_sources(source, allow_outside, labelled=False)
    from ..dataset.scan import from_paths

    paths = sys.stdin.buffer.read().split(b"\0" if null else b"\n")
    return from_paths(os.fsdecode(path) for path in paths if path)


def _show(scored: "ScoreResult") -> None:
    """Write how many rows there are of which class."""
    new = scored.listed - scored.resumed
    rate = f" ({new / scored.seconds:,.1f} a second)" if new and scored.seconds else ""
    say(f"{printable(scored.out)}: {scored.listed:,} rows")
    failed = sum(scored.failed.values())
    say(f"  {scored.listed:,} listed = {scored.ok:,} scored + {failed:,} failed")
    if scored.resumed:
        say(f"  {scored.resumed:,} of them were finished by a run before")
    counts = sorted(scored.labels.items(), key=lambda item: (-item[1], item[0]))
    for name, count in counts[:_MOST_CLASSES]:
        say(f"  {count:>9,}  {printable(name)}")
    if len(counts) > _MOST_CLASSES:
        say(f"  … and {len(counts) - _MOST_CLASSES} more classes (--json lists all)")
    if scored.undecided:
        say(
            f"  {scored.undecided:>9,}  without a label: the confidence is too low, or the novelty "
            "too high"
        )
    say(f"  in {scored.seconds:.1f} s{rate}")
    if scored.failed:
        from ..images.decode import REASONS

        for reason, count in scored.failed.items():
            warn(f"  {count:,} failed: {reason}, {REASONS.get(reason, '')}")
