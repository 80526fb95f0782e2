"""Temperature scaling: one number that makes probabilities mean what they say.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (2017). The classes keep
their order for every image, so accuracy does not change.

On few images that are all told apart, the likeliest factor is infinite, and every probability 1.
So the truth is smoothed, as Platt did for two classes ("Probabilistic Outputs for Support Vector
Machines", 1999): of n images, each is taken to be of the next likeliest class with 1 / (n + 2), the
share of errors that n images without one leave open (Laplace's rule of succession). And a factor
that is usual for such scores counts as much as one image. docs/results.md has what this does.
"""

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone

__all__ = [
    "SMALLEST",
    "TemperatureScaled",
    "best_inverse_temperature",
    "decision_scores",
    "mean_log_loss",
]

#: The least that a probability counts as: nearest neighbours give zeros.
SMALLEST = 1e-6
_RANGE = (1e-3, 1e3)  # of the inverse temperature, for scores whose spread is 1
_USUAL = 3.0  # the one that is expected for such scores, before any image is seen
_ROOM = 1.0  # the standard deviation of its logarithm


def decision_scores(estimator: Any, X: np.ndarray) -> np.ndarray:
    """Return a score for each class: a margin, or else the logarithm of a probability.

    Parameters
    ----------
    estimator : fitted classifier
        With `decision_function`, or with `predict_proba` alone.
    X : ndarray, shape (n, d)

    Returns
    -------
    ndarray of float64, shape (n, classes)
        The highest is the predicted class.
    """
    if not hasattr(estimator, "decision_function"):
        found = np.asarray(estimator.predict_proba(X), np.float64)
        return np.log(np.maximum(found, SMALLEST))
    margins = np.asarray(estimator.decision_function(X), np.float64)
    return margins if margins.ndim == 2 else np.stack([-margins / 2, margins / 2], axis=1)


def best_inverse_temperature(scores: np.ndarray, y: np.ndarray) -> float:
    """Return the factor that turns scores into probabilities by a softmax.

    Parameters
    ----------
    scores : ndarray, shape (n, classes)
        Scores for images that the classifier was not trained on. Their scale plays no part.
    y : ndarray of int, shape (n,)
        Columns of the true classes.

    Examples
    --------
    >>> scores = np.array([[1.0, -1.0]] * 10 + [[-1.0, 1.0]] * 10)  # not one mistake
    >>> factor = best_inverse_temperature(scores, np.repeat([0, 1], 10))
    >>> round(float(softmax([factor, -factor])[0]), 2)
    0.95
    """
    scores = np.asarray(scores, np.float64)
    count, classes = scores.shape
    top = scores.max(axis=1)
    spread = float((top - (scores.sum(axis=1) - top) / (classes - 1)).mean())
    if not spread > 0:  # no image has a score that stands out
        return 1.0
    truth = scores[np.arange(count), y]
    others = scores.copy()
    others[np.arange(count), y] = -np.inf
    lead = float((truth - others.max(axis=1)).mean()) / (count + 2)

    def loss(log_factor: float) -> float:
        factor = np.exp(log_factor) / spread
        misfit = float((logsumexp(factor * scores, axis=1) - factor * truth).mean())
        far = (log_factor - np.log(_USUAL)) / _ROOM
        return misfit + factor * lead + far**2 / (2 * count)

    found = minimize_scalar(loss, bounds=tuple(np.log(_RANGE)), method="bounded")
    return float(np.exp(found.x)) / spread


def mean_log_loss(logits: np.ndarray, y: np.ndarray) -> float:
    """Return the mean log loss of the softmax of logits (n, classes) for true columns `y`."""
    return -float(log_softmax(logits, axis=1)[np.arange(len(y)), y].mean())


class TemperatureScaled(ClassifierMixin, BaseEstimator):
    """A classifier whose scores are multiplied by a factor and become probabilities by softmax.

    Parameters
    ----------
    estimator : classifier
    inverse_temperature : float
        From `best_inverse_temperature`; 1 leaves probabilities as they are.
    """

    def __init__(self, estimator: Any, inverse_temperature: float = 1.0) -> None:
        self.estimator = estimator
        self.inverse_temperature = inverse_temperature

    @classmethod
    def of(cls, fitted: Any, inverse_temperature: float) -> "TemperatureScaled":
        """Return a fitted one, of a classifier that is fitted already."""
        made = cls(fitted, inverse_temperature)
        made.estimator_ = fitted
        return made

    def fit(self, X: np.ndarray, y: np.ndarray) -> "TemperatureScaled":
        """Fit a clone of the estimator; the factor stays what it is."""
        self.estimator_ = clone(self.estimator).fit(X, y)
        return self

    @property
    def classes_(self) -> np.ndarray:
        """Classes, in the order of the columns of `predict_proba`."""
        return self.estimator_.classes_

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities, float64 (n, classes)."""
        return softmax(self.inverse_temperature * decision_scores(self.estimator_, X), axis=1)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the most probable class of each row."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]
