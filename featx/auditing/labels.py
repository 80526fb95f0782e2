"""Which labels are suspicious: confident learning, and what the nearest neighbours say.

Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels" (2021).
"""

from dataclasses import dataclass

import numpy as np

from .neighbours import NOBODY

__all__ = [
    "UNKNOWN",
    "LabelIssue",
    "agreement",
    "confident_labels",
    "label_quality",
    "suggested_labels",
    "thresholds",
]

#: No class is confident enough.
UNKNOWN = -1

# A class that is so many times as probable as the label is suggested in its place.
_ODDS = 10


@dataclass(frozen=True)
class LabelIssue:
    """An image whose label is probably wrong.

    Attributes
    ----------
    path, label, suggested : str
    label_probability, suggested_probability : float
        Of the two classes, by models that were not trained on the image.
    neighbours_agree : float
        Share of the nearest images of other units that have the image's label.
    quality : float
        0 to 1; low is suspicious. See `label_quality`.
    """

    path: str
    label: str
    suggested: str
    label_probability: float
    suggested_probability: float
    neighbours_agree: float
    quality: float


def thresholds(probabilities: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the mean probability of each class over the images labelled so.

    Parameters
    ----------
    probabilities : ndarray of float, shape (n, classes)
    y : ndarray of int, shape (n,)

    Returns
    -------
    ndarray of float64, shape (classes,)
        Infinite for a class without images.

    Examples
    --------
    >>> thresholds(np.array([[0.9, 0.1], [0.7, 0.3]]), np.array([0, 0])).tolist()
    [0.8, inf]
    """
    counts = np.bincount(y, minlength=probabilities.shape[1])
    own = probabilities[np.arange(len(y)), y]
    sums = np.bincount(y, weights=own, minlength=probabilities.shape[1])
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)


def confident_labels(probabilities: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the class of each image that the models are confident of.

    Of the classes whose probability reaches the threshold of the class, that is the one with the
    highest probability.

    Returns
    -------
    ndarray of int64, shape (n,)
        `UNKNOWN` where no class reaches its threshold.
    """
    # Sums in another order differ in their last bits; equal probabilities must reach their mean.
    reaches = probabilities >= thresholds(probabilities, y) - 1e-12
    best = np.where(reaches, probabilities, -np.inf).argmax(axis=1)
    return np.where(reaches.any(axis=1), best, UNKNOWN)


def agreement(index: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the share of each image's neighbours that have its label.

    Parameters
    ----------
    index : ndarray of int, shape (n, k)
        Neighbours; see `neighbours.Neighbours`.
    y : ndarray of int, shape (n,)

    Returns
    -------
    ndarray of float64, shape (n,)
        Not a number for an image without neighbours.
    """
    there = index != NOBODY
    agrees = there & (y[index] == y[:, np.newaxis])
    with np.errstate(invalid="ignore"):
        return agrees.sum(axis=1) / there.sum(axis=1)


def label_quality(probabilities: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return how well each label fits, 0 to 1: the probability of the label.

    Measured on flipped labels (see docs/audit.md), it ranks better than the margin to the most
    probable other class, than the neighbours, and than means of these.

    Parameters
    ----------
    probabilities : ndarray of float, shape (n, classes)
        By models that were not trained on the image.
    y : ndarray of int, shape (n,)
    """
    return np.asarray(np.clip(probabilities[np.arange(len(y)), y], 0, 1))


def suggested_labels(probabilities: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return a better class for each image whose label is probably wrong.

    That is the class that the models are confident of (see `confident_labels`), where it is not
    the label; and the most probable class, where it is ten times as probable as the label. The
    second rule finds what the first one misses where models were trained on wrong labels too, and
    are rarely confident.

    Returns
    -------
    ndarray of int64, shape (n,)
        `UNKNOWN` where nothing speaks against the label.
    """
    confident = confident_labels(probabilities, y)
    best = probabilities.argmax(axis=1)
    everyone = np.arange(len(y))
    is_odd = probabilities[everyone, best] > _ODDS * probabilities[everyone, y]
    found = np.where(is_odd, best, UNKNOWN)
    return np.where((confident != UNKNOWN) & (confident != y), confident, found)
