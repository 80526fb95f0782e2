"""Probabilities and true labels → scores, and how sure they are."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import one_of
from .plain import plain

__all__ = [
    "METRICS",
    "Metric",
    "Paired",
    "Scores",
    "class_scores",
    "compare_paired",
    "compute_scores",
    "corrected_half_width",
    "get_metric",
    "intervals",
    "share_interval",
]

_BINS = 10


@dataclass(frozen=True)
class Metric:
    """A metric by which models are compared.

    Attributes
    ----------
    score : callable
        (true labels (n,), probabilities (n, classes)) → float.
    sign : int
        1 where more is better, −1 where less is: ``sign * score`` is higher for the better model.
    """

    score: Callable[[np.ndarray, np.ndarray], float]
    sign: int = 1

    def utility(self, y: np.ndarray, probabilities: np.ndarray) -> float:
        """Return the metric so that more is better."""
        return self.sign * self.score(y, probabilities)


def _accuracy(y: np.ndarray, probabilities: np.ndarray) -> float:
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(y, probabilities.argmax(axis=1)))


def _balanced_accuracy(y: np.ndarray, probabilities: np.ndarray) -> float:
    from sklearn.metrics import balanced_accuracy_score

    with warnings.catch_warnings():  # a fold may lack a class that is predicted
        warnings.simplefilter("ignore")
        return float(balanced_accuracy_score(y, probabilities.argmax(axis=1)))


def _macro_f1(y: np.ndarray, probabilities: np.ndarray) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(y, probabilities.argmax(axis=1), average="macro", zero_division=0))


def _log_loss(y: np.ndarray, probabilities: np.ndarray) -> float:
    from sklearn.metrics import log_loss

    return float(log_loss(y, _exact(probabilities), labels=np.arange(probabilities.shape[1])))


def _roc_auc(y: np.ndarray, probabilities: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    if probabilities.shape[1] == 2:
        return float(roc_auc_score(y, probabilities[:, 1]))
    labels = np.arange(probabilities.shape[1])
    return float(roc_auc_score(y, _exact(probabilities), multi_class="ovr", labels=labels))


def _exact(probabilities: np.ndarray) -> np.ndarray:
    # float32 rows do not sum to 1 closely enough for scikit-learn.
    exact = probabilities.astype(np.float64)
    return exact / exact.sum(axis=1, keepdims=True)


#: The metrics that models can be compared by.
METRICS = {
    "accuracy": Metric(_accuracy),
    "balanced-accuracy": Metric(_balanced_accuracy),
    "macro-f1": Metric(_macro_f1),
    "log-loss": Metric(_log_loss, sign=-1),
    "roc-auc": Metric(_roc_auc),
}


def get_metric(name: str) -> Metric:
    """Return the metric called `name`, or raise an `InputError`."""
    return one_of("metric", name, METRICS)


def corrected_half_width(values: np.ndarray, test_share: float) -> float:
    """Return half the 95 % interval of the mean of scores from overlapping training sets.

    Nadeau and Bengio, "Inference for the Generalization Error" (2003): folds share training
    images, so their scores vary less than independent ones would.

    Parameters
    ----------
    values : ndarray, shape (folds,)
        Scores, or differences of scores, a fold each; at least 2.
    test_share : float
        Images tested on for each one trained on: 1 / (k − 1) for k folds.
    """
    from scipy import stats

    count = len(values)
    spread = values.std(ddof=1) * np.sqrt(1 / count + test_share)
    return float(stats.t.ppf(0.975, count - 1) * spread)


@dataclass(frozen=True, eq=False)
class Scores:
    """How well predictions meet the truth.

    Attributes
    ----------
    images : int
        Images that were predicted.
    accuracy, balanced_accuracy, macro_f1 : float
        scikit-learn's metrics of these names, 0 to 1.
    log_loss : float
        Mean negative logarithm of the probability of the true class; 0 is best.
    calibration_error : float
        Expected calibration error (Naeini et al. 2015): how far confidence and accuracy are apart,
        over ten bins of confidence, weighted by images.
    reliability : list of dict
        For each bin with images: `images` in it, mean `confidence` and `accuracy`.
    confusion : ndarray of int, shape (classes, classes)
        Rows are true classes, columns predicted ones.
    """

    images: int
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    log_loss: float
    calibration_error: float
    reliability: list[dict[str, float]]
    confusion: np.ndarray

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain values, for JSON."""
        return plain(self)


