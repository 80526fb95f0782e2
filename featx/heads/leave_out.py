"""Regularised least squares and its predictions for units that are left out, without refitting.

Rifkin and Lippert, "Notes on Regularized Least Squares" (2007), with several rows left out at once.
"""

import numpy as np
from scipy.linalg import cho_factor, cho_solve, cholesky, lapack, solve_triangular

__all__ = ["left_out", "left_out_linear"]

_BLOCK = 4096  # rows at a time


def left_out(
    gram: np.ndarray,
    targets: np.ndarray,
    noise: np.ndarray,
    groups: np.ndarray,
    *,
    overwrite: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Solve ``(K + D) α = Y``, and predict every unit by the solution without it.

    With C = (K + D)⁻¹, the residuals of a unit u that is left out are ``C_uu⁻¹ α_u``.

    Parameters
    ----------
    gram : ndarray of float64, shape (n, n)
        Kernels K of the training rows.
    targets : ndarray, shape (n, classes)
    noise : ndarray, shape (n,)
        The diagonal of D: the strength over the weight of each row.
    groups : ndarray of int, shape (n,)
        Unit of each row.
    overwrite : bool
        Whether `gram` is given up: all is done in its memory.

    Returns
    -------
    duals, predictions : ndarray, shape (n, classes)
    """
    lower = gram.T  # the same matrix, in the order that LAPACK works on in place
    if not overwrite:
        lower = lower.copy(order="F")
    lower[np.diag_indices_from(lower)] += noise
    lower = cholesky(lower, lower=True, overwrite_a=True, check_finite=False)
    duals = cho_solve((lower, True), targets, check_finite=False)
    inverse, _ = lapack.dpotri(lower, lower=1, overwrite_c=1)
    residuals = duals / np.diag(inverse)[:, np.newaxis]
    for rows in _larger_units(groups):
        block = inverse[np.ix_(rows, rows)]
        block = np.tril(block) + np.tril(block, -1).T  # dpotri gives the lower half alone
        residuals[rows] = np.linalg.solve(block, duals[rows])
    return duals, targets - residuals


def left_out_linear(
    X: np.ndarray, targets: np.ndarray, noise: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Do as `left_out` for the linear kernel of X, where there are more rows than columns.

    Returns
    -------
    coef : ndarray of float64, shape (classes, d)
    predictions : ndarray of float64, shape (n, classes)
    """
    precision = (1 / noise)[:, np.newaxis]
    normal = np.eye(X.shape[1])
    moments = np.zeros((X.shape[1], targets.shape[1]))
    for at in range(0, len(X), _BLOCK):
        some = X[at : at + _BLOCK].astype(np.float64)
        scaled = some * precision[at : at + _BLOCK]
        normal += scaled.T @ some
        moments += scaled.T @ targets[at : at + _BLOCK]
    factor = cho_factor(normal, lower=True, overwrite_a=True)
    coef = cho_solve(factor, moments).T
    residuals = np.empty(targets.shape)
    leverage = np.empty(len(X))
    for at in range(0, len(X), _BLOCK):
        some = X[at : at + _BLOCK].astype(np.float64)
        solved = solve_triangular(factor[0], some.T, lower=True)
        leverage[at : at + _BLOCK] = (solved**2).sum(axis=0) / noise[at : at + _BLOCK]
        residuals[at : at + _BLOCK] = targets[at : at + _BLOCK] - some @ coef.T
    fitted_residuals = residuals / (1 - leverage)[:, np.newaxis]
    for rows in _larger_units(groups):
        some = X[rows].astype(np.float64)
        hat = some @ cho_solve(factor, some.T) / noise[rows]
        fitted_residuals[rows] = np.linalg.solve(np.eye(len(rows)) - hat, residuals[rows])
    return coef, targets - fitted_residuals


def _larger_units(groups: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each unit that has more than one."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order])) + 1
    return [rows for rows in np.split(order, starts) if len(rows) > 1]
