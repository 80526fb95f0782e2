"""Temperature scaling: one number that makes probabilities mean what they say.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (2017). The classes keep
their order for every image, so accuracy does not change.
"""

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone

__all__ = ["TemperatureScaled", "best_inverse_temperature", "decision_scores"]

_SMALLEST = 1e-6  # of a probability: nearest neighbours give zeros
_RANGE = (1e-2, 1e2)  # of the inverse temperature


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
        return np.log(np.maximum(found, _SMALLEST))
    margins = np.asarray(estimator.decision_function(X), np.float64)
    return margins if margins.ndim == 2 else np.stack([-margins / 2, margins / 2], axis=1)


def best_inverse_temperature(scores: np.ndarray, y: np.ndarray) -> float:
    """Return the factor of the scores that gives `y` the lowest log loss.

    Parameters
    ----------
    scores : ndarray, shape (n, classes)
        Scores for images that the classifier was not trained on.
    y : ndarray of int, shape (n,)
        Columns of the true classes.
    """
    rows = np.arange(len(y))

    def loss(log_factor: float) -> float:
        return -float(log_softmax(np.exp(log_factor) * scores, axis=1)[rows, y].mean())

    found = minimize_scalar(loss, bounds=tuple(np.log(_RANGE)), method="bounded")
    return float(np.exp(found.x))


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
