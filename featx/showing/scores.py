"""Scores as terms and as plots: for all that was tried on images whose labels are known."""

from collections.abc import Sequence
from typing import Any, Literal

from ..metrics import Scores, share_interval
from .display import Display
from .drawing import draw_confusion, draw_reliability
from .figures import axes_for
from .words import number_of

__all__ = ["ScoresDisplay", "accuracy_words", "score_terms"]


class ScoresDisplay(Display):
    """What has scores on images, which can be plotted."""

    def _scored(self) -> tuple[Sequence[str], Scores]:
        """Return the class names and the scores."""
        raise NotImplementedError

    def plot_confusion(
        self, ax: Any = None, *, normalize: Literal["true", "pred", "all"] | None = None
    ) -> Any:
        """Plot the confusion matrix: rows are true classes, columns predicted ones.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; by default a new figure, which a notebook shows.
        normalize : {"true", "pred", "all"}, optional
            What the cells are shares of: of the images of the true class, of those of the predicted
            class, or of all. By default the cells count images, and colours show shares of the true
            class.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        InputError
            When there are no scores, or `normalize` is something else.
        """
        classes, scores = self._scored()
        side = min(9.0, 2.4 + 0.34 * len(classes))
        with axes_for(ax, side + 0.6, side) as axes:
            draw_confusion(axes, classes, scores.confusion, normalize)
        return axes

    def plot_reliability(self, ax: Any = None) -> Any:
        """Plot how often predictions are right, by their confidence in ten ranges.

        On the dotted line, a confidence of 0.9 is right nine times in ten. The bars are the shares
        of the images at each confidence: points above a low bar are mostly chance.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; by default a new figure, which a notebook shows.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        InputError
            When there are no scores.
        """
        _, scores = self._scored()
        with axes_for(ax, 4.6, 4.2) as axes:
            draw_reliability(axes, scores)
        return axes


def accuracy_words(scores: Scores) -> str:
    """Return an accuracy with its 95 % interval."""
    low, high = share_interval(int(scores.confusion.trace()), scores.images)
    return f"{scores.accuracy:.4f} (95 %: {low:.4f} to {high:.4f})"


def score_terms(scores: Scores) -> dict[str, object]:
    """Return how good predictions are: names with values."""
    right = int(scores.confusion.trace())
    return {
        "right": f"{right:,} of {number_of(scores.images, 'image')}",
        "accuracy": accuracy_words(scores),
        "macro F1": scores.macro_f1,
        "log loss": f"{scores.log_loss:.4f} (0 is best)",
        "calibration error": f"{scores.calibration_error:.4f} (0 is best)",
    }
