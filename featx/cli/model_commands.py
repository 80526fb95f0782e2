"""Commands about models: compare, fit, info."""

from pathlib import Path
from typing import Annotated

import typer

from . import terminal
from .exits import exit_on_error
from .options import (
    HEADS,
    POOLS,
    Budget,
    ClassWeight,
    Features,
    Folds,
    Heads,
    Json,
    MetricName,
    Options,
    Quiet,
    Repeats,
    Seed,
    names,
    options_by_head,
    options_of,
)

__all__ = ["app"]

app = typer.Typer()


@app.command(
    epilog="Examples:  featx compare   |   featx compare features.h5 --heads logreg,rbf-svm "
    "--pools all --repeats 3   |   featx compare --metric log-loss --out board.csv"
)
def compare(
    features: Features = Path("features.h5"),
    heads: Heads = "all",
    pools: Annotated[
        str | None,
        typer.Option(
            metavar=f"{POOLS}|all",
            help="Pools to try every head on, separated by commas.",
            show_default="each head's own",
        ),
    ] = None,
    metric: MetricName = "accuracy",
    folds: Folds = 5,
    repeats: Repeats = 1,
    budget: Budget = None,
    options: Options = None,
    class_weight: ClassWeight = None,
    seed: Seed = 0,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Write the table as .csv or .json.")
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Find the best head: all of them on the same folds over images.

    The choice of each head's settings is inside every fold, so the figure is of the whole
    procedure. Those that cannot be told from the best are marked as tied; of these the smallest is
    the choice. A test split is never touched.
    """
    with exit_on_error(json, quiet=quiet):
        from ..heads import compare as comparison
        from ..heads.leaderboard import CompareSettings
        from ..network.pools import POOLS

        settings = CompareSettings(
            heads=names(heads),
            pools=tuple(POOLS) if pools == "all" else names(pools),
            metric=metric,
            folds=folds,
            repeats=repeats,
            seed=seed,
            budget=budget,
            class_weight=class_weight,
            options=options_by_head(options or []),
        )
        with terminal.Meter("Comparing", "folds", quiet=quiet) as progress:
            board = comparison.compare(features, settings, progress=progress)
        if out:
            comparison.write_leaderboard(board, out)
        if json:
            terminal.write_json(board.as_dict())
        else:
            terminal.print_leaderboard(board)


@app.command(
    epilog="Examples:  featx fit   |   featx fit features.h5 -o bees.featx --head linear-svm "
    "--pool avg   |   featx fit --head dense --set hidden=256 --set dropout=0.5   |   "
    "featx fit --target-precision 0.99"
)
def fit(
    features: Features = Path("features.h5"),
    out: Annotated[Path, typer.Option("-o", "--out", help="The model to write.")] = Path(
        "model.featx"
    ),
    head: Annotated[
        str, typer.Option(metavar="HEAD", help=f"best, which compares first, or {HEADS}.")
    ] = "best",
    heads: Heads = "all",
    pool: Annotated[
        str | None,
        typer.Option(
            metavar=POOLS,
            help="How the features of an image become one row.",
            show_default="each head's own",
        ),
    ] = None,
    options: Options = None,
    class_weight: ClassWeight = None,
    metric: MetricName = "accuracy",
    folds: Folds = 5,
    repeats: Repeats = 1,
    budget: Budget = None,
    test_size: Annotated[
        float,
        typer.Option(help="Share held out for the test, where there is no test or val split."),
    ] = 0.2,
    target_precision: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Find the confidence from which on this share of labels is right, such as 0.99.",
        ),
    ] = None,
    seed: Seed = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Choose and train a classifier on cached features, test it, and save it as one file.

    It is tested once: on the test split, or on val, or on held-out images, and never on a
    image that it was chosen by or trained on.
    """
    with exit_on_error(json, quiet=quiet):
        from ..model import fit as fitting

        settings = fitting.FitSettings(
            head=head,
            heads=names(heads),
            pool=pool,
            options=options_of(head, options or []),
            class_weight=class_weight,
            metric=metric,
            folds=folds,
            repeats=repeats,
            budget=budget,
            test_size=test_size,
            target_precision=target_precision,
            seed=seed,
        )
        with terminal.Meter("Comparing", "folds", quiet=quiet) as progress:
            fitted = fitting.fit(features, out, settings, progress=progress)
        if json:
            terminal.write_json(fitted.as_dict())
        else:
            terminal.print_fitted(fitted)


@app.command(
    epilog="Examples:  featx verify features.h5 model.featx   |   featx verify features.h5 "
    "--against photos"
)
def verify(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Caches and models.", show_default=False),
    ],
    against: Annotated[
        Path | None,
        typer.Option(metavar="SOURCE", help="The images it was made of: is each there, as it was?"),
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Look through caches and models: every byte, the structure, every number.

    The exit code is 4 when something is wrong; what is, and what can still be used, is said.
    """
    with exit_on_error(json, quiet=quiet):
        from ..model.verify import verify as verified

        found = []
        with terminal.Meter("Verifying", "images", quiet=quiet) as progress:
            for path in paths:
                found.append(verified(path, against=against, progress=progress))
        if json:
            terminal.write_json({"files": [one.as_dict() for one in found]})
        else:
            for one in found:
                terminal.print_verified(one)
        if any(one.problems for one in found):
            raise typer.Exit(4)


@app.command(epilog="Examples:  featx info features.h5   |   featx info model.featx --json")
def info(
    file: Annotated[Path, typer.Argument(help="A cache or a model.")], json: Json = False
) -> None:
    """Say what a cache or a model is, and what is in it."""
    with exit_on_error(json):
        from ..cache.file import Cache
        from ..model.file import is_model, load

        if is_model(file):
            described = load(file).as_dict()
        else:
            with Cache.open(file) as cache:
                described = cache.as_dict()
        if json:
            terminal.write_json({"file": str(file), **described})
        else:
            terminal.print_described(file, described)
