"""Probabilities → figures."""

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Figures", "figures"]


@dataclass(frozen=True, eq=False)
class Figures:
    """How well predictions meet the truth.

    Attributes
    ----------
    images : int
        Pictures that were predicted.
    accuracy, balanced_accuracy, macro_f1 : float
        As scikit-learn defines them, 0 to 1.
    log_loss : float
        Mean negative logarithm of the probability of the true class; 0 is best.
    confusion : ndarray of int, shape (classes, classes)
        Rows are true classes, columns predicted ones.
    """

    images: int
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    log_loss: float
    confusion: np.ndarray

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values, for JSON."""
        return {
            "images": self.images,
            "accuracy": self.accuracy,
            "balanced_accuracy": self.balanced_accuracy,
            "macro_f1": self.macro_f1,
            "log_loss": self.log_loss,
            "confusion": self.confusion.tolist(),
        }


def figures(y: np.ndarray, probabilities: np.ndarray) -> Figures:
    """Compare the true labels with predicted probabilities.

    Parameters
    ----------
    y : ndarray of int, shape (n,)
        True labels, 0 to classes - 1.
    probabilities : ndarray of float, shape (n, classes)
        Each row sums to 1. The predicted class is the most probable one, the first of equals.

    Examples
    --------
    >>> import numpy as np
    >>> figures(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]])).accuracy
    1.0
    """
    from sklearn import metrics

    labels = np.arange(probabilities.shape[1])
    # float32 rows do not sum to 1 closely enough for log_loss.
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    predicted = exact.argmax(axis=1)
    recalls = [float((predicted[y == label] == label).mean()) for label in np.unique(y)]
    return Figures(
        images=len(y),
        accuracy=float(metrics.accuracy_score(y, predicted)),
        balanced_accuracy=float(np.mean(recalls)),
        macro_f1=float(metrics.f1_score(y, predicted, average="macro", zero_division=0)),
        log_loss=float(metrics.log_loss(y, exact, labels=labels)),
        confusion=metrics.confusion_matrix(y, predicted, labels=labels),
    )
