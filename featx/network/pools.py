"""How the features of an image become one row of a matrix."""

import numpy as np

from ..errors import one_of

__all__ = ["POOLS", "pool_features"]


def _average(features: np.ndarray) -> np.ndarray:
    return features.mean(axis=(1, 2))


def _maximum(features: np.ndarray) -> np.ndarray:
    return features.max(axis=(1, 2))


def _average_maximum(features: np.ndarray) -> np.ndarray:
    return np.concatenate([_average(features), _maximum(features)], axis=1)


def _flatten(features: np.ndarray) -> np.ndarray:
    return features.reshape(len(features), -1)


#: How the features of an image become one row: name → function of (n, h, w, c) → (n, d).
POOLS = {"avg": _average, "max": _maximum, "avgmax": _average_maximum, "flatten": _flatten}


def pool_features(features: np.ndarray, pool: str) -> np.ndarray:
    """Return features of shape (n, height, width, channels) as float32 rows (n, d).

    Raises
    ------
    InputError
        When there is no such pool.
    """
    return one_of("pool", pool, POOLS)(features.astype(np.float32))
