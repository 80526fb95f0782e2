"""The command compare, and the leaderboard that fit shows too."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import printable
from .exits import exit_on_error
from .meter import Meter
from .options import (
    OUTPUT,
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
    options_by_head,
    settings_from,
    split_names,
)
from .terminal import human_bytes, say, say_next, table, width, write_json

if TYPE_CHECKING:
    from ..heads.leaderboard import CompareResult, Entry

__all__ = ["app", "say_leaderboard"]

app = typer.Typer()

#: Columns of a terminal from which on a leaderboard shows more.
_ROOM_FOR_PARAMETERS = 96
_ROOM_FOR_COSTS = 128


@app.command(
    cls=HelpPage,
    epilog=examples(
        "compare",
        "compare features.h5 --heads logreg,rbf-svm --pools all --repeats 3",
        "compare --metric log-loss --out board.csv",
    ),
)
def compare(
    features: Features = Path("features.h5"),
    heads: Heads = "all",
    pools: Annotated[
        str | None,
        typer.Option(
            metavar="POOL,...",
            help="Pools that every head is compared on: all, or some of "
            f"{POOLS.replace('|', ', ')}. A pool makes one row of the features of an image.",
            show_default="each head's own",
            rich_help_panel=WHAT,
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
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            help="Write the leaderboard to a .csv or .json file too.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Find the best classifier: all heads on the same cross-validation folds.

    Each head's parameters are chosen inside every fold, so a score is that of the whole procedure.
    Heads that are not significantly worse than the best are marked as tied, and the smallest of
    them is chosen. A test split is never touched.
    """
    given = locals()
    with exit_on_error(json, quiet=quiet):
        from ..heads.compare import compare as run
        from ..heads.compare import write_leaderboard
        from ..heads.leaderboard import CompareSettings
        from ..network.pools import POOLS

        settings = settings_from(
            CompareSettings,
            given,
            heads=split_names(heads),
            pools=tuple(POOLS) if pools == "all" else split_names(pools),
            options=options_by_head(options or []),
        )
        with Meter("Comparing heads", "folds", quiet=quiet) as progress:
            board = run(features, settings, progress=progress)
        if out:
            write_leaderboard(board, out)
        if json:
            write_json(board.as_dict())
        else:
            say_leaderboard(board)
            say_next(
                f"featx fit {printable(features)} --head {board.choice.head}",
                "trains and tests it",
                quiet=quiet,
            )


def say_leaderboard(board: "CompareResult") -> None:
    """Write the heads, best first, and which of them is chosen."""
    columns = width()
    has_parameters = columns is None or columns >= _ROOM_FOR_PARAMETERS
    has_costs = columns is None or columns >= _ROOM_FOR_COSTS
    rows = []
    for entry in board.entries:
        row = [entry.head, entry.pool, "failed" if entry.error else _score(entry, board.metric)]
        if has_costs:
            row += _costs(entry)
        if has_parameters:
            row.append(_parameters(entry))
        rows.append([*row, _verdict(entry, board)])
    names = ["head", "pool", f"{board.metric} (95 %)"]
    names += ["fit s", "s per 1,000", "size"] if has_costs else []
    names += ["chosen parameters"] if has_parameters else []
    table(f"{board.images} images, {board.rule}", [*names, ""], rows)
    for entry in board.entries:
        if entry.error:
            say(f"{entry.head} on {entry.pool}: {printable(entry.error)}")
    say(
        f"Chosen: {board.choice.head} on {board.choice.pool} features, the smallest of the heads "
        "that are not significantly worse than the best (tied)."
    )
    say(f"The comparison took {board.seconds:.1f} s.")


def _score(entry: "Entry", metric: str) -> str:
    """Return a score and its interval; one that would pass 0 or 1 is shown by its ends."""
    low, high = entry.score - entry.half_width, entry.score + entry.half_width
    if low >= 0 and (high <= 1 or metric == "log-loss"):
        return f"{entry.score:.4f} ± {entry.half_width:.4f}"
    high = high if metric == "log-loss" else min(high, 1.0)
    return f"{entry.score:.4f}, {max(low, 0.0):.3f} to {high:.3f}"


def _costs(entry: "Entry") -> list[str]:
    if entry.error:
        return ["", "", ""]
    return [f"{entry.fit_seconds:.2f}", f"{entry.score_seconds:.3f}", human_bytes(entry.size)]


def _parameters(entry: "Entry") -> str:
    """Return the parameters that were chosen from the head's grid; others were given."""
    from ..heads.registry import HEADS

    head = HEADS.get(entry.head)
    grid: Mapping[str, Any] = head.param_grid if head else {}
    return ", ".join(f"{name}={entry.settings[name]}" for name in grid if name in entry.settings)


def _verdict(entry: "Entry", board: "CompareResult") -> str:
    return "chosen" if entry is board.choice else "tied" if entry.tied else ""
