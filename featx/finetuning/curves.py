"""A plot of the learning curves: loss and accuracy of both sets, epoch by epoch."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..storage import files, locks

__all__ = ["check_plot", "draw"]


def check_plot() -> None:
    """Check that curves can be drawn, before the training starts.

    Raises
    ------
    InputError
        When matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise InputError(
            "--plot needs matplotlib. Install it with: pip install 'featx[plot]'"
        ) from error


def draw(tuning: Mapping[str, Any], out: Path) -> None:
    """Draw the curves of both stages as a PNG.

    Parameters
    ----------
    tuning : mapping
        `report["tuning"]` of a model.
    out : path

    Raises
    ------
    StorageError
        When the file cannot be written.
    """
    from matplotlib.figure import Figure

    history = tuning["history"]
    stages = [("head", "the head alone")] if history["head"] else []
    stages.append(("choose", "fine-tuning, choosing the epoch"))
    if history["final"]:
        stages.append(("final", "fine-tuning, all training images"))
    figure = Figure(figsize=(4 * len(stages), 6), layout="constrained")
    panels = figure.subplots(2, len(stages), squeeze=False, sharex="col", sharey="row")
    for column, (stage, title) in enumerate(stages):
        panels[0, column].set_title(title, fontsize="medium")
        panels[1, column].set_xlabel("epoch")
        for row, name in enumerate(("loss", "accuracy")):
            panel = panels[row, column]
            _line(panel, history[stage].get(name), 1, "training", "C0")
            # The head's validation score comes first: it is known before fine-tuning starts.
            first = 0 if stage == "choose" else 1
            _line(panel, history[stage].get(f"val_{name}"), first, "validation", "C1")
            if stage == "choose":
                panel.axvline(tuning["epochs"], color="0.7", linestyle=":", label="chosen")
            panel.grid(alpha=0.3)
            panel.xaxis.get_major_locator().set_params(integer=True)
    for row, name in enumerate(("loss", "accuracy")):
        panels[row, 0].set_ylabel(name)
    panels[0, [stage for stage, _ in stages].index("choose")].legend()
    kept = "kept" if tuning["kept"] else "not kept: the head stays"
    figure.suptitle(f"{tuning['head']}, tuned from {tuning['layers'][0]} on ({kept})")
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=120)
    with locks.lock_output(out):
        files.write_bytes(out, drawn.getvalue())


def _line(panel: Any, values: list[float] | None, first: int, label: str, color: str) -> None:
    if values:
        epochs = range(first, first + len(values))
        panel.plot(epochs, values, marker="o", markersize=3, label=label, color=color)
