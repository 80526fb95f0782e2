"""Whether an exported file gives the probabilities of its model, on the same images."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import backend
from ..errors import IncompatibleError, InputError
from ..model.model import Model
from .pixels import COUNT

__all__ = ["LIMITS", "Expected", "expect", "limit_of", "require_agreement", "require_rows"]

#: How far apart probabilities may be. Eight bits of bfloat16, or of quantised weights, allow more.
LIMITS = {"float32": 1e-3, "bfloat16": 2e-2, "quantized": 2e-2}


@dataclass(frozen=True, eq=False)
class Expected:
    """What a model gives for images.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (n, size, size, 3)
    rows : ndarray of float32, shape (n, d)
        What the head sees.
    probabilities : ndarray of float64, shape (n, classes)
        Computed in the precision of the file.
    here : ndarray of float64, shape (n, classes), or None
        As `score` computes them on this machine unless it is told otherwise; None where it cannot.
    """

    pixels: np.ndarray
    rows: np.ndarray
    probabilities: np.ndarray
    here: np.ndarray | None


def expect(model: Model, pixels: np.ndarray, precision: str) -> Expected:
    """Return what a model gives for images, in a precision and in its own.

    Parameters
    ----------
    model : Model
    pixels : ndarray of uint8, shape (n, size, size, 3)
    precision : {"float32", "bfloat16"}
    """
    # As if it had been made so: nothing about the model is then worth a message.
    each = [
        replace(one, precision=precision, runtime="tensorflow") for one in model.fingerprint.each
    ]
    made = replace(each[0], also=tuple(each[1:]))
    exact = replace(model, fingerprint=made, precision=precision, runtime="tensorflow")
    rows = exact.rows(exact.trunk.activations([pixels]))
    probabilities = exact.predict_proba_rows(rows)
    here: np.ndarray | None = probabilities
    if model.computing != exact.computing:
        try:
            here = model.predict_proba_activations(model.trunk.activations([pixels]))
        except InputError:  # this machine lacks the runtime
            here = None
    return Expected(pixels, rows, probabilities, here)


def limit_of(precision: str, quantize: str | None) -> float:
    """Return how far apart probabilities may be."""
    return LIMITS["quantized" if quantize else precision]


@backend.own_settings()
def require_rows(network: Any, expected: Expected, precision: str) -> None:
    """Check that a network gives the head what the model's view gives it.

    Probabilities alone do not tell: where all are 0 or 1, a wrong row changes none.

    Raises
    ------
    AssertionError
        When it does not, which is a mistake in this wing.
    """
    keras = backend.keras()
    seen = keras.Model(network.input, network.get_layer("rows").output)
    found = np.asarray(seen.predict(expected.pixels, COUNT, verbose=0), np.float32)
    apart = np.abs(found - expected.rows).max() / max(np.abs(expected.rows).max(), 1e-9)
    if not apart <= 2 * LIMITS[precision]:
        raise AssertionError(f"the rows of the exported network are {apart:.2g} apart")


def require_agreement(found: np.ndarray, expected: Expected, limit: float, advice: str) -> float:
    """Return how far what a file gave is from what it should have given, at most.

    Parameters
    ----------
    found : ndarray of float64, shape (n, classes)
    expected : Expected
    limit : float
        See `limit_of`.
    advice : str
        A sentence that says what to do when they do not agree.

    Raises
    ------
    IncompatibleError
        When a probability differs by more, or is not a number.
    """
    apart = float(np.abs(found - expected.probabilities).max())
    if not apart <= limit:
        raise IncompatibleError(
            f"The exported file does not give the model's probabilities: on {len(found)} images "
            f"they are up to {apart:.2g} apart, and {limit:g} is the most that is allowed. Nothing "
            f"was written. {advice}"
        )
    return apart
