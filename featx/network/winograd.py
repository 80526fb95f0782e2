"""3×3 convolutions with a quarter of the multiplications, by Winograd's minimal filtering.

Each tile of 4×4 outputs is made from 6×6 inputs: these and the kernel are transformed by constant
matrices, multiplied one by one (summed over channels: 36 matrix products), and transformed back.
36 multiplications do what took 144. It is F(4×4, 3×3) of Lavin and Gray, "Fast Algorithms for
Convolutional Neural Networks" (2016), with their matrices for the points 0, ±1, ±2.
"""

import functools
import itertools
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from .. import backend
from .fingerprint import Fingerprint
from .preprocessing import normalize
from .steps import INPUT, Arrays

__all__ = ["TILE", "compile_by_winograd", "convolve", "transform_kernel"]

#: Outputs a side of a tile.
TILE = 4

_KERNEL = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    np.float32,
)


def transform_kernel(kernel: np.ndarray) -> np.ndarray:
    """Return a kernel as `convolve` takes it.

    Parameters
    ----------
    kernel : ndarray of float32, shape (3, 3, in, out)

    Returns
    -------
    ndarray of float32, shape (36, in, out)
    """
    rows = np.tensordot(_KERNEL, kernel, 1)
    return np.tensordot(_KERNEL, rows, ([1], [1])).reshape(36, *kernel.shape[2:])


def convolve(x: Any, kernel: Any, bias: Any) -> Any:
    """Return the rectified convolution of equal padding, as operations of TensorFlow.

    Parameters
    ----------
    x : Tensor of float32, shape (n, height, width, in)
        All known but the values.
    kernel : Tensor of float32, shape (36, in, out)
        From `transform_kernel`.
    bias : Tensor of float32, shape (out,)

    Returns
    -------
    Tensor of float32, shape (n, height, width, out)
    """
    tf = backend.tensorflow()
    n, height, width, channels = x.shape
    rows, columns = -(-height // TILE), -(-width // TILE)
    down, across = TILE * rows, TILE * columns
    x = tf.pad(x, [[0, 0], [1, down - height + 1], [1, across - width + 1], [0, 0]])
    # Every TILEth row from the first, from the second, … and then columns likewise.
    x = _inputs([x[:, i : i + down - 3 : TILE] for i in range(6)])
    x = _inputs([x[:, :, :, i : i + across - 3 : TILE] for i in range(6)])
    x = tf.matmul(tf.reshape(x, (36, -1, channels)), kernel)
    x = tf.reshape(x, (6, 6, n, rows, columns, -1))
    x = _outputs(tf.unstack(x))
    x = _outputs(tf.unstack(x, axis=1))
    x = tf.transpose(x, (2, 3, 0, 4, 1, 5))  # rows of a tile beside its row, columns likewise
    x = tf.reshape(x, (n, down, across, -1))[:, :height, :width]
    return tf.nn.relu(x + bias)


def _inputs(x: list[Any]) -> Any:
    """Transform six inputs in a row to six factors."""
    even, odd = x[4] - 4 * x[2], x[3] - 4 * x[1]
    near, far = x[4] - x[2], 2 * (x[3] - x[1])
    first, last = 4 * (x[0] - x[2]) + near, 4 * x[1] - 5 * x[3] + x[5]
    factors = [first, even + odd, even - odd, near + far, near - far, last]
    return backend.tensorflow().stack(factors)


def _outputs(x: list[Any]) -> Any:
    """Transform six products in a row to four outputs."""
    one, less_one = x[1] + x[2], x[1] - x[2]
    two, less_two = x[3] + x[4], x[3] - x[4]
    first, last = x[0] + one + two, less_one + 8 * less_two + x[5]
    outputs = [first, less_one + 2 * less_two, one + 4 * two, last]
    return backend.tensorflow().stack(outputs)


# The network ---------------------------------------------------------------------------------

#: Tiles convolved at a time, about: what is made of them should stay in the processor's caches.
_TILES = 256


def compile_by_winograd(
    arrays: Arrays, fingerprint: Fingerprint, batch: int
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return the network from pixels to the cut and the pools; see `runtime.compile_network`."""
    tf, trunk, pooled = backend.tensorflow(), fingerprint.trunk, fingerprint.layers
    normalized, direct, quick, pool, reduce = (
        tf.function(function, jit_compile=True)
        for function in (
            lambda x: normalize(tf.cast(x, tf.float32), trunk.preprocessing),
            lambda x, kernel, bias: tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME") + bias),
            convolve,
            lambda x: tf.nn.max_pool2d(x, 2, 2, "VALID"),
            lambda x: tf.concat([tf.reduce_mean(x, (1, 2)), tf.reduce_max(x, (1, 2))], 1),
        )
    )
    names = trunk.row.layers_between(INPUT, trunk.row.deepest(trunk.cut, *pooled))
    layers: dict[str, Callable[[Any], Any]] = dict.fromkeys(names, pool)
    for name in layers.keys() & arrays.keys():
        kernel, bias = arrays[name]
        # In the first block the transforms cost more than the multiplications that they save.
        if name.startswith("block1"):
            layers[name] = functools.partial(direct, kernel=tf.constant(kernel), bias=bias)
        else:
            kernel = tf.constant(transform_kernel(kernel))
            layers[name] = functools.partial(quick, kernel=kernel, bias=bias)
    blocks = [list(some) for _, some in itertools.groupby(names, lambda name: name[:6])]

    def through(block: list[str], x: Any) -> dict[str, Any]:
        kept = {}
        for name in block:
            x = layers[name](x)
            if name in pooled:
                kept[f"pools of {name}"] = reduce(x)
            if name in (trunk.cut, block[-1]):
                kept[name] = x
        return kept

    def network(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = normalized(tf.constant(pixels))
        found: dict[str, Any] = {INPUT: x}
        for block in blocks:
            tiles = math.ceil(x.shape[1] / TILE) ** 2
            few = 1 << max(0, (_TILES // tiles).bit_length() - 1)  # a power of 2 divides the batch
            parts = [x[i : i + few] for i in range(0, batch, few)]
            done = list(_workers().map(functools.partial(through, block), parts))
            kept = {name: tf.concat([part[name] for part in done], 0) for name in done[0]}
            x = kept[block[-1]]
            found |= {name: kept[name] for name in kept if name != block[-1]}
            if trunk.cut in kept:
                found[trunk.cut] = kept[trunk.cut]
        pools = [found[f"pools of {name}"].numpy() for name in pooled]
        empty = np.zeros((batch, 0), np.float32)
        return found[trunk.cut].numpy(), np.concatenate([empty, *pools], 1)

    return network


@functools.cache
def _workers() -> ThreadPoolExecutor:
    """Return two threads for all networks of the process: while one waits, the other computes."""
    return ThreadPoolExecutor(2, "featx-winograd")
