"""Figures that commands and pages show, in the style of featx."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..metrics import Scores
from .drawing import (
    CURVES,
    EPOCHS,
    draw_confusion,
    draw_curve,
    draw_epochs,
    draw_leaderboard,
    draw_reliability,
    scored,
)
from .figures import new_figure

__all__ = [
    "plot_confusion",
    "plot_curve",
    "plot_leaderboard",
    "plot_reliability",
    "plot_scores",
    "plot_tuning",
]


def plot_leaderboard(board: Mapping[str, Any]) -> Any:
    """Return a figure of the heads' scores with their 95 % intervals, best first.

    Parameters
    ----------
    board : mapping
        `CompareResult.as_dict()`.
    """
    with new_figure(7, 0.9 + 0.32 * len(scored(board))) as figure:
        draw_leaderboard(figure.subplots(), board)
    return figure


def plot_confusion(classes: Sequence[str], confusion: np.ndarray) -> Any:
    """Return a figure of the confusion matrix: rows are true classes, columns predicted ones."""
    side = min(9.0, 2.4 + 0.34 * len(classes))
    with new_figure(side + 0.6, side) as figure:
        draw_confusion(figure.subplots(), classes, confusion)
    return figure


def plot_reliability(scores: Scores) -> Any:
    """Return a figure of accuracy by confidence, in ten ranges, with the images in each."""
    with new_figure(4.6, 4.6) as figure:
        _reliability(figure, scores)
    return figure


def _reliability(figure: Any, scores: Scores) -> None:
    top, bottom = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    draw_reliability(top, scores, bottom)


def plot_scores(
    classes: Sequence[str], scores: Scores, board: Mapping[str, Any] | None = None
) -> Any:
    """Return one figure of what `fit` and `evaluate` found.

    It has the confusion matrix and the reliability, and above them the heads that were compared,
    if there are any.
    """
    entries = scored(board) if board else []
    side = min(7.0, 2.6 + 0.3 * len(classes))
    above = 0.9 + 0.3 * len(entries) if entries else 0
    with new_figure(side + 4.6, side + above) as figure:
        parts = figure.subfigures(2, height_ratios=(above, side)) if entries else [None, figure]
        if board and entries:
            draw_leaderboard(parts[0].subplots(), board)
        left, right = parts[1].subfigures(1, 2, width_ratios=(side, 4.2))
        draw_confusion(left.subplots(), classes, scores.confusion)
        _reliability(right, scores)
    return figure


def plot_curve(curve: Mapping[str, Any]) -> Any:
    """Return a figure of accuracy and log loss by training images, with 95 % intervals.

    Parameters
    ----------
    curve : mapping
        `CurveResult.as_dict()`.
    """
    with new_figure(7.4, 3.3) as figure:
        panels = figure.subplots(1, len(CURVES))
        for axes, metric in zip(panels, CURVES, strict=True):
            draw_curve(axes, curve, metric)
        panels[0].set_title(f"{curve['head']} on {curve['view']}", fontsize=9)
    return figure


def plot_tuning(tuning: Mapping[str, Any]) -> Any:
    """Return a figure of the training curves of `finetune`: loss and accuracy by epoch.

    Parameters
    ----------
    tuning : mapping
        `report["tuning"]` of a model.
    """
    history = tuning["history"]
    stages = [("head", "the head alone")] if history["head"] else []
    stages.append(("choose", "fine-tuning,\nchoosing the epoch"))
    if history["final"]:
        stages.append(("final", "fine-tuning,\nall training images"))
    with new_figure(max(5.5, 3.4 * len(stages)), 6) as figure:
        panels = figure.subplots(2, len(stages), squeeze=False, sharex="col", sharey="row")
        for column, (stage, title) in enumerate(stages):
            panels[0, column].set_title(title)
            panels[1, column].set_xlabel("epoch")
            for row, name in enumerate(EPOCHS):
                draw_epochs(panels[row, column], tuning, stage, name)
        for row, name in enumerate(EPOCHS):
            panels[row, 0].set_ylabel(name)
        panels[0, [stage for stage, _ in stages].index("choose")].legend(frameon=False)
        kept = "kept" if tuning["kept"] else "not kept: the head stays"
        figure.suptitle(f"{tuning['head']}, tuned from\n{tuning['layers'][0]} on ({kept})")
    return figure
