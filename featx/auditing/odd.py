"""Images that hold little to learn from, or are quite unlike the others of their class."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from .neighbours import NOBODY, nearest_apart
from .pixels import Pixels

__all__ = ["ODD", "Kind", "Measured", "OddImage", "class_distances", "find_odd"]

_NEAREST = 5
#: Distances are usual up to so many robust standard deviations above the median of the class.
_DEVIATIONS = 6.0
_MAD = 1.4826  # to a standard deviation, for a normal distribution
_LEAST_SPREAD = 0.05  # of the median: in a small class, distances can be nearly equal by chance


@dataclass(frozen=True)
class OddImage:
    """An image that is odd in one way.

    Attributes
    ----------
    path, label : str
    kind : str
        A key of `ODD`.
    value, limit : float
        What was measured, and what is usual at the most (or the least, see `Kind`).
    """

    path: str
    label: str
    kind: str
    value: float
    limit: float


class Measured(NamedTuple):
    """What images are judged by, arrays of one length.

    Attributes
    ----------
    pixels : Pixels
    side : ndarray of int
        The shorter side of each upright image, in pixels.
    distance : ndarray of float
        To the nearest images of its class; see `class_distances`.
    alone : ndarray of float
        The same to images of any class, in what channels have at most (the view "max"), which sees
        a small thing that no other image has; not a number where that was not computed.
    y : ndarray of int
        Labels.
    """

    pixels: Pixels
    side: np.ndarray
    distance: np.ndarray
    alone: np.ndarray
    y: np.ndarray


class Kind(NamedTuple):
    """A row of the table of oddities.

    Attributes
    ----------
    summary : str
        What is the matter, in a few words.
    measure : callable
        `Measured` → values of the images and the limit of each; values that are not numbers are
        not judged.
    is_low : bool
        Whether values below the limit are odd, and not those above it.
    """

    summary: str
    measure: Callable[[Measured], tuple[np.ndarray, np.ndarray]]
    is_low: bool = False


def _at_most(values: np.ndarray, limit: float, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Return values with one limit, lower where a share of what is usual here is lower."""
    finite = values[np.isfinite(values)]
    usual = float(np.median(finite)) if len(finite) else 0.0
    return values, np.full(len(values), min(limit, share * usual))


def _contrast(of: Measured) -> tuple[np.ndarray, np.ndarray]:
    return _at_most(of.pixels.contrast, 4, 0.25)


def _brightness(of: Measured) -> tuple[np.ndarray, np.ndarray]:
    return _at_most(of.pixels.brightness, 16, 0.25)


def _side(of: Measured) -> tuple[np.ndarray, np.ndarray]:
    return _at_most(of.side.astype(np.float64), 64, 0.25)


def _blur(of: Measured) -> tuple[np.ndarray, np.ndarray]:
    has_contrast = of.pixels.contrast >= _contrast(of)[1]
    return _at_most(np.where(has_contrast, of.pixels.detail, np.nan), 0.035, 0.25)


def _noise(of: Measured) -> tuple[np.ndarray, np.ndarray]:
    values = of.pixels.detail
    finite = values[np.isfinite(values)]
    usual = float(np.median(finite)) if len(finite) else 0.0
    has_contrast = of.pixels.contrast >= _contrast(of)[1]
    return np.where(has_contrast, values, np.nan), np.full(len(values), max(0.7, 2 * usual))


def _outlier(of: Measured) -> tuple[np.ndarray, np.ndarray]:
    return _far(of.distance, of.y)


def _unlike(of: Measured) -> tuple[np.ndarray, np.ndarray]:
    return _far(of.alone, np.zeros(len(of.alone)))


def _far(distance: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return distances, and how far is far in each class, by a robust rule."""
    limits = np.full(len(y), np.inf)
    for label in np.unique(y):
        own = y == label
        some = distance[own & np.isfinite(distance)]
        if len(some) > _NEAREST:
            middle = np.median(some)
            spread = max(_MAD * np.median(np.abs(some - middle)), _LEAST_SPREAD * middle)
            limits[own] = middle + _DEVIATIONS * spread
    return distance, limits


#: The ways in which an image is odd, the plainest first: an image is named once, so a black one is
#: not also called an outlier.
ODD: Mapping[str, Kind] = MappingProxyType(
    {
        "dark": Kind("the image is almost black", _brightness, is_low=True),
        "empty": Kind("the image has almost no contrast", _contrast, is_low=True),
        "small": Kind("the image has few pixels", _side, is_low=True),
        "blurred": Kind("the image has no fine detail", _blur, is_low=True),
        "noise": Kind("the image is mostly noise", _noise),
        "unlike": Kind("the image is unlike all others, of any class", _unlike),
        "outlier": Kind("the image is far from all others of its class", _outlier),
    }
)


def find_odd(of: Measured) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return the odd images of each kind, the oddest first.

    Parameters
    ----------
    of : Measured

    Returns
    -------
    dict
        Key of `ODD` → positions, values and limits.
    """
    found = {}
    named = np.zeros(len(of.y), bool)
    for name, kind in ODD.items():
        values, limits = kind.measure(of)
        with np.errstate(invalid="ignore"):
            odd = (values < limits) if kind.is_low else (values > limits)
        positions = np.flatnonzero(odd & ~named)
        order = np.argsort(values[positions] if kind.is_low else -values[positions], kind="stable")
        positions = positions[order]
        named[positions] = True
        found[name] = (positions, values[positions], limits[positions])
    return found


def class_distances(rows: np.ndarray, y: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Return the distance of each image to the nearest images of its class and of other units.

    Parameters
    ----------
    rows : ndarray of float32, shape (n, d)
        Rows of length 1.
    y, units : ndarray of int, shape (n,)

    Returns
    -------
    ndarray of float64, shape (n,)
        Mean Euclidean distance to the five nearest, or to as many as there are; not a number where
        there is none.
    """
    found = np.full(len(rows), np.nan)
    for label in np.unique(y):
        own = np.flatnonzero(y == label)
        near = nearest_apart(rows[own], _NEAREST, units[own])
        there = near.index != NOBODY
        with np.errstate(invalid="ignore"):
            distances = np.sqrt(np.maximum(2 - 2 * np.where(there, near.cosine, 1), 0))
            found[own] = distances.sum(axis=1) / there.sum(axis=1)
    return found
