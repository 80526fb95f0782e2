"""Few rows with many columns, turned into as few columns as there are rows, exactly.

A classifier with an L2 penalty, or one that looks at distances only, learns the same from X and
from X Q, where the columns of Q are an orthonormal basis of the space that the rows of X span
(Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", section 18.3.5). One
eigendecomposition of the Gram matrix X Xᵀ gives X Q, for every fold and every setting.
"""

from typing import Any

import numpy as np

__all__ = ["RowSpace"]

_RELATIVE = 1e-10  # eigenvalues below this share of the largest are rounding


class RowSpace:
    """The space that the rows of a matrix span.

    Parameters
    ----------
    X : ndarray, shape (n, d)
        Worth it for n < d.

    Attributes
    ----------
    Z : ndarray of float64, shape (n, r)
        The rows in that space, r ≤ n: all products and distances between rows are those of `X`.
    """

    def __init__(self, X: np.ndarray) -> None:
        X = X.astype(np.float64)
        values, vectors = np.linalg.eigh(X @ X.T)
        kept = values > values[-1] * _RELATIVE
        lengths = np.sqrt(values[kept])
        self.Z = vectors[:, kept] * lengths
        self._basis = (vectors[:, kept] / lengths).T @ X  # (r, d), orthonormal rows

    def widen(self, classifier: Any) -> Any:
        """Make a linear classifier that was fitted on `Z` one over the columns of `X`.

        Its `coef_` and `n_features_in_` change; decision values of the rows stay the same.
        """
        classifier.coef_ = classifier.coef_ @ self._basis
        classifier.n_features_in_ = self._basis.shape[1]
        return classifier
