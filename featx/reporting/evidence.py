"""Where a linear classifier looked: how much each position of an image speaks for a class.

A classifier that is linear over the mean of the positions gives an image the sum of what it gives
each position (Zhou et al., "Learning Deep Features for Discriminative Localization", 2016), so the
map is exact: its values and the constant term add up to the score of the class.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..cache.file import Cache
from ..heads import registry
from ..heads.calibration import TemperatureScaled
from ..heads.crossval import examples_of
from ..heads.training import train
from ..metrics import get_metric
from ..model.model import Model
from ..network.views import make_view

__all__ = ["Evidence", "find_evidence"]

_COMPANION = "logreg"


@dataclass(frozen=True, eq=False)
class Evidence:
    """A linear classifier over the mean of the positions.

    Attributes
    ----------
    coef : ndarray of float, shape (classes, channels)
    head : str
        Its name in `registry.HEADS`.
    is_of_model : bool
        Whether it is the model's own head, and not one that was fitted beside it.
    """

    coef: np.ndarray
    head: str
    is_of_model: bool

    def maps(self, features: np.ndarray, labels: Sequence[int]) -> np.ndarray:
        """Return what each position of each image adds to the score of a class.

        Parameters
        ----------
        features : ndarray, shape (n, height, width, channels)
            At the cut.
        labels : sequence of int, shape (n,)
            The class that is looked at, for each image.

        Returns
        -------
        ndarray of float64, shape (n, height, width)
            The sum over positions, with the constant term, is the decision value of the class.
        """
        features = features.astype(np.float64)
        lengths = np.linalg.norm(features.mean(axis=(1, 2)), axis=1)
        scale = np.maximum(lengths, 1e-12) * features.shape[1] * features.shape[2]
        found = np.einsum("nhwc,nc->nhw", features, self.coef[list(labels)].astype(np.float64))
        return found / scale[:, np.newaxis, np.newaxis]


def find_evidence(
    model: Model, cache: Cache, trained: np.ndarray, units: np.ndarray
) -> Evidence | None:
    """Return the model's head where it is linear over the mean of the positions, else a companion.

    The companion is a logistic regression that is fitted on the same images.

    Parameters
    ----------
    model : Model
    cache : Cache
        That the model was fitted on.
    trained : ndarray of int
        Images of the cache that the model was trained on; none where they are not there.
    units : ndarray of int
        See `splits.leakage_groups`.

    Returns
    -------
    Evidence or None
        None for a fine-tuned model, and where there is nothing to fit a companion on.
    """
    if model.tail:
        return None
    own = _linear(model.head) if model.view.name == "avg" else None
    if own is not None:
        return Evidence(own, model.head_name, True)
    labels = cache.catalog.labels[trained]
    if len(np.unique(labels)) < len(model.classes) or cache.catalog.classes != model.classes:
        return None
    head = registry.get_head(_COMPANION)
    examples = examples_of(cache, make_view("avg", cache.fingerprint), trained, units)
    fitted = train(
        head,
        examples,
        candidates=[dict(head.default_params)],
        metric=get_metric("accuracy"),
        seed=0,
    )
    coef = _linear(fitted.classifier)
    return None if coef is None else Evidence(coef, _COMPANION, False)


def _linear(head: Any) -> np.ndarray | None:
    """Return the coefficients of a linear classifier, one row a class, or None."""
    inner = head.estimator_ if isinstance(head, TemperatureScaled) else head
    coef = getattr(inner, "coef_", None)
    if coef is None or getattr(inner, "kernel", "linear") != "linear":
        return None
    coef = np.asarray(coef, np.float64)
    return np.concatenate([-coef, coef]) / 2 if len(coef) == 1 else coef
