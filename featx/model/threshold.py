"""The confidence below which a model had better abstain."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Threshold", "coverage_at", "find_threshold"]


@dataclass(frozen=True)
class Threshold:
    """A confidence from which on a label is given.

    Attributes
    ----------
    confidence : float
        A label is given where the confidence is this or more.
    precision : float
        Share of the labels given that are right.
    share : float
        Share of the images that are given a label.
    """

    confidence: float
    precision: float
    share: float


def find_threshold(y: np.ndarray, probabilities: np.ndarray, precision: float) -> Threshold | None:
    """Return the lowest confidence with which labels are right often enough, or None.

    That many right ones of so many are expected among others: (right + 1) / (given + 2), by
    Laplace's rule of succession. So ten labels without an error do not promise 99 %.

    Parameters
    ----------
    y, probabilities
        See `metrics.compute_scores`; of models that were not trained on the images.
    precision : float
        The wanted share of right labels, 0 to below 1.

    Examples
    --------
    >>> import numpy as np
    >>> confident = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]])
    >>> find_threshold(np.array([0, 0, 1]), confident, 0.75)
    Threshold(confidence=0.8, precision=1.0, share=0.6666666666666666)
    >>> find_threshold(np.array([0, 0, 1]), confident, 0.99)
    """
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    ordered = confidence[order]
    right = np.cumsum((probabilities.argmax(axis=1) == y)[order])
    given = np.arange(1, len(y) + 1)
    last_of_equals = np.append(ordered[1:] < ordered[:-1], True)
    enough = np.flatnonzero(((right + 1) / (given + 2) >= precision) & last_of_equals)
    if not len(enough):
        return None
    at = enough[-1]
    return Threshold(float(ordered[at]), float(right[at] / given[at]), float(given[at] / len(y)))


def coverage_at(y: np.ndarray, probabilities: np.ndarray, confidence: float) -> Threshold:
    """Return what a confidence threshold gives on other images."""
    given = probabilities.max(axis=1) >= confidence
    right = (probabilities.argmax(axis=1) == y)[given]
    return Threshold(confidence, float(right.mean()) if len(right) else 1.0, float(given.mean()))
