"""The table of heads: scikit-learn classifiers over a matrix of features."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import InputError

__all__ = ["HEADS", "Head", "head", "train"]

_CALIBRATION_FOLDS = 5


@dataclass(frozen=True)
class Head:
    """A row of the table.

    Attributes
    ----------
    summary : str
        What it is, in a few words.
    build : callable
        (seed, rows to train on) → an estimator that is not fitted.
    pool : str
        The pool it works best on.
    calibrated : bool
        Whether its scores become probabilities by temperature scaling over folds of pictures.
    types : tuple of str
        The types beyond skops's own that its saved form may hold.
    """

    summary: str
    build: Callable[[int, int], Any]
    pool: str = "avg"
    calibrated: bool = False
    types: tuple[str, ...] = ()


# Every head works on rows of length 1: what counts is the mix of features, not their amount.


def _logistic_regression(seed: int, rows: int) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer

    return make_pipeline(Normalizer(), LogisticRegression(C=10, max_iter=2000, random_state=seed))


def _linear_svm(seed: int, rows: int) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer
    from sklearn.svm import LinearSVC

    return make_pipeline(Normalizer(), LinearSVC(C=1, max_iter=5000, random_state=seed))


def _nearest_neighbours(seed: int, rows: int) -> Any:
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer

    neighbours = KNeighborsClassifier(min(5, rows), weights="distance", algorithm="brute")
    return make_pipeline(Normalizer(), neighbours)


HEADS = {
    "logreg": Head("logistic regression, C=10", _logistic_regression),
    "linear-svm": Head(
        "linear support vector machine, calibrated",
        _linear_svm,
        calibrated=True,
        types=(
            "sklearn.calibration._CalibratedClassifier",
            "sklearn.calibration._TemperatureScaling",
        ),
    ),
    "knn": Head("5 nearest neighbours, weighted by distance", _nearest_neighbours),
}


def head(name: str) -> Head:
    """Return the row of the head called `name`.

    Raises
    ------
    InputError
        When there is none.
    """
    if name not in HEADS:
        raise InputError(f"Unknown head {name!r}. Expected one of {', '.join(HEADS)}.")
    return HEADS[name]


def train(name: str, X: np.ndarray, y: np.ndarray, units: np.ndarray, seed: int) -> Any:
    """Build the head called `name` and fit it.

    Parameters
    ----------
    name : str
        A key of `HEADS`.
    X : ndarray of float32, shape (rows, d)
    y : ndarray of int, shape (rows,)
    units : ndarray of int, shape (rows,)
        Rows with the same number are never on both sides of an inner fold.
    seed : int

    Returns
    -------
    estimator
        Fitted, with `predict_proba` ordered by `classes_`.

    Raises
    ------
    InputError
        When there is no such head, or it cannot learn from these rows.
    """
    if not np.isfinite(X).all():
        raise InputError("Some features are not finite numbers. Extract the pictures again.")
    row = head(name)
    estimator = row.build(seed, len(X))
    if not row.calibrated:
        return estimator.fit(X, y)
    return _calibrated(estimator, name, X, y, units, seed)


def _calibrated(
    estimator: Any, name: str, X: np.ndarray, y: np.ndarray, units: np.ndarray, seed: int
) -> Any:
    """Fit with temperature scaling (Guo et al. 2017) on scores from folds over units."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.model_selection import StratifiedGroupKFold

    counts = [len(np.unique(units[y == label])) for label in np.unique(y)]
    if min(counts) < 2:
        raise InputError(
            f"{name} needs at least 2 different training pictures of every class to calibrate "
            f"its probabilities; one class has {min(counts)}. Use --head logreg."
        )
    folds = StratifiedGroupKFold(
        min(_CALIBRATION_FOLDS, *counts), shuffle=True, random_state=seed
    ).split(X, y, units)
    calibrated = CalibratedClassifierCV(
        estimator, method="temperature", cv=list(folds), ensemble=False
    ).fit(X, y)
    return calibrated.set_params(cv=None)  # the folds are of no use once it is fitted
