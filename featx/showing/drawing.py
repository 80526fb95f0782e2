"""What is drawn, on axes that are given: heads with intervals, confusion, reliability, curves.

Each function takes plain values: a result's `as_dict()`, or `Scores`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import printable, require_one_of
from ..metrics import Scores

__all__ = [
    "CURVES",
    "EPOCHS",
    "draw_confusion",
    "draw_curve",
    "draw_epochs",
    "draw_leaderboard",
    "draw_reliability",
    "scored",
]

_MOST_NAMED = 80  # classes whose names stand at the axes
_LONGEST = 18
_MOST_COUNTED = 20  # classes whose counts stand in the cells
_TIED, _OTHER = "#1a7f37", "#8c959f"
_BLUE, _ORANGE = "#0969da", "#bc4c00"
_PLAIN: Any = {"parse_math": False}  # a dollar in a name is a dollar, on axes of the caller too

#: Metrics that a learning curve is drawn of, and their keys in its points.
CURVES = {"accuracy": "accuracy", "log-loss": "log_loss"}
#: What is drawn of the epochs of fine-tuning.
EPOCHS = ("loss", "accuracy")
#: How a confusion matrix is normalized, and the axis over which its shares sum to 1.
_SHARES: Mapping[str, int | None] = {"true": 1, "pred": 0, "all": None}


def scored(board: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the entries of a leaderboard that have a score."""
    return [entry for entry in board["entries"] if entry["score"] is not None]


def entry_name(entry: Mapping[str, Any], board: Mapping[str, Any]) -> str:
    """Return what an entry of a leaderboard is called, with its network where there are several."""
    network = f" of {entry['network']}" if len(board.get("networks", ())) > 1 else ""
    return f"{entry['head']} on {entry['view']}{network}"


def is_choice(entry: Mapping[str, Any], choice: Mapping[str, Any]) -> bool:
    """Tell whether an entry of a leaderboard is the one that was chosen."""
    return all(entry.get(name) == value for name, value in choice.items())


def draw_leaderboard(axes: Any, board: Mapping[str, Any]) -> None:
    """Draw the heads' scores with their 95 % intervals, best first.

    Parameters
    ----------
    axes : Axes
    board : mapping
        `CompareResult.as_dict()`.
    """
    chosen, entries = board["choice"], scored(board)
    for row, entry in enumerate(entries):
        color = _TIED if entry["tied"] else _OTHER
        low, high = (entry["ci95_half_width"] or 0,) * 2
        if board["metric"] != "log-loss":  # the others are shares: no interval reaches beyond 1
            low, high = min(low, entry["score"]), min(high, 1 - entry["score"])
        is_chosen = is_choice(entry, chosen)
        axes.errorbar(
            entry["score"],
            row,
            xerr=[[low], [high]],
            color=color,
            marker="D" if is_chosen else "o",
            markersize=8 if is_chosen else 5,
            capsize=3,
        )
    names = [entry_name(entry, board) for entry in entries]
    axes.set_yticks(range(len(names)), names, **_PLAIN)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.25)
    axes.set_xlabel(f"{board['metric']}, with its 95 % interval")
    axes.set_title("Diamond: chosen. Green: not significantly worse than the best.", fontsize=9)


