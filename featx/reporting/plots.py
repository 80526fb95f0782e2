"""What is plotted: heads with their intervals, confusion, reliability, curves."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import printable
from ..metrics import Scores
from .figures import new_figure

if TYPE_CHECKING:
    from ..heads.curve import CurveResult

__all__ = [
    "plot_confusion",
    "plot_curve",
    "plot_leaderboard",
    "plot_reliability",
    "plot_scores",
    "plot_tuning",
]

_MOST_NAMED = 80  # classes whose names stand at the axes
_LONGEST = 18
_MOST_COUNTED = 20  # classes whose counts stand in the cells
_TIED, _OTHER = "#1a7f37", "#8c959f"
_BLUE, _ORANGE = "#0969da", "#bc4c00"


def plot_leaderboard(board: Mapping[str, Any]) -> Any:
    """Return a figure of the heads' scores with their 95 % intervals, best first.

    Parameters
    ----------
    board : mapping
        `CompareResult.as_dict()`.
    """
    entries = [entry for entry in board["entries"] if entry["score"] is not None]
    with new_figure(7, 0.9 + 0.32 * len(entries)) as figure:
        _leaderboard(figure.subplots(), board, entries)
    return figure


def _leaderboard(axes: Any, board: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> None:
    chosen = board["choice"]
    for row, entry in enumerate(entries):
        color = _TIED if entry["tied"] else _OTHER
        low, high = (entry["ci95_half_width"] or 0,) * 2
        if board["metric"] != "log-loss":  # the others are shares: no interval reaches beyond 1
            low, high = min(low, entry["score"]), min(high, 1 - entry["score"])
        is_chosen = entry["head"] == chosen["head"] and entry["view"] == chosen["view"]
        axes.errorbar(
            entry["score"],
            row,
            xerr=[[low], [high]],
            color=color,
            marker="D" if is_chosen else "o",
            markersize=8 if is_chosen else 5,
            capsize=3,
        )
    axes.set_yticks(range(len(entries)), [f"{e['head']} on {e['view']}" for e in entries])
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.25)
    axes.set_xlabel(f"{board['metric']}, with its 95 % interval")
    axes.set_title("Diamond: chosen. Green: not significantly worse than the best.", fontsize=9)


def plot_confusion(classes: Sequence[str], confusion: np.ndarray) -> Any:
    """Return a figure of the confusion matrix: rows are true classes, columns predicted ones."""
    side = min(9.0, 2.4 + 0.34 * len(classes))
    with new_figure(side + 0.6, side) as figure:
        _confusion(figure.subplots(), classes, confusion)
    return figure


def _confusion(axes: Any, classes: Sequence[str], confusion: np.ndarray) -> None:
    totals = np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    shares = confusion / totals
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for spine in axes.spines.values():
        spine.set_visible(False)
    names = [_short(printable(name)) for name in classes]
    if len(classes) <= _MOST_NAMED:
        size = min(9.5, 9.5 * 28 / len(names))
        axes.set_xticks(
            range(len(names)), names, rotation=90 if len(names) > 3 else 0, fontsize=size
        )
        axes.set_yticks(range(len(names)), names, fontsize=size)
    else:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_ylabel("true, in the order of the class names")
    if len(classes) > _MOST_COUNTED:
        return
    for row, column in np.argwhere(confusion):
        color = "white" if shares[row, column] > 0.55 else "#24292f"
        axes.text(column, row, str(confusion[row, column]), ha="center", va="center", color=color)


def plot_reliability(scores: Scores) -> Any:
    """Return a figure of accuracy by confidence, in ten ranges, with the images in each."""
    with new_figure(4.6, 4.6) as figure:
        top, bottom = figure.subplots(2, sharex=True, height_ratios=(3, 1))
        _reliability(top, bottom, scores)
    return figure


def _reliability(top: Any, bottom: Any, scores: Scores) -> None:
    rows = scores.reliability
    confidence = [row["confidence"] for row in rows]
    top.plot([0, 1], [0, 1], color=_OTHER, linestyle=":", label="as confident as right")
    top.plot(confidence, [row["accuracy"] for row in rows], marker="o", color=_BLUE, label="model")
    top.set(ylabel="share that is right", xlim=(0, 1.02), ylim=(0, 1.05))
    top.set_title(f"Calibration error {scores.calibration_error:.3f}", fontsize=9, pad=22)
    top.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, borderaxespad=0.2)
    top.grid(alpha=0.25)
    bottom.bar(confidence, [row["images"] for row in rows], width=0.06, color=_BLUE, alpha=0.6)
    bottom.set(xlabel="confidence", ylabel="images")


def plot_scores(
    classes: Sequence[str], scores: Scores, board: Mapping[str, Any] | None = None
) -> Any:
    """Return one figure of what `fit` and `evaluate` found.

    It has the confusion matrix and the reliability, and above them the heads that were compared,
    if there are any.
    """
    entries = [e for e in board["entries"] if e["score"] is not None] if board else []
    side = min(7.0, 2.6 + 0.3 * len(classes))
    above = 0.9 + 0.3 * len(entries) if entries else 0
    with new_figure(side + 4.6, side + above) as figure:
        parts = figure.subfigures(2, height_ratios=(above, side)) if entries else [None, figure]
        if board and entries:
            _leaderboard(parts[0].subplots(), board, entries)
        left, right = parts[1].subfigures(1, 2, width_ratios=(side, 4.2))
        _confusion(left.subplots(), classes, scores.confusion)
        top, bottom = right.subplots(2, sharex=True, height_ratios=(3, 1))
        _reliability(top, bottom, scores)
    return figure


def plot_curve(curve: "CurveResult") -> Any:
    """Return a figure of accuracy and log loss by training images, with 95 % intervals."""
    sizes = [point.images for point in curve.points]
    with new_figure(7.4, 3.3) as figure:
        left, right = figure.subplots(1, 2)
        for axes, name, label in (
            (left, "accuracy", "accuracy"),
            (right, "log_loss", "log loss"),
        ):
            values = np.array([getattr(point, name) for point in curve.points])
            widths = np.array([getattr(point, f"{name}_half_width") for point in curve.points])
            most = 1.0 if name == "accuracy" else np.inf
            low, high = np.maximum(values - widths, 0), np.minimum(values + widths, most)
            axes.fill_between(sizes, low, high, color=_BLUE, alpha=0.15)
            axes.plot(sizes, values, marker="o", color=_BLUE)
            axes.set(xscale="log", xlabel="training images", ylabel=label)
            axes.set_xticks(sizes, [f"{size:.0f}" for size in sizes], rotation=45)
            axes.minorticks_off()
            axes.grid(alpha=0.25)
        left.set_title(f"{curve.head} on {curve.view}", fontsize=9)
        _forecast(left, right, curve)
    return figure


def _forecast(left: Any, right: Any, curve: "CurveResult") -> None:
    """Add what twice as many images would probably bring, where that can be told."""
    forecast, last = curve.forecast, curve.points[-1]
    if forecast is None:
        return
    at = 2 * last.images
    for axes, now, low, high, sign in (
        (left, last.accuracy, forecast.accuracy_gain_low, forecast.accuracy_gain_high, 1),
        (right, last.log_loss, forecast.log_loss_gain_low, forecast.log_loss_gain_high, -1),
    ):
        ends = sorted((now + sign * low, now + sign * high))
        axes.plot([last.images, at], [now, sum(ends) / 2], color=_ORANGE, linestyle=":")
        axes.plot([at, at], ends, color=_ORANGE, linewidth=4, solid_capstyle="butt")
    left.annotate(
        "twice as\nmany", (at, last.accuracy), textcoords="offset points", xytext=(-4, -26),
        ha="right", color=_ORANGE, fontsize=8,
    )  # fmt: skip


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
            for row, name in enumerate(("loss", "accuracy")):
                panel = panels[row, column]
                _line(panel, history[stage].get(name), 1, "training", _BLUE)
                # The head's validation score comes first: it is known before fine-tuning starts.
                first = 0 if stage == "choose" else 1
                _line(panel, history[stage].get(f"val_{name}"), first, "validation", _ORANGE)
                if stage == "choose":
                    panel.axvline(tuning["epochs"], color=_OTHER, linestyle=":", label="chosen")
                panel.grid(alpha=0.25)
                panel.xaxis.get_major_locator().set_params(integer=True)
        for row, name in enumerate(("loss", "accuracy")):
            panels[row, 0].set_ylabel(name)
        panels[0, [stage for stage, _ in stages].index("choose")].legend(frameon=False)
        kept = "kept" if tuning["kept"] else "not kept: the head stays"
        figure.suptitle(f"{tuning['head']}, tuned from\n{tuning['layers'][0]} on ({kept})")
    return figure


def _line(panel: Any, values: list[float] | None, first: int, label: str, color: str) -> None:
    if values:
        epochs = range(first, first + len(values))
        panel.plot(epochs, values, marker="o", markersize=3, label=label, color=color)


def _short(name: str) -> str:
    """Return a class name as it stands at an axis, not too long."""
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
