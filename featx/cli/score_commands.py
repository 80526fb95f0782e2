"""Commands that use a model: score, evaluate."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from . import terminal
from .exits import exit_on_error
from .options import Json, Model, Outside, Quiet, Runtime, Seed, Weights, sources

if TYPE_CHECKING:
    from ..dataset.catalog import Catalog

__all__ = ["app"]

app = typer.Typer()

Copies = Annotated[
    int,
    typer.Option(
        "--tta", metavar="K", help="Average over K augmented copies too, as the model was trained."
    ),
]


@app.command(
    epilog="Examples:  featx score model.featx inbox -o scores.csv   |   find inbox -name '*.jpg' "
    "-print0 | featx score model.featx - -0 -o scores.parquet   |   featx score model.featx "
    "features.h5 -o scores.jsonl --abstain 0.9"
)
def score(
    model: Model,
    source: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE",
            help="A folder, a manifest (.csv or .jsonl), images, - for a list of paths on "
            "standard input, or a cache made with the model's network.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="The rows: .csv, .jsonl or .parquet.")
    ] = Path("scores.csv"),
    null: Annotated[
        bool, typer.Option("--null", "-0", help="Paths on standard input end with NUL.")
    ] = False,
    top: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help="Write the K most probable classes.",
            show_default="the probability of each class",
        ),
    ] = None,
    digest: Annotated[
        bool, typer.Option("--digest", help="Write the SHA-256 of each file too.")
    ] = False,
    tta: Copies = 0,
    abstain: Annotated[
        float | None,
        typer.Option(metavar="T", help="Write no label where the confidence is below T, 0 to 1."),
    ] = None,
    max_novelty: Annotated[
        float | None,
        typer.Option(metavar="N", help="Write no label where the novelty is above N, 0 to 1."),
    ] = None,
    weights: Weights = "auto",
    runtime: Runtime = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Start again, and replace what is there.")
    ] = False,
    allow_outside: Outside = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write one row for every image: what the model says of it, or why it cannot be read.

    Interrupted, it goes on where it was. Images that cannot be read have a row with the reason,
    and the exit code is then 3. Novelty is the fraction of training images that are less unlike
    the others than this image is: near 1, the model never saw anything like it.
    """
    kept = "Finished rows are kept."
    with exit_on_error(json, quiet=quiet, resume=kept, without="--overwrite"):
        from ..model.file import load
        from ..scoring import score as scoring

        settings = scoring.ScoreSettings(
            top=top,
            digest=digest,
            tta=tta,
            abstain=abstain,
            max_novelty=max_novelty,
            overwrite=overwrite,
        )
        with (
            terminal.Meter("Fetching weights", "MB", scale=1e6, quiet=quiet) as download,
            terminal.Meter("Scoring", "images", quiet=quiet) as progress,
        ):
            loaded = load(model, weights=weights, runtime=runtime, download_progress=download)
            listed = _listed(source, null, allow_outside)
            done = scoring.score(loaded, listed, out, settings, progress=progress)
        if json:
            terminal.write_json(done.as_dict())
        else:
            terminal.print_scored(done)
        if done.failed:
            raise typer.Exit(3)


@app.command(
    epilog="Examples:  featx evaluate model.featx photos   |   featx evaluate model.featx "
    "features.h5 --split val --json"
)
def evaluate(
    model: Model,
    source: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE",
            help="Class folders, a manifest with labels, or a cache made with the model's network.",
            show_default=False,
        ),
    ],
    split: Annotated[
        str | None,
        typer.Option(
            metavar="train|val|test",
            help="Which images.",
            show_default="test, else val, else all",
        ),
    ] = None,
    tta: Copies = 0,
    mistakes: Annotated[int, typer.Option(help="How many of the worst mistakes to show.")] = 10,
    seed: Seed = 0,
    weights: Weights = "auto",
    runtime: Runtime = "auto",
    allow_outside: Outside = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Compare what a model says of labelled images with their labels.

    Images that the model was trained on, byte for byte, are left out. The intervals are of 95 %,
    from bootstrap samples of the images.
    """
    with exit_on_error(json, quiet=quiet):
        from ..model.file import load
        from ..scoring import evaluate as evaluation

        settings = evaluation.EvaluateSettings(split=split, tta=tta, mistakes=mistakes, seed=seed)
        with (
            terminal.Meter("Fetching weights", "MB", scale=1e6, quiet=quiet) as download,
            terminal.Meter("Evaluating", "images", quiet=quiet) as progress,
        ):
            loaded = load(model, weights=weights, runtime=runtime, download_progress=download)
            listed = sources(source, allow_outside)
            found = evaluation.evaluate(loaded, listed, settings, progress=progress)
        if json:
            terminal.write_json(found.as_dict())
        else:
            terminal.print_evaluation(found)
        if found.skipped:
            raise typer.Exit(3)


def _listed(source: list[Path], null: bool, allow_outside: bool) -> "list[Path] | Catalog":
    """Return the sources, or the images that standard input lists."""
    if [str(path) for path in source] != ["-"]:
        if null:
            raise InputError("-0 is for a list on standard input. Give - as the source.")
        return sources(source, allow_outside, labelled=False)
    from ..dataset.scan import from_paths

    paths = sys.stdin.buffer.read().split(b"\0" if null else b"\n")
    return from_paths(os.fsdecode(path) for path in paths if path)