def draw_confusion(
    axes: Any, classes: Sequence[str], confusion: np.ndarray, normalize: str | None = None
) -> None:
    """Draw a confusion matrix: rows are true classes, columns predicted ones.

    Parameters
    ----------
    axes : Axes
    classes : sequence of str
    confusion : ndarray of int, shape (classes, classes)
    normalize : {"true", "pred", "all"}, optional
        What the cells are shares of: of the images of the true class, of those of the predicted
        class, or of all. By default the cells count images, and colours show shares of the true
        class.

    Raises
    ------
    InputError
        When `normalize` is something else.
    """
    if normalize is not None:
        require_one_of("normalization", normalize, _SHARES)
    axis = _SHARES[normalize or "true"]
    shares = confusion / np.maximum(confusion.sum(axis=axis, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for spine in axes.spines.values():
        spine.set_visible(False)
    names = [_short(printable(name)) for name in classes]
    if len(classes) <= _MOST_NAMED:
        size = min(9.5, 9.5 * 28 / len(names))
        axes.set_xticks(
            range(len(names)), names, rotation=90 if len(names) > 3 else 0, fontsize=size, **_PLAIN
        )
        axes.set_yticks(range(len(names)), names, fontsize=size, **_PLAIN)
    else:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_ylabel("true, in the order of the class names")
    if len(classes) > _MOST_COUNTED:
        return
    for row, column in np.argwhere(confusion):
        color = "white" if shares[row, column] > 0.55 else "#24292f"
        count, share = confusion[row, column], shares[row, column]
        text = f"{share:.2f}" if normalize else str(count)
        axes.text(column, row, text, ha="center", va="center", color=color)


def draw_reliability(axes: Any, scores: Scores, counts: Any = None) -> None:
    """Draw accuracy by confidence, in ten ranges, with the images in each.

    Parameters
    ----------
    axes : Axes
    scores : Scores
    counts : Axes, optional
        Where bars count the images, below `axes`. Without it the bars are in `axes` too, which
        then has shares alone: of the images at a confidence that are right, and of all images that
        are at this confidence.
    """
    rows = scores.reliability
    confidence, images = ([row[name] for row in rows] for name in ("confidence", "images"))
    right = [row["accuracy"] for row in rows]
    bars: Any = {"width": 0.06, "color": _BLUE}
    axes.plot([0, 1], [0, 1], color=_OTHER, linestyle=":", label="as confident as right")
    axes.plot(confidence, right, marker="o", color=_BLUE, label="model" if counts else "right")
    axes.set(xlim=(0, 1.02), ylim=(0, 1.05))
    axes.grid(alpha=0.25)
    title = f"Calibration error {scores.calibration_error:.3f}"
    if counts:
        axes.set_ylabel("share that is right")
        axes.set_title(title, fontsize=9, pad=22)
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, borderaxespad=0.2
        )
        counts.bar(confidence, images, alpha=0.6, **bars)
        counts.set(xlabel="confidence", ylabel="images")
    else:
        shares = [count / scores.images for count in images]
        axes.bar(confidence, shares, alpha=0.3, label="all images", **bars)
        axes.set(xlabel="confidence", ylabel="share of the images")
        axes.set_title(title, fontsize=9)
        axes.legend(loc="upper left", frameon=False)


def draw_curve(axes: Any, curve: Mapping[str, Any], metric: str = "accuracy") -> None:
    """Draw a metric by training images, with 95 % intervals, and what twice as many would bring.

    Parameters
    ----------
    axes : Axes
    curve : mapping
        `CurveResult.as_dict()`.
    metric : {"accuracy", "log-loss"}

    Raises
    ------
    InputError
        When the metric is another one.
    """
    require_one_of("metric", metric, CURVES)
    name, points = CURVES[metric], curve["points"]
    sizes = [point["images"] for point in points]
    values = np.array([point[name] for point in points])
    widths = np.array([point[f"{name}_half_width"] for point in points], np.float64)
    most = 1.0 if metric == "accuracy" else np.inf
    low, high = np.maximum(values - widths, 0), np.minimum(values + widths, most)
    axes.fill_between(sizes, low, high, color=_BLUE, alpha=0.15)
    axes.plot(sizes, values, marker="o", color=_BLUE)
    axes.set(xscale="log", xlabel="training images", ylabel=metric.replace("-", " "))
    axes.set_xticks(sizes, [f"{size:.0f}" for size in sizes], rotation=45)
    axes.minorticks_off()
    axes.grid(alpha=0.25)
    if curve["forecast"]:
        _forecast(axes, points[-1], curve["forecast"], name)


def _forecast(axes: Any, last: Mapping[str, Any], forecast: Mapping[str, Any], name: str) -> None:
    """Add what twice as many images would probably bring."""
    at, now, sign = 2 * last["images"], last[name], 1 if name == "accuracy" else -1
    ends = sorted(now + sign * forecast[f"{name}_gain_{end}"] for end in ("low", "high"))
    axes.plot([last["images"], at], [now, sum(ends) / 2], color=_ORANGE, linestyle=":")
    axes.plot([at, at], ends, color=_ORANGE, linewidth=4, solid_capstyle="butt")
    if name == "accuracy":
        axes.annotate(
            "twice as\nmany", (at, now), textcoords="offset points", xytext=(-4, -26),
            ha="right", color=_ORANGE, fontsize=8,
        )  # fmt: skip


def draw_epochs(axes: Any, tuning: Mapping[str, Any], stage: str, name: str) -> None:
    """Draw a training curve of `finetune`.

    Parameters
    ----------
    axes : Axes
    tuning : mapping
        `report["tuning"]` of a model.
    stage : {"head", "choose", "final"}
        The head alone; fine-tuning on a part of the images, by which the epoch is chosen; and that
        on all training images.
    name : {"loss", "accuracy"}

    Raises
    ------
    InputError
        When the name is another one.
    """
    require_one_of("curve", name, EPOCHS)
    history = tuning["history"][stage]
    _line(axes, history.get(name), 1, "training", _BLUE)
    # The head's validation score comes first: it is known before fine-tuning starts.
    first = 0 if stage == "choose" else 1
    _line(axes, history.get(f"val_{name}"), first, "validation", _ORANGE)
    if stage == "choose":
        axes.axvline(tuning["epochs"], color=_OTHER, linestyle=":", label="chosen")
    axes.grid(alpha=0.25)
    axes.xaxis.get_major_locator().set_params(integer=True)


def _line(axes: Any, values: list[float] | None, first: int, label: str, color: str) -> None:
    if values:
        epochs = range(first, first + len(values))
        axes.plot(epochs, values, marker="o", markersize=3, label=label, color=color)


def _short(name: str) -> str:
    """Return a class name as it stands at an axis, not too long."""
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
