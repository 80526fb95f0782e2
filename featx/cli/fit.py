"""The command fit."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import printable
from .compare import say_leaderboard
from .exits import exit_on_error
from .meter import Meter
from .options import (
    HEADS,
    HOW,
    POOLS,
    WHAT,
    Budget,
    ClassWeight,
    Features,
    Folds,
    Heads,
    HelpPage,
    Json,
    MetricName,
    Options,
    Quiet,
    Repeats,
    Seed,
    examples,
    options_of,
    settings_from,
    split_names,
)
from .terminal import confusion_table, say, say_next, say_scores, write_json

if TYPE_CHECKING:
    from ..model.fit import FitResult

__all__ = ["app"]

app = typer.Typer()


@app.command(
    cls=HelpPage,
    epilog=examples(
        "fit",
        "fit features.h5 -o bees.featx --head linear-svm --pool avg",
        "fit --head dense --set hidden=256 --set dropout=0.5",
        "fit --target-precision 0.99",
    ),
)
def fit(
    features: Features = Path("features.h5"),
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            metavar="MODEL",
            help="The model file to write.",
            rich_help_panel=WHAT,
        ),
    ] = Path("model.featx"),
    head: Annotated[
        str,
        typer.Option(
            metavar="HEAD",
            help=f"Classifier to train: best, which compares first, or one of {', '.join(HEADS)}.",
            rich_help_panel=WHAT,
        ),
    ] = "best",
    heads: Heads = "all",
    pool: Annotated[
        str | None,
        typer.Option(
            metavar=POOLS,
            help="How the features of an image become one row for the classifier.",
            show_default="each head's own",
            rich_help_panel=WHAT,
        ),
    ] = None,
    target_precision: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Find the confidence above which this share of the labels is right, such as "
            "0.99, for featx score --abstain.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    metric: MetricName = "accuracy",
    test_size: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="Share of the images held out for the test, where there is no test or val split.",
            rich_help_panel=HOW,
        ),
    ] = 0.2,
    options: Options = None,
    class_weight: ClassWeight = None,
    folds: Folds = 5,
    repeats: Repeats = 1,
    budget: Budget = None,
    seed: Seed = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Choose and train a classifier on cached features, test it, and save it as one file.

    The model is tested once: on the test split, or on val, or on held-out images, and never on an
    image that it was chosen by or trained on.
    """
    given = locals()
    with exit_on_error(json, quiet=quiet):
        from ..model.fit import FitSettings
        from ..model.fit import fit as run

        settings = settings_from(
            FitSettings, given, heads=split_names(heads), options=options_of(head, options or [])
        )
        with Meter("Comparing heads", "folds", quiet=quiet) as progress:
            fitted = run(features, out, settings, progress=progress)
        if json:
            write_json(fitted.as_dict())
        else:
            _show(fitted)
            say_next(
                f"featx score {printable(out)} FOLDER",
                "labels other images; featx finetune may improve the model",
                quiet=quiet,
            )


def _show(fitted: "FitResult") -> None:
    """Write how well a model does, and where it is."""
    model, test = fitted.model, fitted.test
    if fitted.leaderboard:
        say_leaderboard(fitted.leaderboard)
        say()
    say(
        f"{model.head_name} on {model.pool} features was trained on {fitted.train_images} images "
        f"({fitted.train_rows} rows) and tested on {test.images}."
    )
    say(f"  Split: {fitted.rule}.")
    if fitted.left_out:
        say(f"  {fitted.left_out} training images were left out: they equal test images.")
    if fitted.unlabelled:
        say(f"  {fitted.unlabelled} images without a label were left out.")
    if model.provider == "random":
        say("  The weights are RANDOM: the scores mean nothing.")
    say()
    confusion_table(model.classes, test.confusion.tolist())
    say()
    say_scores(test, "test images")
    if fitted.target_precision is not None:
        _say_threshold(fitted)
    say(f"{printable(fitted.out)} was written ({fitted.seconds:.1f} s in all).")


def _say_threshold(fitted: "FitResult") -> None:
    limit, test = fitted.threshold, fitted.threshold_test
    if limit is None or test is None:
        say(f"No confidence reaches a precision of {fitted.target_precision:g}.")
        return
    confidence = math.floor(limit.confidence * 1e6) / 1e6
    say(
        f"With --abstain {confidence:g}, {limit.share:.1%} of the images get a label and "
        f"{limit.precision:.2%} of those are right (out of fold; on the test images "
        f"{test.share:.1%} and {test.precision:.2%})."
    )
