"""Regularised least squares on targets of ±1, linear or with Gaussian kernels, in closed form.

How well a strength of the regularisation does is known without refitting: predictions for images
that are left out follow from the inverse that the fit needs anyway (Rifkin and Lippert, "Notes on
Regularized Least Squares", 2007). Images of one unit, which must not be separated, leave together.
Kernels of several blocks of columns are averaged (Gehler and Nowozin, "On Feature Combination for
Multiclass Object Classification", 2009).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from sklearn.base import BaseEstimator, ClassifierMixin

from ..storage.tensors import load_tensors, save_tensors
from .calibration import best_inverse_temperature, mean_log_loss
from .leave_out import left_out, left_out_linear

__all__ = ["ALPHAS", "RidgeKernelClassifier"]

#: Strengths of the regularisation to choose among, where none is given.
ALPHAS = (0.001, 0.01, 0.1)
_CHOICE_ROWS = 2000  # rows that the strength is chosen by, at most
_EXACT_ROWS = 20_000  # above, kernels are approximated by landmarks
_LANDMARKS = 4000
_MEDIAN_ROWS = 500  # rows that a bandwidth is found by, at most
_BLOCK = 4096


class RidgeKernelClassifier(ClassifierMixin, BaseEstimator):
    """A classifier by regularised least squares, whose strength is chosen by leaving units out.

    The scores of a row are ``K α``, where ``K`` has its kernels with the training rows and
    ``α = (K + λ/w)⁻¹ Y`` for targets Y of ±1 and weights w of the rows.

    Parameters
    ----------
    kernel : {"linear", "rbf"}
        Dot products plus 1, which is a constant term; or the mean over blocks of columns of
        exp(−d²/2m), where m is the median of the squared distances d² between training rows in
        that block.
    alpha : float
        The strength λ, as in scikit-learn's `KernelRidge`; 0 chooses among `ALPHAS`.
    class_weight : {None, "balanced"}
    random_state : int
        Seed of the choice of rows, where there are very many.

    Attributes
    ----------
    classes_ : ndarray of int, shape (classes,)
    alpha_ : float
        The strength that was chosen.
    left_out_ : ndarray of float64, shape (originals, classes)
        Scores of each original by a classifier without its unit.
    """

    def __init__(
        self,
        kernel: str = "rbf",
        alpha: float = 0.0,
        class_weight: str | None = None,
        random_state: int = 0,
    ) -> None:
        self.kernel = kernel
        self.alpha = alpha
        self.class_weight = class_weight
        self.random_state = random_state

    def fit(
        self,
        X: np.ndarray,
        y: np.ndarray,
        groups: np.ndarray | None = None,
        widths: Sequence[int] = (),
        originals: np.ndarray | None = None,
        judge: Callable[[np.ndarray, np.ndarray], Any] | None = None,
    ) -> "RidgeKernelClassifier":
        """Fit to rows.

        Parameters
        ----------
        X : ndarray of float, shape (n, d)
        y : ndarray of int, shape (n,)
        groups : ndarray of int, optional
            Unit of each row; rows of one unit are left out together. By default each is its own.
        widths : sequence of int
            Columns of each block; by default there is one block.
        originals : ndarray of int, optional
            Rows whose left-out scores are wanted, all by default.
        judge : callable, optional
            (left-out scores, true columns) → how good a strength is; more is better. By default the
            log likelihood after calibration.

        Raises
        ------
        ValueError
            When alpha is negative or not finite.
        """
        if not 0 <= self.alpha < np.inf:
            raise ValueError(f"alpha is {self.alpha:g}, expected 0 (to choose it) or more")
        X = np.asarray(X, np.float32)
        self.classes_, y = np.unique(y, return_inverse=True)
        groups = np.arange(len(X)) if groups is None else np.unique(groups, return_inverse=True)[1]
        originals = np.arange(len(X)) if originals is None else originals
        self.widths_ = tuple(widths) or (X.shape[1],)
        targets = np.where(y[:, np.newaxis] == np.arange(len(self.classes_)), 1.0, -1.0)
        weights = self._weights(y)
        rows = _some_units(groups, _CHOICE_ROWS, self.random_state)
        grams: dict[str, np.ndarray] = {}
        self.alpha_ = self.alpha
        if not self.alpha:
            judge = judge or _likelihood
            asked = np.isin(rows, originals)

            def worth(alpha: float) -> Any:
                some = (X[rows], targets[rows], weights[rows], groups[rows])
                return judge(self._fit(*some, alpha, grams)[asked], y[rows[asked]])

            self.alpha_ = max(ALPHAS, key=worth)
        if len(rows) < len(X):
            grams = {}
        found = self._fit(X, targets, weights, groups, self.alpha_, grams, last=True)
        self.left_out_ = found[originals]
        return self

    def _weights(self, y: np.ndarray) -> np.ndarray:
        if self.class_weight is None:
            return np.ones(len(y))
        return (len(y) / (len(self.classes_) * np.bincount(y)))[y]

    def _fit(
        self,
        X: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray,
        groups: np.ndarray,
        alpha: float,
        grams: dict[str, np.ndarray],
        *,
        last: bool = False,
    ) -> np.ndarray:
        """Fit with one strength, and return the scores of all rows, left out unit by unit.

        What does not depend on the strength is kept in `grams`, until the last one.
        """
        noise = alpha / weights
        if self.kernel == "linear":
            if len(X) > X.shape[1]:
                rows = np.column_stack([X, np.ones(len(X), np.float32)])
                coef, found = left_out_linear(rows, targets, noise, groups)
                self.coef_, self.intercept_ = coef[:, :-1].astype(np.float32), coef[:, -1]
                return found
            if "linear" not in grams:
                grams["linear"] = (X @ X.T).astype(np.float64) + 1
            duals, found = left_out(grams["linear"], targets, noise, groups, overwrite=last)
            self.coef_, self.intercept_ = (duals.T @ X).astype(np.float32), duals.sum(axis=0)
            return found
        if "medians" not in grams:
            grams["medians"] = np.array(_medians(X, self.widths_, self.random_state))
        self.medians_ = grams["medians"].tolist()
        if len(X) <= _EXACT_ROWS:
            self._keep(X)
            if "rbf" not in grams:
                grams["rbf"] = self._kernel(self.support).astype(np.float64)
            duals, found = left_out(grams["rbf"], targets, noise, groups, overwrite=last)
            self.duals_ = duals.astype(np.float32)
            return found
        random = np.random.default_rng(self.random_state)
        landmarks = np.sort(random.choice(len(X), _LANDMARKS, replace=False))
        self._keep(X[landmarks])
        inner = self._kernel(self.support).astype(np.float64)
        factor = cholesky(inner + 1e-6 * np.eye(len(inner)), lower=True)
        mapped = np.concatenate(
            [
                solve_triangular(factor, self._kernel(X[at : at + _BLOCK]).T,
                                 lower=True).T.astype(np.float32)
                for at in range(0, len(X), _BLOCK)
            ]
        )  # fmt: skip
        coef, found = left_out_linear(mapped, targets, noise, groups)
        self.duals_ = solve_triangular(factor, coef.T, lower=True, trans=1).astype(np.float32)
        return found

    def _keep(self, rows: np.ndarray) -> None:
        """Keep rows to compare others with, as whole numbers of a 127th of the block's largest."""
        blocks = np.split(rows, np.cumsum(self.widths_)[:-1], axis=1)
        self.steps_ = [max(float(np.abs(block).max(initial=0)), 1e-12) / 127 for block in blocks]
        steps = np.repeat(np.array(self.steps_, np.float32), self.widths_)
        self.support_ = np.rint(rows / steps).astype(np.int8)

    @property
    def support(self) -> np.ndarray:
        """The rows that are kept, float32 (m, d)."""
        return self.support_ * np.repeat(np.array(self.steps_, np.float32), self.widths_)

    def _kernel(self, rows: np.ndarray) -> np.ndarray:
        """Return the mean of the blocks' Gaussian kernels with the kept rows, float32 (n, m)."""
        support = self.support
        found = np.zeros((len(rows), len(support)), np.float32)
        start = 0
        for width, median in zip(self.widths_, self.medians_, strict=True):
            columns = slice(start, start + width)
            distances = _squared_distances(rows[:, columns], support[:, columns])
            distances *= np.float32(-0.5 / median)
            found += np.exp(distances, out=distances)
            start += width
        return found / np.float32(len(self.widths_))

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        """Return a score for each class, float64 (n, classes); the highest is the prediction."""
        X = np.asarray(X, np.float32)
        columns = self.coef_.shape[1] if self.kernel == "linear" else sum(self.widths_)
        if X.shape[1] != columns:
            raise ValueError(f"rows have {X.shape[1]} columns, expected {columns}")
        if self.kernel == "linear":
            return X.astype(np.float64) @ self.coef_.T + self.intercept_
        blocks = [
            self._kernel(X[at : at + _BLOCK]) @ self.duals_.astype(np.float64)
            for at in range(0, len(X), _BLOCK)
        ]
        return np.concatenate([np.empty((0, len(self.classes_))), *blocks])

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the class with the highest score for each row."""
        return self.classes_[self.decision_function(X).argmax(axis=1)]

    # As bytes ---------------------------------------------------------------------------------

    def to_bytes(self) -> tuple[bytes, dict[str, Any]]:
        """Return what is needed to predict: arrays as safetensors, and plain values."""
        if self.kernel == "linear":
            linear: dict[str, np.ndarray] = {
                "coef": self.coef_,
                "intercept": self.intercept_.astype(np.float64),
            }
            return save_tensors(linear), {"kernel": "linear", "classes": len(self.classes_)}
        arrays: dict[str, np.ndarray] = {
            "support": self.support_,
            "steps": np.array(self.steps_, np.float64),
            "duals": self.duals_,
            "medians": np.array(self.medians_, np.float64),
            "widths": np.array(self.widths_, np.int64),
        }
        return save_tensors(arrays), {"kernel": "rbf", "classes": len(self.classes_)}

    @classmethod
    def from_bytes(cls, data: bytes, described: Mapping[str, Any]) -> "RidgeKernelClassifier":
        """Return the classifier that `to_bytes` wrote.

        Raises
        ------
        LookupError, ValueError, TypeError
            When it is something else.
        """
        arrays = load_tensors(data)
        made = cls(described["kernel"])
        made.classes_ = np.arange(int(described["classes"]))
        expected = (
            {"coef", "intercept"}
            if made.kernel == "linear"
            else {"support", "steps", "duals", "medians", "widths"}
        )
        if made.kernel not in ("linear", "rbf") or set(arrays) != expected:
            raise ValueError(f"it has the arrays {sorted(arrays)}, expected {sorted(expected)}")
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise ValueError("it has values that are not finite")
        if made.kernel == "linear":
            made.coef_, made.intercept_ = arrays["coef"], arrays["intercept"]
            if made.coef_.ndim != 2 or not (
                len(made.coef_) == len(made.classes_)
                and made.intercept_.shape == made.classes_.shape
            ):
                raise ValueError("its coefficients are not those of its classes")
            return made
        made.support_, made.duals_ = arrays["support"], arrays["duals"]
        made.medians_, made.steps_ = arrays["medians"].tolist(), arrays["steps"].tolist()
        made.widths_ = tuple(arrays["widths"].tolist())
        if (
            made.support_.ndim != 2
            or made.duals_.shape != (len(made.support_), len(made.classes_))
            or {len(made.medians_), len(made.steps_)} != {len(made.widths_)}
            or made.support_.dtype != np.int8
            or sum(made.widths_) != made.support_.shape[1]
            or not all(width > 0 for width in made.widths_)
            or not all(median > 0 for median in made.medians_)
        ):
            raise ValueError("its arrays do not fit one another")
        return made


def _likelihood(scores: np.ndarray, y: np.ndarray) -> float:
    return -mean_log_loss(best_inverse_temperature(scores, y) * scores, y)


def _some_units(groups: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Return rows of randomly chosen whole units, about `most` of them, in order."""
    if len(groups) <= most:
        return np.arange(len(groups))
    units = np.random.default_rng(seed).permutation(groups.max() + 1)
    sizes = np.bincount(groups)[units]
    chosen = units[: max(2, np.searchsorted(np.cumsum(sizes), most, side="right"))]
    return np.flatnonzero(np.isin(groups, chosen))


def _medians(X: np.ndarray, widths: Sequence[int], seed: int) -> list[float]:
    """Return the median squared distance between different rows in each block."""
    some = X
    if len(X) > _MEDIAN_ROWS:
        chosen = np.random.default_rng(seed).choice(len(X), _MEDIAN_ROWS, replace=False)
        some = X[np.sort(chosen)]
    found, start = [], 0
    pairs = np.triu_indices(len(some), 1)
    for width in widths:
        block = some[:, start : start + width]
        distances = _squared_distances(block, block)[pairs]
        median = float(np.median(distances)) if len(distances) else 0.0
        found.append(median if median > 1e-9 else 1.0)  # rows that are all the same
        start += width
    return found


def _squared_distances(rows: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the squared Euclidean distances, float32 (n, m)."""
    squares = rows @ other.T
    squares *= -2
    squares += np.einsum("ij,ij->i", rows, rows)[:, np.newaxis]
    squares += np.einsum("ij,ij->i", other, other)
    return np.maximum(squares, 0, out=squares)
