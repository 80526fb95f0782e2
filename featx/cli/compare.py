"""`featx compare`: which head is best, and the leaderboard."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import printable
from . import completion
from .drawings import check_drawings, draw_leaderboard
from .exits import exit_on_error
from .meter import Meter
from .options import (
    OUTPUT,
    Budget,
    ClassWeight,
    Folds,
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
    names,
    options_by_head,
)
from .pages import settings_from
from .runs import Backend, Scheduler
from .terminal import fits, print_next, print_table, quoted, say_wrapped, write_json

if TYPE_CHECKING:
    from ..heads.leaderboard import CompareResult, Entry

__all__ = ["compare", "print_leaderboard"]


def compare(
    features: SeveralFeatures = [Path("features.h5")],  # noqa: B006 - typer reads it
    heads: Heads = None,
    views: Annotated[
        str | None,
        typer.Option(
            "--views",
            "--pools",
            metavar="VIEW,VIEW...|all",
            autocompletion=completion.VIEWS,
            help="What the heads see of an image, each tried with every head: all that the cache "
            "has, or some of {network.views.VIEWS}.",
            show_default="each head's own",
        ),
    ] = None,
    metric: MetricName = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="FILE", help="Write the leaderboard to a .csv or .json file too."
        ),
    ] = None,
    overwrite: Overwrite = False,
    folds: Folds = None,
    repeats: Repeats = None,
    min_per_class: MinPerClass = None,
    prefer: Prefer = None,
    budget: Budget = None,
    options: Options = None,
    class_weight: ClassWeight = None,
    seed: Seed = None,
    plot: Plot = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE",
            rich_help_panel=OUTPUT,
            help="Write the leaderboard as a page for a browser too: a .html file.",
        ),
    ] = None,
    backend: Backend = None,
    scheduler: Scheduler = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Find the best head by cross-validating all of them on the same folds over images.

    The settings of each head are chosen inside every fold, so a score is that of the whole
    procedure. Heads that are not significantly worse than the best are marked as tied, and the one
    with the lowest log loss of these is chosen. A test split is never touched.

    With several caches of the same images, heads are compared on the features of each network, and
    on those of each two networks side by side.
    """
    with exit_on_error(json, quiet=quiet):
        from ..heads.compare import compare as run
        from ..heads.settings import CompareSettings
        from ..heads.written import write_result
        from ..reporting.page import check_page
        from ..reporting.report import report_leaderboard
        from ..storage.files import require_new

        settings = settings_from(
            CompareSettings,
            locals(),
            heads=names(heads),
            views=names(views),
            options=options_by_head(options or []),
        )
        if out:
            require_new(out, overwrite)
        check_drawings(None, plot, overwrite)
        if report:
            check_page(report, overwrite)
        with Meter("Comparing heads", "folds", quiet=quiet) as progress:
            board = run(features, settings, progress=progress)
        if out:
            write_result(board, out, overwrite=overwrite)
        draw_leaderboard(board, plot, overwrite)
        if report:
            report_leaderboard(board, report, overwrite=overwrite)
        if json:
            write_json(board.as_dict(), "compare")
            return
        print_leaderboard(board)
        choice = board.choice
        chosen = " ".join(map(quoted, board.networks[choice.network]))
        print_next(f"featx fit {chosen} --head {choice.head} --view {choice.view}", quiet=quiet)


def print_leaderboard(board: "CompareResult") -> None:
    """Write the heads, best first, with the verdict last; a narrow terminal gets fewer columns."""
    from ..heads.display import cheaper_words, entry_words
    from ..heads.leaderboard import PREFERENCES

    say_wrapped(f"{board.images} images, {board.rule}")
    heads, rows = _columns(board)
    print_table("", heads, rows, left=["view", "network", "chosen settings", "verdict"])
    for entry in board.entries:
        if entry.error:
            say_wrapped(f"{entry_words(entry, board)} failed: {printable(entry.error)}", "  ")
    choice, words = board.choice, PREFERENCES[board.prefer].words
    say_wrapped(
        f"Tied heads are not significantly worse than the best; {words} is chosen: "
        f"{entry_words(choice, board)}. ({board.seconds:.1f} s)"
    )
    if cheaper := cheaper_words(board, "--prefer fast"):
        say_wrapped(cheaper)


def _columns(board: "CompareResult") -> tuple[list[str], list[list[str]]]:
    """Return the widest table that the terminal has room for.

    Dropped first are bytes and times, then the settings; head, view, score and verdict stay, and
    network and cost where there are several.
    """
    from ..heads.display import gmac_words, score_words, verdict

    several = len(board.networks) > 1
    network = ("network", [entry.network for entry in board.entries])
    gmac = ("GMAC", [gmac_words(entry) for entry in board.entries])
    start: list[tuple[str, list[str]]] = [
        ("head", [entry.head for entry in board.entries]),
        ("view", [entry.view for entry in board.entries]),
        *([network] if several else []),
        (f"{board.metric} ± 95 %", [score_words(entry, board.metric) for entry in board.entries]),
        ("log loss", [_number(entry.log_loss, ".4f") for entry in board.entries]),
        *([gmac] if several else []),
    ]
    settings = ("chosen settings", [_chosen_settings(entry) for entry in board.entries])
    costs = [
        ("fit s", [_number(entry.fit_seconds, ".2f") for entry in board.entries]),
        ("score s/1000", [_number(entry.score_seconds, ".3f") for entry in board.entries]),
        ("bytes", [f"{entry.size:,}" if entry.size else "" for entry in board.entries]),
    ]
    last = ("verdict", [verdict(entry, board.choice) for entry in board.entries])
    for extra in ([settings, *costs], [settings], []):
        columns: Sequence[tuple[str, list[str]]] = [*start, *extra, last]
        heads = [head for head, _ in columns]
        rows = [list(row) for row in zip(*(cells for _, cells in columns), strict=True)]
        if fits(heads, rows):
            break
    return heads, rows


def _number(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else ""


def _chosen_settings(entry: "Entry") -> str:
    """Return the settings that were chosen; others are the head's defaults."""
    from ..heads.registry import HEADS

    head = HEADS.get(entry.head)
    grid: Any = entry.settings if head is None or head.leaves_out else head.param_grid
    return ", ".join(f"{name}={value}" for name, value in entry.settings.items() if name in grid)
