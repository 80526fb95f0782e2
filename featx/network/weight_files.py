"""Weights of layers as safetensors files, which hold nothing but tensors."""

import numpy as np

from ..errors import CorruptError, printable
from ..storage.tensors import load_tensors, save_tensors
from .steps import Arrays, Steps

__all__ = ["from_safetensors", "to_safetensors"]


def to_safetensors(steps: Steps, arrays: Arrays) -> bytes:
    """Return the weights of some layers as a file, the same for the same weights."""
    named = {}
    for name, own in arrays.items():
        for variable, array in zip(steps.variables(name), own, strict=True):
            named[f"{name}/{variable}"] = np.ascontiguousarray(array)
    return save_tensors(named)


def from_safetensors(steps: Steps, data: bytes, names: list[str]) -> Arrays:
    """Read the weights of layers that `to_safetensors` wrote, as float32.

    Parameters
    ----------
    steps : Steps
    data : bytes
    names : list of str
        Which layers; those without weights are passed over.

    Raises
    ------
    CorruptError
        When the file has anything else, or a value that is not a finite number.
    """
    try:
        tensors = load_tensors(data)
    except ValueError as error:
        raise CorruptError(f"Not a safetensors file of weights: {error}") from error
    arrays: Arrays = {}
    wanted = {name: own for name in names if (own := steps.variables(name))}
    expected = {f"{name}/{variable}" for name, own in wanted.items() for variable in own}
    if set(tensors) != expected:
        odd = sorted(set(tensors) ^ expected)
        raise CorruptError(
            "The file of weights is not of these layers. The first that is missing or not "
            f"expected is {printable(odd[0])}."
        )
    for name, own in wanted.items():
        found = [tensors[f"{name}/{variable}"] for variable in own]
        for array, (variable, shape) in zip(found, own.items(), strict=True):
            if array.shape != shape:
                raise CorruptError(
                    f"The weights {variable} of {name} have the shape {array.shape}; expected "
                    f"{shape}."
                )
            if array.dtype.kind != "f" or not np.isfinite(array).all():
                raise CorruptError(f"The weights {variable} of {name} are not all finite numbers.")
        arrays[name] = tuple(array.astype(np.float32) for array in found)
    return arrays
