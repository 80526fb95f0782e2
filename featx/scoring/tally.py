"""The summaries of blocks of scores, added up."""

from array import array
from collections import Counter
from collections.abc import Mapping
from typing import Any

from .content import ScoreSettings

__all__ = ["Tally"]


class Tally:
    """What the summaries of `content.content_of` come to.

    Parameters
    ----------
    settings : ScoreSettings

    Attributes
    ----------
    failed : Counter
        Reason → images without scores.
    details : dict
        Reason → a sentence about the first such image.
    labels : Counter
        Class → images.
    undecided, reused : int
    keys : array of float
        What the rows are sorted by, one for each image, if they are.
    scores : list
        What is kept for the next run, if it is.
    """

    def __init__(self, settings: ScoreSettings) -> None:
        self._settings = settings
        self.failed: Counter[str] = Counter()
        self.details: dict[str, str] = {}
        self.labels: Counter[str] = Counter()
        self.undecided = self.reused = 0
        self.keys = array("d")
        self.scores: list[Any] = []

    def add(self, summary: Mapping[str, Any]) -> None:
        """Add the summary of the next block."""
        self.failed.update(summary["failed"])
        self.details = {**summary.get("details", {}), **self.details}
        self.labels.update(summary["labels"])
        self.undecided += summary["undecided"]
        self.reused += summary["reused"]
        if self._settings.sort:
            self.keys.extend(summary["keys"])
        if self._settings.update:
            self.scores.append(summary["scores"])
