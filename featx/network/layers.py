"""VGG16's layers (Simonyan and Zisserman 2014), and its convolutions as arrays from files.

Arrays are a dict: layer name → (kernel (3, 3, in, out) float32, bias (out,) float32).
"""

import io
import pickle
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from .. import backend
from ..errors import CorruptError, InputError
from ..storage import hdf5

__all__ = [
    "CONVOLUTIONS",
    "INPUT",
    "LAYERS",
    "MAX_SIZE",
    "Arrays",
    "apply_layers",
    "cut_shape",
    "from_checkpoint",
    "from_file",
    "layers_between",
    "random_arrays",
    "some_from_safetensors",
    "to_safetensors",
]

Arrays = dict[str, tuple[np.ndarray, np.ndarray]]

_BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))  # convolutions, channels

#: Pixels a side, at most: one image fills gigabytes in the first layers then.
MAX_SIZE = 4096

#: Normalised pixels: what stands before the first layer.
INPUT = "input"

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


def cut_shape(cut: str, size: int) -> tuple[int, int, int]:
    """Return the shape of the features at a layer for square images.

    Raises
    ------
    InputError
        When VGG16 has no such layer, or `size` does not go through it.

    Examples
    --------
    >>> cut_shape("block5_pool", 224)
    (7, 7, 512)
    """
    if cut not in LAYERS:
        raise InputError(f"Unknown layer {cut!r}. Expected one of {', '.join(LAYERS)}.")
    if not 32 <= size <= MAX_SIZE or size % 32:
        raise InputError(
            f"The size {size} is not a multiple of 32 up to {MAX_SIZE}. Expected 224, 256, 320 …"
        )
    scale, channels = LAYERS[cut]
    return size // scale, size // scale, channels


def layers_between(after: str, until: str) -> list[str]:
    """Return the names of the layers after one, up to and with another.

    Examples
    --------
    >>> layers_between("block5_conv1", "block5_pool")
    ['block5_conv2', 'block5_conv3', 'block5_pool']
    """
    names = list(LAYERS)
    return names[names.index(after) + 1 : names.index(until) + 1]


def apply_layers(x: Any, names: Iterable[str], arrays: Arrays, dtype: Any) -> Any:
    """Send a Keras tensor through layers of VGG16 with these weights, and return what comes out.

    Parameters
    ----------
    x : KerasTensor, shape (batch, height, width, channels)
    names : iterable of str
        Keys of `LAYERS`, in order.
    arrays : Arrays
    dtype : str or keras.DTypePolicy
        In which the layers compute.
    """
    layers = backend.keras().layers
    for name in names:
        if name.endswith("_pool"):
            x = layers.MaxPooling2D(2, name=name, dtype=dtype)(x)
            continue
        layer = layers.Conv2D(
            LAYERS[name][1], 3, padding="same", activation="relu", name=name, dtype=dtype
        )
        x = layer(x)
        layer.set_weights(arrays[name])
    return x


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
    from safetensors.numpy import save

    named = {}
    for name, (kernel, bias) in arrays.items():
        named[f"{name}/kernel"] = np.ascontiguousarray(kernel)
        named[f"{name}/bias"] = np.ascontiguousarray(bias)
    return save(named)


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
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors: Iterable[tuple[str, np.ndarray]] = load(data).items()
    except (SafetensorError, KeyError, ValueError) as error:
        raise CorruptError(f"Neither an HDF5 nor a safetensors weights file: {error}") from error
    return list(tensors)


def _place(path: str) -> str:
    """Return what the names of a layer's kernel and bias have in common."""
    return re.sub(r"(/vars/\d+|[./](weight|bias|kernel)|_[Wb]_1:0|/(kernel|bias):0)$", "", path)


def _natural(path: str) -> list[int | str]:
    """Sort key by which ``conv2d`` comes before ``conv2d_1`` and that before ``conv2d_10``."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path)]
