"""The convolutions of VGG16 as arrays: read from the bytes of weight files, written, or random."""

import io
import pickle
import re
from typing import Any

import numpy as np

from ..errors import CorruptError
from ..storage import hdf5
from ..storage.tensors import load_tensors, save_tensors
from .layers import CONVOLUTIONS, Arrays

__all__ = [
    "from_checkpoint",
    "from_file",
    "random_arrays",
    "some_from_safetensors",
    "to_safetensors",
]


def random_arrays(seed: int) -> Arrays:
    """Return He-normal kernels (He et al. 2015) and zero biases, the same for the same seed."""
    random = np.random.default_rng(seed)
    arrays = {}
    for name, (before, after) in CONVOLUTIONS.items():
        kernel = random.standard_normal((3, 3, before, after), dtype=np.float32)
        kernel *= np.float32(np.sqrt(2 / (9 * before)))
        arrays[name] = (kernel, np.zeros(after, np.float32))
    return arrays


def to_safetensors(arrays: Arrays) -> bytes:
    """Return the arrays of some layers as a safetensors file, the same for the same arrays."""
    named = {}
    for name, (kernel, bias) in arrays.items():
        named[f"{name}/kernel"] = np.ascontiguousarray(kernel)
        named[f"{name}/bias"] = np.ascontiguousarray(bias)
    return save_tensors(named)


def from_file(data: bytes) -> Arrays:
    """Read the convolutions from the bytes of a weights file.

    Understood are Keras's HDF5 files, old (``.h5``) and new (``.weights.h5``), with or without the
    top, and safetensors files with the names of `to_safetensors` or of torchvision
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
    arrays = {}
    for name, (path, kernel) in zip(CONVOLUTIONS, kernels, strict=True):
        if path.startswith("features."):
            kernel = kernel.transpose(2, 3, 1, 0)
        arrays[name] = (kernel, biases.get(_place(path), np.empty(0)))
    return _checked(arrays)


def some_from_safetensors(data: bytes) -> Arrays:
    """Read the convolutions that `to_safetensors` wrote, be they all or some.

    Raises
    ------
    CorruptError
        When it holds anything else.
    """
    tensors = dict(_safetensors(data))
    names = sorted({name.partition("/")[0] for name in tensors})
    wanted = {f"{name}/{kind}" for name in names for kind in ("kernel", "bias")}
    if set(tensors) != wanted or not set(names) <= set(CONVOLUTIONS):
        raise CorruptError(f"Not kernels and biases of VGG16: {', '.join(sorted(tensors))}.")
    return _checked({name: (tensors[f"{name}/kernel"], tensors[f"{name}/bias"]) for name in names})


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
        arrays = {
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
