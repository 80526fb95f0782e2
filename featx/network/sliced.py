"""A network that is a functional Keras model, cut into layers that follow one another."""

import contextlib
import functools
import math
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import backend
from ..errors import CorruptError, printable
from ..storage import hdf5
from . import weight_files
from .steps import INPUT, Arrays, random_array
from .torch_file import TORCH, load_state_dict

__all__ = ["Cuts", "Sliced", "by_name"]

#: Every cut, in order: name → (how many times smaller than the image, channels).
Cuts = Mapping[str, tuple[int, int]]

#: A PyTorch state dict → layer → variable → array.
ReadState = Callable[[Mapping[str, np.ndarray]], Mapping[str, Mapping[str, np.ndarray]]]

#: Keras counts the layers of a process that it names itself.
_COUNTED = re.compile(r"^(layer_normalization|batch_normalization)_\d+(?=/)")


@dataclass(frozen=True)
class Sliced:
    """The layers of a Keras model between its cuts; see `steps.Steps`.

    Attributes
    ----------
    build : callable
        Returns the model, from normalised pixels of any size to its last features, with random
        weights, in the precision of Keras's policy.
    cuts : callable
        Model → its tensors at the cuts, in order, without the input: name → KerasTensor. All that
        comes after a cut is made from it alone.
    arrays_of : callable, optional
        A PyTorch state dict → layer → variable → array, where such files are read.
    """

    build: Callable[[], Any]
    cuts: Callable[[Any], Mapping[str, Any]]
    arrays_of: ReadState | None = None

    def _made(self, dtype: Any) -> tuple[Any, dict[str, Any]]:
        """Return a new model with weights of its own, and the models between its cuts."""
        keras = backend.keras()
        before = keras.config.dtype_policy()
        # Statistics of batch normalisation in bfloat16 would be three digits of a variance.
        keras.config.set_dtype_policy("mixed_bfloat16" if dtype == "bfloat16" else dtype)
        try:
            whole = self.build()
            models, last = {}, whole.input
            for name, tensor in self.cuts(whole).items():
                models[name] = keras.Model(last, tensor, name=name)
                last = tensor
        finally:
            keras.config.set_dtype_policy(before)
        return whole, models

    @functools.cached_property
    def _variables(self) -> Mapping[str, Mapping[str, tuple[int, ...]]]:
        return {name: _named(model) for name, model in self._made("float32")[1].items()}

    def variables(self, name: str) -> Mapping[str, tuple[int, ...]]:
        """Return the weights of a layer by their paths in the Keras model."""
        return self._variables.get(name, {})

    def outputs(self, x: Any, names: Iterable[str], arrays: Arrays, dtype: Any) -> dict[str, Any]:
        """Apply the layers, each of which is a model inside the model."""
        (_, models), found = self._made(dtype), {INPUT: x}
        for name in names:
            x = found[name] = models[name](x)
            if self.variables(name):
                models[name].set_weights(arrays[name])
        return found

    def _arranged(self, found: Mapping[str, Mapping[str, np.ndarray]]) -> Arrays:
        """Return weights that are told by Keras's layer and variable in the order they have here.

        Raises
        ------
        CorruptError
            When one is missing or has another shape.
        """
        arrays: Arrays = {}
        for name, own in self._variables.items():
            if not own:
                continue
            some = []
            for path, shape in own.items():
                layer, _, variable = path.rpartition("/")
                array = found.get(layer, {}).get(variable)
                if array is None or array.shape != shape:
                    raise CorruptError(f"The weights have no {path} of the shape {shape}.")
                some.append(array)
            arrays[name] = tuple(some)
        return arrays

    def random_arrays(self, seed: int) -> Arrays:
        """Return kernels of LeCun's normal distribution, factors of 1 and offsets of 0.

        He's, of twice the variance, would leave float16 behind where blocks are added up.
        """
        random, arrays = np.random.default_rng(seed), {}
        for name, own in self._variables.items():
            if own:
                arrays[name] = tuple(
                    random_array(random, variable, shape, 2 * _inputs(shape))
                    for variable, shape in own.items()
                )
        return arrays

    def from_file(self, data: bytes) -> Arrays:
        """Read all weights from a Keras HDF5 file, old or new, without a top, or from safetensors.

        Keras itself reads the HDF5 file, after a look at every dataset in it. Of networks whose
        weights are PyTorch's, a file of a state dict is read too.
        """
        if self.arrays_of and data.startswith(TORCH):
            return self._arranged(self.arrays_of(load_state_dict(data)))
        if not data.startswith(b"\x89HDF\r\n"):
            return weight_files.from_safetensors(self, data, list(self._variables))
        paths = [path for path, _ in hdf5.arrays(data)]
        # A model that was trained has its optimizer's arrays beside those of its layers.
        is_new = any(path.startswith(("layers/", "_layer")) for path in paths)
        whole, models = self._made("float32")
        try:
            with _as_file(data, ".weights.h5" if is_new else ".h5") as path:
                whole.load_weights(path)
        except Exception as error:  # whatever Keras makes of it
            raise CorruptError(f"Not a file of these weights: {printable(error)}") from error
        arrays = {
            name: tuple(np.asarray(one, np.float32) for one in model.get_weights())
            for name, model in models.items()
            if model.weights
        }
        if not all(np.isfinite(one).all() for own in arrays.values() for one in own):
            raise CorruptError("The weights are not all finite numbers.")
        return arrays


def by_name(cuts: Cuts) -> Callable[[Any], dict[str, Any]]:
    """Return the function that finds cuts which are named as Keras's layers are."""

    def find(model: Any) -> dict[str, Any]:
        return {name: model.get_layer(name).output for name in cuts if name != INPUT}

    return find


def _named(model: Any) -> dict[str, tuple[int, ...]]:
    """Return the shape of each weight of a model, by its path, in the order of `get_weights`."""
    found = {_COUNTED.sub(r"\1", one.path): tuple(one.shape) for one in model.weights}
    if len(found) != len(model.weights):
        raise AssertionError(f"two weights of {model.name} have the same name")
    return found


def _inputs(shape: tuple[int, ...]) -> int:
    """Return how many numbers a kernel sums up; the last axis of a depthwise one is a factor."""
    return math.prod(shape[:2]) if shape[-1] == 1 and len(shape) == 4 else math.prod(shape[:-1])


@contextlib.contextmanager
def _as_file(data: bytes, ending: str) -> Iterator[Path]:
    """Yield the path of a temporary file with these bytes."""
    with tempfile.TemporaryDirectory(prefix="featx-") as folder:
        path = Path(folder) / f"network{ending}"
        path.write_bytes(data)
        yield path