def compute_scores(y: np.ndarray, probabilities: np.ndarray) -> Scores:
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
    >>> compute_scores(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]])).accuracy
    1.0
    """
    from sklearn.metrics import confusion_matrix

    predicted = probabilities.argmax(axis=1)
    reliability = _reliability(probabilities.max(axis=1), predicted == y)
    gaps = [abs(row["confidence"] - row["accuracy"]) * row["images"] for row in reliability]
    return Scores(
        images=len(y),
        accuracy=_accuracy(y, probabilities),
        balanced_accuracy=_balanced_accuracy(y, probabilities),
        macro_f1=_macro_f1(y, probabilities),
        log_loss=_log_loss(y, probabilities),
        calibration_error=float(sum(gaps) / len(y)),
        reliability=reliability,
        confusion=confusion_matrix(y, predicted, labels=np.arange(probabilities.shape[1])),
    )


def _reliability(confidence: np.ndarray, right: np.ndarray) -> list[dict[str, float]]:
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    return [
        {
            "images": int((bins == number).sum()),
            "confidence": float(confidence[bins == number].mean()),
            "accuracy": float(right[bins == number].mean()),
        }
        for number in np.unique(bins)
    ]


def class_scores(y: np.ndarray, probabilities: np.ndarray) -> list[dict[str, float]]:
    """Return `precision`, `recall`, `f1` and `images` of each class, 0 where nothing is counted.

    Parameters
    ----------
    y, probabilities
        See `compute_scores`.
    """
    from sklearn.metrics import precision_recall_fscore_support

    labels = np.arange(probabilities.shape[1])
    columns = precision_recall_fscore_support(
        y, probabilities.argmax(axis=1), labels=labels, zero_division=0
    )
    return [
        {"precision": float(p), "recall": float(r), "f1": float(f), "images": int(n)}
        for p, r, f, n in zip(*columns, strict=True)
    ]


def intervals(
    y: np.ndarray, probabilities: np.ndarray, seed: int, resamples: int = 1000
) -> dict[str, tuple[float, float]]:
    """Return 95 % intervals of the scores, from bootstrap samples of the images.

    Efron's percentile intervals (1979): they say how far the scores would differ with other
    images of the same kind, for this very model.

    Parameters
    ----------
    y, probabilities
        See `compute_scores`.
    seed : int
    resamples : int

    Returns
    -------
    dict
        "accuracy", "balanced_accuracy", "macro_f1", "log_loss" → (low, high).
    """
    random = np.random.default_rng(seed)
    classes = probabilities.shape[1]
    truth = np.maximum(_exact(probabilities)[np.arange(len(y)), y], np.finfo(np.float64).eps)
    cells = y * classes + probabilities.argmax(axis=1)
    found = []
    for _ in range(resamples):
        drawn = random.integers(len(y), size=len(y))
        confusion = np.bincount(cells[drawn], minlength=classes**2).reshape(classes, classes)
        right, true, predicted = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
        there, either = true > 0, true + predicted > 0
        found.append(
            (
                right.sum() / len(y),
                (right[there] / true[there]).mean(),
                (2 * right[either] / (true + predicted)[either]).mean(),
                -np.log(truth[drawn]).mean(),
            )
        )
    low, high = np.percentile(found, [2.5, 97.5], axis=0)
    names = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss")
    return {name: (float(a), float(b)) for name, a, b in zip(names, low, high, strict=True)}


def share_interval(right: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, such as an accuracy: within 0 and 1, also at its ends.

    Wilson, "Probable Inference, the Law of Succession, and Statistical Inference" (1927).

    Examples
    --------
    >>> [round(end, 2) for end in share_interval(11, 11)]
    [0.74, 1.0]
    """
    z = 1.959963984540054
    share, extra = right / total, z**2 / total
    middle = (share + extra / 2) / (1 + extra)
    half = z / (1 + extra) * np.sqrt(share * (1 - share) / total + extra / (4 * total))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


@dataclass(frozen=True)
class Paired:
    """Two models on the same images, which neither was trained on.

    Attributes
    ----------
    images : int
    accuracy_before, accuracy_after, log_loss_before, log_loss_after : float
    difference, standard_error : float
        Of the log losses, after less before, image by image: the mean, and how far it may be
        off (the standard deviation over the root of the number of images).
    """

    images: int
    accuracy_before: float
    accuracy_after: float
    log_loss_before: float
    log_loss_after: float
    difference: float
    standard_error: float

    def __str__(self) -> str:
        return (
            f"on {self.images} images that neither was trained on, the log loss goes from "
            f"{self.log_loss_before:.4f} to {self.log_loss_after:.4f} "
            f"({self.difference:+.4f}, standard error {self.standard_error:.4f}) and the "
            f"accuracy from {self.accuracy_before:.4f} to {self.accuracy_after:.4f}."
        )

    @property
    def is_better(self) -> bool:
        """Whether the later model is likelier, and not less often right.

        Of two models that differ by less than the noise, the likelier one is the better bet.
        """
        return self.difference < 0 and self.accuracy_after >= self.accuracy_before


def compare_paired(before: np.ndarray, after: np.ndarray, y: np.ndarray) -> Paired:
    """Compare the probabilities of two models for the same images.

    Parameters
    ----------
    before, after : ndarray of float, shape (n, classes)
    y : ndarray of int, shape (n,)
    """
    at = np.arange(len(y))
    losses = [-np.log(np.maximum(found[at, y], 1e-15)) for found in (before, after)]
    accuracies = [float((found.argmax(axis=1) == y).mean()) for found in (before, after)]
    difference = losses[1] - losses[0]
    standard_error = abs(float(difference[0]))  # one image tells nothing
    if len(y) > 1:
        standard_error = float(difference.std(ddof=1) / np.sqrt(len(y)))
    return Paired(
        images=len(y),
        accuracy_before=accuracies[0],
        accuracy_after=accuracies[1],
        log_loss_before=float(losses[0].mean()),
        log_loss_after=float(losses[1].mean()),
        difference=float(difference.mean()),
        standard_error=standard_error,
    )
