"""`featx curve`: what more images would bring."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from ..showing.words import with_interval
from . import completion
from .drawings import check_drawings, draw_curve
from .exits import exit_on_error
from .meter import Meter
from .options import (
    TRAINING,
    Features,
    Folds,
    Head,
    Json,
    MetricName,
    MinPerClass,
    Overwrite,
    Plot,
    Quiet,
    Repeats,
    Seed,
    names,
)
from .pages import settings_from
from .terminal import print_next, print_table, say_wrapped, write_json

if TYPE_CHECKING:
    from ..heads.curve import CurveResult

__all__ = ["curve", "print_curve"]


def curve(
    features: Features = Path("features.h5"),
    head: Head = "best",
    view: Annotated[
        str | None,
        typer.Option(
            metavar="VIEW",
            autocompletion=completion.VIEW,
            help="What the head sees of an image: one of {network.views.VIEWS}.",
            show_default="the best of the head's own",
        ),
    ] = None,
    sizes: Annotated[
        str | None,
        typer.Option(
            metavar="N,N...",
            help="Numbers of training images of each class. All images are the last point in any "
            "case.",
            show_default="about seven, from 5 on",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="FILE", help="Write the points to a .csv or .json file too."
        ),
    ] = None,
    overwrite: Overwrite = False,
    metric: MetricName = None,
    draws: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            rich_help_panel=TRAINING,
            help="Number of random choices of the images at the smallest sizes; larger sizes have "
            "fewer.",
        ),
    ] = None,
    folds: Folds = None,
    repeats: Repeats = None,
    min_per_class: MinPerClass = None,
    seed: Seed = None,
    plot: Plot = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Tell whether more images would help: accuracy and log loss against their number.

    A head is trained on 5 images of each class, on more, and on all, in the folds of featx
    compare; the last row is what featx compare reports. The curve is carried on to twice as many
    images where that can be told. A test split is never touched.
    """
    with exit_on_error(json, quiet=quiet):
        from ..heads.curve import CurveSettings
        from ..heads.curve import curve as run
        from ..heads.written import write_result
        from ..storage.files import require_new

        settings = settings_from(CurveSettings, locals(), sizes=_sizes(sizes))
        if out:
            require_new(out, overwrite)
        check_drawings(None, plot, overwrite)
        with Meter("Training", "folds", quiet=quiet) as progress:
            found = run(features, settings, progress=progress)
        if out:
            write_result(found, out, overwrite=overwrite)
        draw_curve(found, plot, overwrite)
        if json:
            write_json(found.as_dict(), "curve")
            return
        print_curve(found)
        print_next("featx next model.featx UNLABELLED -n 50   (which images to label)", quiet=quiet)


def _sizes(text: str | None) -> tuple[int, ...]:
    """Return the numbers of a list.

    Raises
    ------
    InputError
        When there is something else in it.
    """
    found = names(text)
    if (text is not None and not found) or not all(one.isdecimal() for one in found):
        raise InputError(f"--sizes {text}: expected numbers of images a class: 5,10,20.")
    return tuple(map(int, found))


def print_curve(found: "CurveResult") -> None:
    """Write the points, smallest first, and what twice as many images would bring."""
    say_wrapped(f"{found.images} images, {found.rule}: {found.head} on {found.view}")
    rows = [
        [
            f"{point.per_class:,}",
            f"{point.images:,.0f}",
            with_interval(point.accuracy, point.accuracy_half_width, most=1),
            with_interval(point.log_loss, point.log_loss_half_width),
        ]
        for point in found.points
    ]
    heads = ["images a class", "training images", "accuracy ± 95 %", "log loss ± 95 %"]
    print_table("", heads, rows)
    say_wrapped(f"{found.sentence} ({found.seconds:.1f} s)")
