"""What a model predicted for images whose labels are known, image by image."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..showing.words import number_of

__all__ = ["Mistake", "Predictions"]


@dataclass(frozen=True)
class Mistake:
    """An image that was taken for another class, and how confidently."""

    path: str
    true: str
    predicted: str
    confidence: float


@dataclass(frozen=True, eq=False, repr=False)
class Predictions:
    """Images with their labels, and the probabilities that a model gave them.

    Attributes
    ----------
    classes : tuple of str
    root : Path
        What the paths are relative to.
    paths : ndarray of str, shape (n,)
    digests : ndarray of str, shape (n,)
        SHA-256 of each file that was predicted.
    y : ndarray of int, shape (n,)
        True labels, as indices into `classes`.
    probabilities : ndarray of float, shape (n, classes)
        By a model that was not trained on the image.
    """

    classes: tuple[str, ...]
    root: Path
    paths: np.ndarray
    digests: np.ndarray
    y: np.ndarray
    probabilities: np.ndarray

    def __len__(self) -> int:
        return len(self.y)

    def __repr__(self) -> str:
        images, wrong = number_of(len(self), "image"), len(self.wrong)
        return f"<featx.Predictions: {images} of {len(self.classes)} classes, {wrong} wrong>"

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class of each image, int (n,); the first of equals."""
        return self.probabilities.argmax(axis=1)

    @property
    def confidence(self) -> np.ndarray:
        """The probability of that class, float (n,)."""
        return self.probabilities.max(axis=1)

    @property
    def wrong(self) -> np.ndarray:
        """Positions of the wrong predictions, the most confident first."""
        found = np.flatnonzero(self.predicted != self.y)
        return found[np.argsort(-self.confidence[found], kind="stable")]

    @property
    def least_certain(self) -> np.ndarray:
        """Positions of all images, those first whose two most probable classes are closest."""
        if self.probabilities.shape[1] < 2:
            return np.arange(len(self))
        two = np.partition(self.probabilities, -2, axis=1)[:, -2:]
        return np.argsort(np.abs(two[:, 1] - two[:, 0]), kind="stable")

    def take(self, chosen: np.ndarray) -> "Predictions":
        """Return those of some images, by their positions."""
        columns = (self.paths, self.digests, self.y, self.probabilities)
        return Predictions(self.classes, self.root, *(column[chosen] for column in columns))

    def mistakes(self, most: int | None = None) -> list[Mistake]:
        """Return the wrong predictions, the most confident first; at most so many."""
        predicted, confidence = self.predicted, self.confidence
        return [
            Mistake(
                str(self.paths[at]),
                self.classes[self.y[at]],
                self.classes[predicted[at]],
                float(confidence[at]),
            )
            for at in self.wrong[:most].tolist()
        ]
