"""featx's estimators over tables: rows become images, so that scikit-learn's own checks can run."""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

import featx

__all__ = ["RowClassifier", "RowFeatures", "rows_as_images"]

_SIDE = 32


def rows_as_images(X: np.ndarray) -> list[np.ndarray]:
    """Return each row as an image with a stripe for each column, uint8 (32, 32, 3).

    Red is the value, green and blue are what it lacks of it: other rows are other images.
    """
    share = 0.5 + np.arctan(np.asarray(X, np.float64) / 2) / np.pi
    whole = np.minimum(share * 2**24, 2**24 - 1).astype(np.int64)
    colors = np.stack([whole >> 16, whole >> 8 & 255, whole & 255], axis=-1).astype(np.uint8)
    stripes = np.linspace(0, colors.shape[1], _SIDE, endpoint=False).astype(int)
    return [np.tile(row[stripes], (_SIDE, 1, 1)) for row in colors]


class _OverRows(BaseEstimator):
    """What turns an estimator of images into one of tables."""

    def fit(self, X: Any, y: Any = None, **others: Any) -> Self:
        if y is None and isinstance(self, featx.ImageClassifier):
            return super().fit(X, y, **others)  # type: ignore[misc]
        X = validate_data(self, X) if y is None else validate_data(self, X, y)[0]
        return super().fit(rows_as_images(X), y, **others)  # type: ignore[misc]

    def _rows(self, X: Any) -> list[np.ndarray]:
        check_is_fitted(self)
        return rows_as_images(validate_data(self, X, reset=False))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.one_d_array = tags.input_tags.string = False
        tags.no_validation = False
        if tags.classifier_tags:
            tags.classifier_tags.poor_score = True  # stripes are no photographs
        return tags


class RowClassifier(_OverRows, featx.ImageClassifier):
    def predict_proba(self, X: Any) -> np.ndarray:
        return super().predict_proba(self._rows(X))


class RowFeatures(_OverRows, featx.ImageFeatures):
    def transform(self, X: Any) -> np.ndarray:
        return super().transform(self._rows(X))
