"""VGG16 (Simonyan and Zisserman 2014): its layers, how to apply them, and files of its weights."""

import io
import pickle
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .. import backend
from ..errors import CorruptError
from ..storage import hdf5
from ..storage.tensors import load_tensors
from .steps import INPUT, Arrays, random_array

__all__ = ["CONVOLUTIONS", "LAYERS", "VGG16", "from_checkpoint", "from_file"]

_BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))  # convolutions, channels

#: Every layer, in order: name → (how many times smaller than the image, channels).
LAYERS: dict[str, tuple[int, int]] = {INPUT: (1, 3)}
#: The thirteen convolutions, in order: name → (channels in, channels out).
CONVOLUTIONS: dict[str, tuple[int, int]] = {}

_channels = 3
for _block, (_count, _filters) in enumerate(_BLOCKS, start=1):
    for _conv in range(1, _count + 1):
        LAYERS[f"block{_block}_conv{_conv}"] = (2 ** (_block - 1), _filters)
        CONVOLUTIONS[f"block{_block}_conv{_conv}"] = (_channels, _filters)
        _channels = _filters
    LAYERS[f"block{_block}_pool"] = (2**_block, _filters)


class VGG16:
    """Its layers one by one; see `steps.Steps`."""

    def variables(self, name: str) -> Mapping[str, tuple[int, ...]]:
        """Return the shapes of a convolution's kernel and bias."""
        if name not in CONVOLUTIONS:
            return {}
        before, after = CONVOLUTIONS[name]
        return {"kernel": (3, 3, before, after), "bias": (after,)}

    def outputs(self, x: Any, names: Iterable[str], arrays: Arrays, dtype: Any) -> dict[str, Any]:
        """Apply convolutions, which rectify what they give, and pools."""
        layers = backend.keras().layers
        found = {INPUT: x}
        for name in names:
            if name.endswith("_pool"):
                x = found[name] = layers.MaxPooling2D(2, name=name, dtype=dtype)(x)
                continue
            layer = layers.Conv2D(
                LAYERS[name][1], 3, padding="same", activation="relu", name=name, dtype=dtype
            )
            x = found[name] = layer(x)
            layer.set_weights(arrays[name])
        return found

    def from_file(self, data: bytes) -> Arrays:
        """Read the convolutions; see `from_file`."""
        return from_file(data)

    def random_arrays(self, seed: int) -> Arrays:
        """Return He-normal kernels and biases of 0."""
        random = np.random.default_rng(seed)
        return {
            name: tuple(
                random_array(random, variable, shape, 9 * before)
                for variable, shape in self.variables(name).items()
            )
            for name, (before, _) in CONVOLUTIONS.items()
        }


def from_file(data: bytes) -> Arrays:
    """Read the convolutions from the bytes of a weights file.

    Understood are Keras's HDF5 files, old (``.h5``) and new (``.weights.h5``), with or without the
    top, and safetensors files with the names of `weight_files.to_safetensors` or of torchvision
    (``features.0.weight``, with kernels of shape (out, in, 3, 3)).

    Raises
    ------
    CorruptError
        When it is neither, or VGG16's convolutions are not all in it.
    """
    tensors = _hdf5(data) if data.startswith(b"\x89HDF\r\n") else _safetensors(data)
    kernels = [(path, array) for path, array in tensors if array.ndim == 4]
    biases = {_place(path): array for path, array in tensors if array.ndim == 1}
    kernels.sort(key=lambda item: _natural(item[0]))
    if len(kernels) != len(CONVOLUTIONS):
        raise CorruptError(
            f"The weights file has {len(kernels)} convolutions; VGG16 has {len(CONVOLUTIONS)}."
        )
    arrays: Arrays = {}
    for name, (path, kernel) in zip(CONVOLUTIONS, kernels, strict=True):
        if path.startswith("features."):
            kernel = kernel.transpose(2, 3, 1, 0)
        arrays[name] = (kernel, biases.get(_place(path), np.empty(0)))
    return _checked(arrays)


def from_checkpoint(data: bytes) -> Arrays:
    """Read the convolutions from a pickle of ``{"VGG16_0": {"Conv_0": {"kernel", "bias"}, …}}``.

    Check the digest of `data` first. Nothing but numpy's array reconstruction is admitted.

    Raises
    ------
    CorruptError
        When the pickle asks for anything else, or holds other arrays.
    """
    try:
        layers = _ArrayUnpickler(io.BytesIO(data)).load()["VGG16_0"]
        arrays: Arrays = {
            name: (layers[f"Conv_{index}"]["kernel"], layers[f"Conv_{index}"]["bias"])
            for index, name in enumerate(CONVOLUTIONS)
        }
    except CorruptError:
        raise
    except Exception as error:
        raise CorruptError(f"The checkpoint does not hold VGG16's convolutions: {error}") from error
    return _checked(arrays)


class _ArrayUnpickler(pickle.Unpickler):
    """An unpickler for plain numpy arrays that refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        admitted = {
            ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        if (module, name) not in admitted:
            raise CorruptError(f"The checkpoint asks for {module}.{name}, which is not admitted.")
        return admitted[module, name]


def _checked(arrays: Arrays) -> Arrays:
    """Return the arrays as float32 when every shape and value is one that VGG16 can have."""
    for name, (kernel, bias) in arrays.items():
        before, after = CONVOLUTIONS[name]
        if kernel.shape != (3, 3, before, after) or bias.shape != (after,):
            raise CorruptError(
                f"The weights of {name} have the shapes {kernel.shape} and {bias.shape}; "
                f"expected {(3, 3, before, after)} and {(after,)}."
            )
        if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
            raise CorruptError(f"The weights of {name} are not all finite numbers.")
        arrays[name] = (kernel.astype(np.float32), bias.astype(np.float32))
    return arrays


#: Numbers: the largest convolution has 2.4 million, and the top of VGG16, not needed, more.
_LARGEST = 1 << 22


def _hdf5(data: bytes) -> list[tuple[str, np.ndarray]]:
    return [(path, array) for path, array in hdf5.arrays(data, _LARGEST) if "optimizer" not in path]


def _safetensors(data: bytes) -> list[tuple[str, np.ndarray]]:
    try:
        return list(load_tensors(data).items())
    except ValueError as error:
        raise CorruptError(f"Neither an HDF5 nor a safetensors weights file: {error}") from error


def _place(path: str) -> str:
    """Return what the names of a layer's kernel and bias have in common."""
    return re.sub(r"(/vars/\d+|[./](weight|bias|kernel)|_[Wb]_1:0|/(kernel|bias):0)$", "", path)


def _natural(path: str) -> list[int | str]:
    """Sort key by which ``conv2d`` comes before ``conv2d_1`` and that before ``conv2d_10``."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path)]
