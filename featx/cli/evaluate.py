"""`featx evaluate`: a model compared with the labels of images."""

from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import printable
from ..showing.words import shortened
from . import completion
from .drawings import check_drawings, draw_predictions, draw_scores
from .exits import exit_on_error
from .meter import Meter
from .options import (
    Columns,
    Json,
    Model,
    Outside,
    Overwrite,
    Plot,
    Precision,
    Quiet,
    Runtime,
    Seed,
    Sheet,
    Tta,
    Verbose,
    Weights,
    sources,
)
from .pages import settings_from
from .scores import print_confusion, print_mistakes, print_reliability, print_scores
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
    from ..scoring.evaluate import EvaluateResult

__all__ = ["evaluate"]


def evaluate(
    model: Model,
    source: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Class folders, a manifest with labels, or a cache made with the model's network. "
            "Class folders may also lie in an archive, or at s3://bucket/folder.",
            show_default=False,
        ),
    ],
    split: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=completion.SPLIT,
            help="The split to evaluate on: test, val, or train, which are the images that the "
            "model was trained on, each predicted by a classifier without it.",
            show_default="test; without one val; without both all images",
        ),
    ] = None,
    mistakes: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="N", help="Number of mistakes to list, the most confident first."
        ),
    ] = None,
    tta: Tta = None,
    weights: Weights = "auto",
    runtime: Runtime = None,
    precision: Precision = None,
    columns: Columns = None,
    allow_outside: Outside = False,
    seed: Seed = None,
    sheet: Sheet = None,
    plot: Plot = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """Compare a model's predictions with the labels of images.

    Images that the model was trained on, byte for byte, are left out. The 95 % interval of the
    accuracy is Wilson's; those of the other scores come from bootstrap samples of the images.
    """
    with exit_on_error(json, quiet=quiet, verbose=verbose):
        from ..model.file import load
        from ..scoring.evaluate import EvaluateSettings
        from ..scoring.evaluate import evaluate as run

        check_drawings(sheet, plot, overwrite)
        settings = settings_from(EvaluateSettings, locals())
        with (
            Meter("Fetching weights", "MB", scale=1e6, quiet=quiet) as download,
            Meter("Evaluating", "images", quiet=quiet) as progress,
        ):
            loaded = load(
                model,
                weights=weights,
                runtime=runtime or "auto",
                precision=precision or "auto",
                download_progress=download,
            )
            found = run(
                loaded, sources(source, allow_outside, columns), settings, progress=progress
            )
        what = "training images" if split == "train" else "images"
        draw_predictions({what: found.predictions}, loaded, sheet, overwrite)
        draw_scores(loaded.classes, found.scores, None, plot, overwrite)
        if json:
            write_json(found.as_dict(), "evaluate")
        else:
            print_evaluated(found)
            if loaded.tail or loaded.fingerprint.also:
                after = f"featx score {quoted(model)} FOLDER -o scores.csv"
            else:
                after = f"featx finetune {quoted(model)} -o tuned.featx"
            print_next(after, quiet=quiet)
        if found.skipped:
            raise typer.Exit(3)


def print_evaluated(found: "EvaluateResult") -> None:
    """Write how well a model does on labelled images."""
    scores = found.scores
    say(f"{scores.images} images: {found.rule}")
    if found.trained_on:
        say(f"  {found.trained_on} left out: the model was trained on them")
    if found.unlabelled:
        say(f"  {found.unlabelled} images without a label left out")
    if found.unknown:
        say_wrapped(
            "  left out, of classes that the model does not know: " + shortened(found.unknown), "  "
        )
    print_skipped(found.skipped)
    say()
    rows = [
        [
            printable(name),
            *(f"{row[key]:.3f}" for key in ("precision", "recall", "f1")),
            f"{row['images']}",
        ]
        for name, row in zip(found.classes, found.by_class, strict=True)
    ]
    print_table("Classes", ["class", "precision", "recall", "F1", "images"], rows)
    say()
    print_confusion(found.classes, scores.confusion.tolist())
    print_mistakes("Most confident mistakes", found.mistakes)
    say()
    print_scores(scores, "images", found.intervals)
    print_reliability(scores)
