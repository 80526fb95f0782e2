"""What the members of a model's file hold, as arrays: read and checked."""

from typing import Any

import numpy as np

from ..network import weight_files
from ..network.covariance import Projection
from ..network.fingerprint import Fingerprint
from ..network.tail import Tail
from ..network.views import View
from ..storage.tensors import load_tensors, save_tensors
from .novelty import Novelty

__all__ = ["novelty", "projected", "projections_to_bytes", "tail", "training"]


def training(data: bytes, classes: int) -> dict[str, np.ndarray]:
    """Return what is kept of the training images.

    Raises
    ------
    LookupError, ValueError
        When it is something else; so do the other functions.
    """
    kept = load_tensors(data)
    count = len(kept["labels"])
    expected = {"digests": (count, 32), "labels": (count,)}
    expected |= dict.fromkeys(("probabilities", "fitted"), (count, classes))
    if any(kept[name].shape != expected[name] for name in kept):
        raise ValueError(f"the training images have arrays of other shapes than {expected}")
    return kept


def projections_to_bytes(view: View) -> bytes:
    """Return the projection of each network of a view; those of further ones have a number."""
    return save_tensors(
        {
            name + suffix: array
            for suffix, one in zip(_suffixes(view), view.each, strict=True)
            for name, array in vars(one.projection).items()
        }
    )


def projected(data: bytes, view: View) -> View:
    """Return a view with the projections that `projections_to_bytes` wrote."""
    kept = load_tensors(data)
    found = []
    for suffix, one in zip(_suffixes(view), view.each, strict=True):
        projection = Projection(kept[f"mean{suffix}"], kept[f"directions{suffix}"])
        channels = one.shape[2]
        if (
            projection.mean.shape != (channels,)
            or projection.directions.shape[:1] != (channels,)
            or projection.rows(np.zeros((1, 1, 1, channels))).shape[1] != Projection.width(channels)
        ):
            raise ValueError(f"the projection is not of {channels} channels")
        found.append(projection)
    return view.projected(found)


def _suffixes(view: View) -> list[str]:
    return ["", *(str(at) for at in range(2, len(view.each) + 1))]


def tail(data: bytes, described: dict[str, Any], fingerprint: Fingerprint) -> Tail:
    """Return the fine-tuned layers."""
    trunk = fingerprint.trunk
    until, row = described["until"], trunk.row
    names = row.layers_between(trunk.cut, until)
    arrays = weight_files.from_safetensors(row.steps, data, names)
    return Tail(trunk.cut, until, trunk.shape, arrays, fingerprint.precision, trunk.network)


def novelty(data: bytes) -> Novelty:
    """Return the reference of the novelty score."""
    kept = load_tensors(data)
    found = Novelty(kept["reference"], kept["distances"])
    if found.reference.ndim != 2 or found.distances.ndim != 1 or not len(found.distances):
        raise ValueError("the novelty has arrays of other shapes than (r, d) and (m,)")
    return found
