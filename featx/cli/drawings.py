"""Plots and contact sheets that commands draw beside what they print."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, printable

if TYPE_CHECKING:
    from ..heads.curve import CurveResult
    from ..heads.leaderboard import CompareResult
    from ..metrics import Scores
    from ..model.model import Model
    from ..model.predictions import Predictions

__all__ = ["check_drawings", "draw_curve", "draw_leaderboard", "draw_predictions", "draw_scores"]


def check_drawings(sheet: Path | None, plot: Path | None, overwrite: bool) -> None:
    """Refuse names that cannot be written, before the work begins."""
    from ..images.sheets import check_sheet
    from ..showing.figures import check_out

    if sheet:
        check_sheet(sheet, overwrite)
    if plot:
        check_out(plot, overwrite)
    if sheet and plot and sheet.resolve() == plot.resolve():
        raise InputError(f"{printable(plot)} is given for the sheet and the plot. Give two files.")


def draw_predictions(
    parts: "dict[str, Predictions]", model: "Model", sheet: Path | None, overwrite: bool
) -> None:
    """Draw the wrong predictions as a contact sheet, if one is asked for."""
    from ..reporting.sheet import draw_sheet

    if sheet:
        draw_sheet(parts, sheet, resize=model.fingerprint.trunk.resize, overwrite=overwrite)


def draw_scores(
    classes: Sequence[str],
    scores: "Scores",
    board: "CompareResult | None",
    plot: Path | None,
    overwrite: bool,
) -> None:
    """Plot confusion, reliability and the heads that were compared, if a plot is asked for."""
    from ..showing.figures import write_figure
    from ..showing.plots import plot_scores

    if plot:
        figure = plot_scores(classes, scores, board.as_dict() if board else None)
        write_figure(figure, plot, overwrite=overwrite)


def draw_leaderboard(board: "CompareResult", plot: Path | None, overwrite: bool) -> None:
    """Plot the heads with their intervals, if a plot is asked for."""
    from ..showing.figures import write_figure
    from ..showing.plots import plot_leaderboard

    if plot:
        write_figure(plot_leaderboard(board.as_dict()), plot, overwrite=overwrite)


def draw_curve(found: "CurveResult", plot: Path | None, overwrite: bool) -> None:
    """Plot a learning curve, if a plot is asked for."""
    from ..showing.figures import write_figure
    from ..showing.plots import plot_curve

    if plot:
        write_figure(plot_curve(found.as_dict()), plot, overwrite=overwrite)
