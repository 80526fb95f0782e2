"""What a comparison and a learning curve show of themselves: a line, a table, a plot."""

import math
from collections.abc import Iterable
from typing import Any, Literal

from ..showing.display import Display, Part, Table
from ..showing.drawing import draw_curve, draw_leaderboard, scored
from ..showing.figures import axes_for
from ..showing.words import number_of, with_interval

__all__ = [
    "CompareDisplay",
    "CurveDisplay",
    "cheaper_words",
    "entry_words",
    "gmac_words",
    "score_words",
    "verdict",
]

_UNBOUNDED = ("log-loss",)
_MOST = 60  # entries in a table


class CompareDisplay(Display):
    """What a leaderboard shows of itself."""

    entries: Any
    choice: Any
    cheapest: Any
    networks: dict[str, list[str]]
    metric: str
    rule: str
    images: int
    prefer: str

    def as_dict(self) -> dict[str, Any]:
        """Return the board as plain values."""
        raise NotImplementedError

    def _line(self) -> str:
        best, count = self.choice, number_of(len(self.entries), "entry", "entries")
        return (
            f"{entry_words(best, self)}, chosen of {count}: {self.metric} "
            f"{score_words(best, self.metric)} on {number_of(self.images, 'image')}"
        )

    def _parts(self) -> Iterable[Part]:
        number = f"{self.metric} ± 95 %"
        several = len(self.networks) > 1
        features = ["network", "GMAC"] if several else []
        costs = ["log loss", "fit s", "score s/1000", "bytes"]
        yield Table(
            ["head", "view", *features, number, *costs, "verdict"],
            [
                [
                    entry.head,
                    entry.view,
                    *((entry.network, gmac_words(entry)) if several else ()),
                    score_words(entry, self.metric),
                    *(
                        value if math.isfinite(value) else None
                        for value in (entry.log_loss, entry.fit_seconds, entry.score_seconds)
                    ),
                    entry.size or None,
                    f"failed: {entry.error}" if entry.error else verdict(entry, self.choice),
                ]
                for entry in self.entries
            ],
            marked=[at for at, entry in enumerate(self.entries) if entry is self.choice],
            right=[number, *features[1:]],
            most=_MOST,
        )
        yield f"{number_of(self.images, 'image')}, {self.rule}."
        yield (
            "Tied heads are not significantly worse than the best; of these and the best, one is "
            f"chosen (prefer = {self.prefer!r})."
        )
        if cheaper := cheaper_words(self):
            yield cheaper

    def plot(self, ax: Any = None) -> Any:
        """Plot the heads' scores with their 95 % intervals, best first.

        A diamond is the head that is chosen; green ones are not significantly worse than the best.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; by default a new figure, which a notebook shows.

        Returns
        -------
        matplotlib Axes
        """
        board = self.as_dict()
        with axes_for(ax, 7, 0.9 + 0.32 * len(scored(board))) as axes:
            draw_leaderboard(axes, board)
        return axes


class CurveDisplay(Display):
    """What a learning curve shows of itself."""

    head: str
    view: str
    points: Any
    sentence: str
    rule: str

    def as_dict(self) -> dict[str, Any]:
        """Return the curve as plain values."""
        raise NotImplementedError

    def _line(self) -> str:
        last = self.points[-1]
        accuracy = with_interval(last.accuracy, last.accuracy_half_width, most=1)
        return (
            f"{self.head} on {self.view}, {number_of(len(self.points), 'size')} up to "
            f"{number_of(round(last.images), 'training image')}: accuracy {accuracy}"
        )

    def _parts(self) -> Iterable[Part]:
        numbers = ["accuracy ± 95 %", "log loss ± 95 %"]
        yield Table(
            ["images a class", "training images", *numbers],
            [
                [
                    point.per_class,
                    round(point.images),
                    with_interval(point.accuracy, point.accuracy_half_width, most=1),
                    with_interval(point.log_loss, point.log_loss_half_width),
                ]
                for point in self.points
            ],
            right=numbers,
            most=_MOST,
        )
        yield self.sentence
        yield f"{self.head} on {self.view}, {self.rule}."

    def plot(self, ax: Any = None, *, metric: Literal["accuracy", "log-loss"] = "accuracy") -> Any:
        """Plot a metric by training images, with 95 % intervals.

        Where it can be told, what twice as many images would probably bring is drawn too.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; by default a new figure, which a notebook shows.
        metric : {"accuracy", "log-loss"}

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        InputError
            When the metric is another one.
        """
        with axes_for(ax, 4.6, 3.5) as axes:
            draw_curve(axes, self.as_dict(), metric)
        return axes


def entry_words(entry: Any, board: Any) -> str:
    """Return what an entry is called, with its network where there are several."""
    network = f" of {entry.network}" if len(board.networks) > 1 else ""
    return f"{entry.head} on {entry.view}{network}"


def gmac_words(entry: Any) -> str:
    """Return what an image costs, or "" where that is not known."""
    return f"{entry.gmac:.3g}" if math.isfinite(entry.gmac) else ""


def cheaper_words(board: Any, option: str = "prefer='fast'") -> str:
    """Return which of the tied entries costs an image less than the choice does, or ""."""
    cheapest, choice = board.cheapest, board.choice
    if len(board.networks) < 2 or not cheapest.gmac < choice.gmac:
        return ""
    return (
        f"The cheapest of the tied ones is {entry_words(cheapest, board)}: {gmac_words(cheapest)} "
        f"GMAC an image in place of {gmac_words(choice)}. {option} chooses it."
    )


def score_words(entry: Any, metric: str) -> str:
    """Return a score with half its 95 % interval, of which neither end passes 0 or 1."""
    most = math.inf if metric in _UNBOUNDED else 1
    return with_interval(entry.score, entry.ci95_half_width, most)


def verdict(entry: Any, choice: Any) -> str:
    """Return what became of an entry: it failed, is chosen, or is tied with the best."""
    if entry.error:
        return "failed"
    return "chosen" if entry is choice else "tied" if entry.tied else ""
