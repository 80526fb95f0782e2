"""The layers of VGG16 (Simonyan and Zisserman 2014): names, shapes, and how to apply them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import backend
from ..errors import InputError, one_of

__all__ = [
    "CONVOLUTIONS",
    "INPUT",
    "LAYERS",
    "MAX_SIZE",
    "Arrays",
    "apply_layers",
    "cut_shape",
    "deepest",
    "layer_outputs",
    "layers_between",
    "pool_channels",
]

#: The weights of convolutions: layer → (kernel (3, 3, in, out) float32, bias (out,) float32).
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
    scale, channels = one_of("layer", cut, LAYERS)
    if not 32 <= size <= MAX_SIZE or size % 32:
        raise InputError(
            f"The size {size} is not a multiple of 32 up to {MAX_SIZE}. Expected 224, 256, 320 …"
        )
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


def deepest(*names: str) -> str:
    """Return the last of some layers, in the order of the network."""
    return max(names, key=list(LAYERS).index)


def apply_layers(x: Any, names: Iterable[str], arrays: Arrays, dtype: Any) -> Any:
    """Send a Keras tensor through layers of VGG16, and return what the last gives.

    See `layer_outputs`.
    """
    return list(layer_outputs(x, names, arrays, dtype).values())[-1]


def layer_outputs(x: Any, names: Iterable[str], arrays: Arrays, dtype: Any) -> dict[str, Any]:
    """Send a Keras tensor through layers of VGG16 with these weights, and return what each gives.

    The tensor itself is there too, as `INPUT`: a cut can be before the first layer.

    Parameters
    ----------
    x : KerasTensor, shape (batch, height, width, channels)
    names : iterable of str
        Keys of `LAYERS`, in order.
    arrays : Arrays
    dtype : str or keras.DTypePolicy
        Precision of the layers.
    """
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


def pool_channels(outputs: Mapping[str, Any], names: Sequence[str], batch: int) -> Any:
    """Return mean and maximum of each channel over the positions, layer by layer, side by side.

    Parameters
    ----------
    outputs : mapping of str to Tensor, shape (batch, height, width, channels)
        In any precision; sums are float32.
    names : sequence of str
        Which of them are pooled, in order.
    batch : int

    Returns
    -------
    Tensor of float32, shape (batch, columns)
    """
    tf = backend.tensorflow()
    pools = [
        reduce(tf.cast(outputs[name], tf.float32), (1, 2))
        for name in names
        for reduce in (tf.reduce_mean, tf.reduce_max)
    ]
    return tf.concat(pools, 1) if pools else tf.zeros((batch, 0))
