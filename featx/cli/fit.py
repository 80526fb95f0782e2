"""`featx fit`: the best head, or a named one, trained, tested and saved as a model."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import printable
from ..showing.words import shortened
from . import completion
from .compare import print_leaderboard
from .drawings import check_drawings, draw_predictions, draw_scores
from .exits import exit_on_error
from .meter import Meter
from .options import (
    TRAINING,
    Budget,
    ClassWeight,
    Folds,
    Head,
    Heads,
    Json,
    MetricName,
    MinPerClass,
    Options,
    Overwrite,
    Plot,
    Prefer,
    Quiet,
    Repeats,
    Seed,
    SeveralFeatures,
    Sheet,
    names,
    options_of,
)
from .pages import settings_from
from .runs import Backend, Scheduler
from .scores import print_confusion, print_mistakes, print_reliability, print_scores
from .terminal import print_next, quoted, say, say_wrapped, write_json

if TYPE_CHECKING:
    from ..model.fit import FitResult

__all__ = ["fit"]

_MOST_MISTAKES = 5


def fit(
    features: SeveralFeatures = [Path("features.h5")],  # noqa: B006 - typer reads it
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FILE", help="The model file to write.")
    ] = Path("model.featx"),
    head: Head = "best",
    overwrite: Overwrite = False,
    heads: Heads = None,
    view: Annotated[
        str | None,
        typer.Option(
            "--view",
            "--pool",
            metavar="VIEW",
            autocompletion=completion.VIEW,
            help="What the head sees of an image: one of {network.views.VIEWS}.",
            show_default="each head's own",
        ),
    ] = None,
    metric: MetricName = None,
    options: Options = None,
    class_weight: ClassWeight = None,
    folds: Folds = None,
    repeats: Repeats = None,
    min_per_class: MinPerClass = None,
    prefer: Prefer = None,
    budget: Budget = None,
    test_size: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            rich_help_panel=TRAINING,
            help="Share of the images held out for the test, if there is no test or val split.",
        ),
    ] = None,
    target_precision: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            rich_help_panel=TRAINING,
            help="Find the confidence from which on this share of the labels is right, such as "
            "0.99.",
        ),
    ] = None,
    seed: Seed = None,
    sheet: Sheet = None,
    plot: Plot = None,
    backend: Backend = None,
    scheduler: Scheduler = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Choose and train a classifier on cached features, test it, and save it as one file.

    The model is tested once: on the test split, on the val split, or on held-out images. No image
    by which it was chosen or on which it was trained is among them.

    With several caches of the same images, the features of each network and those of each two
    networks side by side are compared; a model may then need two networks.
    """
    with exit_on_error(json, quiet=quiet):
        from ..model.fit import fit as run
        from ..model.settings import FitSettings

        settings = settings_from(
            FitSettings, locals(), heads=names(heads), options=options_of(head, options or [])
        )
        check_drawings(sheet, plot, overwrite)
        with Meter("Comparing heads", "folds", quiet=quiet) as progress:
            fitted = run(features, out, settings, progress=progress)
        parts = {"test images": fitted.tested}
        if fitted.out_of_fold:
            parts["training images, each predicted without it"] = fitted.out_of_fold
        draw_predictions(parts, fitted.model, sheet, overwrite)
        draw_scores(fitted.model.classes, fitted.test, fitted.leaderboard, plot, overwrite)
        if json:
            write_json(fitted.as_dict(), "fit")
            return
        print_fitted(fitted)
        _print_looks(fitted, _chosen(fitted, features), sheet, quiet=quiet)
        print_next(f"featx score {quoted(fitted.out)} FOLDER -o scores.csv", quiet=quiet)


def print_fitted(fitted: "FitResult") -> None:
    """Write how well a model does, and where it is."""
    model, test = fitted.model, fitted.test
    if fitted.leaderboard:
        print_leaderboard(fitted.leaderboard)
        say()
    say_wrapped(
        f"{model.head_name} on {model.view.name} features{_by(fitted)}: "
        f"{fitted.train_images} images ({fitted.train_rows} rows) to train, {test.images} to test"
    )
    say_wrapped(f"  {fitted.rule}", "  ")
    if fitted.left_out:
        same = "they equal test images or are in their group"
        say(f"  {fitted.left_out} training images left out: {same}")
    if fitted.left_out_classes:
        few = shortened(fitted.left_out_classes)
        say_wrapped(f"  classes left out, with too few images to train on: {few}", "  ")
    if fitted.unlabelled:
        say(f"  {fitted.unlabelled} images without a label left out")
    if model.provider == "random":
        say("  on RANDOM weights: the scores mean nothing")
    say()
    print_confusion(model.classes, test.confusion.tolist())
    _print_wrong(fitted)
    print_scores(test, "test images", {})
    print_reliability(test)
    if fitted.target_precision is not None:
        _print_threshold(fitted)
    say(f"Model: {printable(fitted.out)} ({fitted.seconds:.1f} s)")


def _by(fitted: "FitResult") -> str:
    """Return whose features they are, where caches were compared."""
    board = fitted.leaderboard
    return f" of {board.choice.network}" if board and len(board.networks) > 1 else ""


def _print_wrong(fitted: "FitResult") -> None:
    """List the most confident mistakes, on the test images and on those of the training."""
    for what, mistakes in (
        ("test images", fitted.mistakes),
        ("training images, each predicted by a classifier without it", fitted.training_mistakes),
    ):
        few = "all" if len(mistakes) <= _MOST_MISTAKES else f"{_MOST_MISTAKES} of {len(mistakes)}"
        print_mistakes(f"Mistakes on {what} ({few})", mistakes[:_MOST_MISTAKES])
    say()


def _chosen(fitted: "FitResult", features: list[Path]) -> Path:
    """Return the cache that was chosen, or the first of two."""
    board = fitted.leaderboard
    return Path(board.networks[board.choice.network][0]) if board else features[0]


def _print_looks(fitted: "FitResult", features: Path, sheet: Path | None, *, quiet: bool) -> None:
    """Name what is worth a look, and the commands that show it."""
    if quiet:
        return
    model, cache = quoted(fitted.out), quoted(features)
    say("Worth a look:")
    if sheet and (fitted.mistakes or fitted.training_mistakes):
        say(f"  the images that are wrong             {printable(sheet)}")
    say(f"  everything, as a page for a browser   featx report {model} -o report.html")
    say(f"  wrong labels, doubles and odd images  featx audit {cache} -o audit.csv")
    say(f"  whether more images would help        featx curve {cache}")


def _print_threshold(fitted: "FitResult") -> None:
    limit, test = fitted.threshold, fitted.threshold_test
    if limit is None or test is None:
        most = (fitted.train_images + 1) / (fitted.train_images + 2)
        say_wrapped(
            f"Threshold: none; a precision of {fitted.target_precision:g} is not reached. "
            f"{fitted.train_images} images without an error would support {most:.4g}.",
            "  ",
        )
        return
    confidence = math.floor(limit.confidence * 1e6) / 1e6
    say_wrapped(
        f"Threshold: --abstain {confidence:g} labels {limit.share:.1%} of the images and is right "
        f"on {limit.precision:.2%} of those, by out-of-fold predictions (on the test images: "
        f"{test.share:.1%} and {test.precision:.2%})",
        "  ",
    )
