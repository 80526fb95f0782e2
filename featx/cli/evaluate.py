"""The command evaluate."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import printable
from .exits import exit_on_error
from .meter import Meter
from .options import (
    OUTPUT,
    WHAT,
    Copies,
    HelpPage,
    Json,
    Model,
    Outside,
    Precision,
    Quiet,
    Runtime,
    Seed,
    Weights,
    examples,
    listed_sources,
    settings_from,
)
from .terminal import confusion_table, say, say_scores, say_skipped, table, write_json

if TYPE_CHECKING:
    from ..scoring.evaluate import EvaluateResult

__all__ = ["app"]

app = typer.Typer()

_NAMES = {"balanced_accuracy": "Balanced accuracy", "macro_f1": "Macro F1", "log_loss": "Log loss"}


@app.command(
    cls=HelpPage,
    epilog=examples("evaluate model.featx photos", "evaluate model.featx features.h5 --split val"),
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
            help="Split whose images the model is evaluated on.",
            show_default="test, else val, else all",
            rich_help_panel=WHAT,
        ),
    ] = None,
    mistakes: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="How many of the most confident mistakes are shown.",
            rich_help_panel=OUTPUT,
        ),
    ] = 10,
    tta: Copies = 0,
    seed: Seed = 0,
    weights: Weights = "auto",
    runtime: Runtime = "auto",
    precision: Precision = "auto",
    allow_outside: Outside = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Compare the predictions of a model with known labels.

    Images that the model was trained on, byte for byte, are left out. Intervals are 95 %
    intervals: Wilson's for the accuracy, from bootstrap samples of the images for the others.
    """
    given = locals()
    with exit_on_error(json, quiet=quiet):
        from ..model.file import load
        from ..scoring.evaluate import EvaluateSettings
        from ..scoring.evaluate import evaluate as run

        settings = settings_from(EvaluateSettings, given)
        with (
            Meter("Fetching weights", "MB", scale=1e6, quiet=quiet) as download,
            Meter("Evaluating", "images", quiet=quiet) as progress,
        ):
            loaded = load(
                model,
                weights=weights,
                runtime=runtime,
                precision=precision,
                download_progress=download,
            )
            listed = listed_sources(source, allow_outside)
            found = run(loaded, listed, settings, progress=progress)
        if json:
            write_json(found.as_dict())
        else:
            _show(found)
        if found.skipped:
            raise typer.Exit(3)


def _show(found: "EvaluateResult") -> None:
    """Write how well a model does on labelled images."""
    scores = found.scores
    say(f"{scores.images} images: {found.rule}")
    if found.trained_on:
        say(f"  {found.trained_on} left out: the model was trained on them")
    if found.unlabelled:
        say(f"  {found.unlabelled} images without a label left out")
    say_skipped(found.skipped)
    say()
    rows = [
        [printable(name), *(f"{row[key]:.3f}" for key in ("precision", "recall", "f1")),
         f"{row['images']}"]
        for name, row in zip(found.classes, found.by_class, strict=True)
    ]  # fmt: skip
    table("Classes", ["class", "precision", "recall", "F1", "images"], rows)
    say()
    confusion_table(found.classes, scores.confusion.tolist())
    if found.mistakes:
        say()
        rows = [
            [printable(row.path), printable(row.true), printable(row.predicted),
             f"{row.confidence:.3f}"]
            for row in found.mistakes
        ]  # fmt: skip
        table("Most confident mistakes", ["path", "true", "predicted", "confidence"], rows)
    say()
    say_scores(scores, "images")
    named = [
        f"{title} {low:.4f} to {high:.4f}"
        for name, title in _NAMES.items()
        for low, high in [found.intervals[name]]
    ]
    say(f"95 % intervals from bootstrap samples: {'; '.join(named)}.")
