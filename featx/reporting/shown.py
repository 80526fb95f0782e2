"""The images of a report, numbered through, and the cards that show them."""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import printable
from ..model.predictions import Predictions

__all__ = ["Shown", "few_of", "share_words"]

_TOP = 3


@dataclass(frozen=True, eq=False)
class Shown:
    """The images of a page, and what stands beside some of them.

    Attributes
    ----------
    parts : list of Predictions
        The test images and the training images, whichever there are; images are numbered through.
    names : tuple of str
        What the images of each part are called.
    evidence : dict of int to str
        Image → a data URI of where a classifier looked.
    others : tuple of str
        Paths of further images, which are in no part; they are numbered after those.
    """

    parts: list[Predictions]
    names: tuple[str, ...]
    evidence: Mapping[int, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @property
    def starts(self) -> list[int]:
        """The number of the first image of each part."""
        return [0, *np.cumsum([len(part) for part in self.parts])[:-1].tolist()]

    def carded(self, most: int) -> np.ndarray:
        """Return the images that `wrong_part` shows, by their numbers."""
        chosen = [
            start + part.wrong[:most] for part, start in zip(self.parts, self.starts, strict=True)
        ]
        chosen.append(self.parts[0].least_certain[: few_of(most)])
        chosen.append(len(self) + np.arange(len(self.others)))
        return np.unique(np.concatenate(chosen))

    def card(self, part: int, at: int) -> dict[str, Any]:
        """Return a card of an image by its place in a part."""
        some, index = self.parts[part], self.starts[part] + at
        probabilities = some.probabilities[at]
        order = np.argsort(-probabilities, kind="stable")[:_TOP]
        true, predicted = (printable(some.classes[c]) for c in (some.y[at], some.predicted[at]))
        return {
            "index": index,
            "path": printable(some.paths[at]),
            "true": true,
            "predicted": predicted,
            "alt": f"{true}, predicted {predicted}",
            "probabilities": [
                (printable(some.classes[c]), share_words(probabilities[c])) for c in order.tolist()
            ],
            "evidence": self.evidence.get(index),
            "note": "",
        }

    def by_path(self, path: str, note: str) -> dict[str, Any]:
        """Return a card of an image by its path, with a note; it may be none of the page's."""
        index = self._numbers.get(path)
        shown = printable(path)
        return {
            **{"index": index, "path": shown, "note": note, "alt": shown},
            **{"true": "", "predicted": "", "probabilities": [], "evidence": None},
        }

    @property
    def paths(self) -> list[str]:
        """Paths of all images, by their numbers."""
        return [*(str(path) for part in self.parts for path in part.paths), *self.others]

    @functools.cached_property
    def _numbers(self) -> dict[str, int]:
        return {path: index for index, path in enumerate(self.paths)}


def share_words(probability: float) -> str:
    """Return a probability with three digits, rounded down: none is 1."""
    return f"{math.floor(1000 * probability) / 1000:.3f}"


def few_of(most: int) -> int:
    """Return how many of the least certain images are shown, where lists have so many."""
    return max(most // 2, 1)
