"""What computes the frozen network: TensorFlow, with or without Winograd's algorithm, or OpenVINO.

The only place that knows how pixels are normalised.
"""

import functools
import itertools
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from .. import backend
from ..errors import InputError
from . import hardware, winograd
from . import layers as vgg16
from .fingerprint import TrunkFingerprint

__all__ = ["RUNTIMES", "choose_runtime", "compile_network", "normalization"]

RUNTIMES = ("auto", "tensorflow", "winograd", "openvino")

#: uint8 (batch, size, size, 3) → float32 (batch, height, width, channels).
Network = Callable[[np.ndarray], np.ndarray]

# Channel means of ImageNet. Caffe's are those of BGR in 0..255, torchvision's those of RGB in
# 0..1, with their deviations (keras.applications.imagenet_utils gives both).
_CAFFE_MEAN = (103.939, 116.779, 123.68)
_TORCH_MEAN = (0.485, 0.456, 0.406)
_TORCH_DEVIATION = (0.229, 0.224, 0.225)


def choose_runtime(
    wanted: str,
    before: str | None = None,
    *,
    precision: str = "auto",
    size: int = 224,
    images: float = math.inf,
) -> str:
    """Return "tensorflow", "winograd" or "openvino".

    "auto" is what was used before. Else it is Winograd's algorithm where it was measured to be the
    quickest: in float32 on a processor with AVX2, but without AVX-512 and a GPU, for 64 and more
    images of 128 and more pixels a side; fewer do not pay for compiling. Else it is TensorFlow.

    Parameters
    ----------
    wanted : str
        One of `RUNTIMES`.
    before : str, optional
    precision : {"auto", "float32", "bfloat16"}
    size : int
        Of the images, pixels a side.
    images : float
        How many there are.

    Raises
    ------
    InputError
        When `wanted` is none of `RUNTIMES`.
    """
    if wanted not in RUNTIMES:
        raise InputError(f"Unknown runtime {wanted!r}. Expected one of {', '.join(RUNTIMES)}.")
    if wanted != "auto":
        return wanted
    if before:
        return before
    flags = hardware.cpu_flags()
    plain = "avx2" in flags and "avx512f" not in flags
    pays = precision != "bfloat16" and size >= 128 and images >= 64
    return "winograd" if plain and pays and not hardware.has_gpu() else "tensorflow"


def compile_network(
    chosen: str, arrays: vgg16.Arrays, fingerprint: TrunkFingerprint, precision: str, batch: int
) -> Network:
    """Return the network from pixels to the cut, compiled for batches of one size.

    Parameters
    ----------
    chosen : {"tensorflow", "winograd", "openvino"}
    arrays : Arrays
        The weights of the convolutions.
    fingerprint : TrunkFingerprint
    precision : {"float32", "bfloat16"}
        In which it computes.
    batch : int

    Raises
    ------
    InputError
        When the runtime is not installed, or does not compute in that precision on this machine.
    """
    makers = {
        "tensorflow": _by_tensorflow,
        "winograd": _by_winograd,
        "openvino": _by_openvino,
    }
    return makers[chosen](arrays, fingerprint, precision, batch)


def normalization(preprocessing: str) -> tuple[list[int], list[float], list[float]]:
    """Return how RGB in 0..255 is normalised, as plain numbers.

    Returns
    -------
    order, scale, offset : list
        The normalised image is ``scale * rgb + offset``, both a number a channel; `order` is for
        each RGB channel the input channel of the first kernel that it goes to.
    """
    if preprocessing == "caffe":
        return [2, 1, 0], [1.0] * 3, [-mean for mean in _CAFFE_MEAN[::-1]]
    scale = [1 / (255 * deviation) for deviation in _TORCH_DEVIATION]
    shares = zip(_TORCH_MEAN, _TORCH_DEVIATION, strict=True)
    return [0, 1, 2], scale, [-mean / deviation for mean, deviation in shares]


# TensorFlow ---------------------------------------------------------------------------------


def _by_tensorflow(
    arrays: vgg16.Arrays, fingerprint: TrunkFingerprint, precision: str, batch: int
) -> Network:
    tf, keras = backend.tensorflow(), backend.keras()
    size = fingerprint.size
    pixels = keras.Input((size, size, 3), dtype="uint8")
    x = _preprocess(keras.ops.cast(pixels, "float32"), fingerprint.preprocessing)
    names = vgg16.layers_between(vgg16.INPUT, fingerprint.cut)
    x = vgg16.apply_layers(keras.ops.cast(x, precision), names, arrays, precision)
    model = keras.Model(pixels, x, trainable=False)

    @tf.function(input_signature=[tf.TensorSpec((batch, size, size, 3), tf.uint8)])
    def features(block: Any) -> Any:
        return tf.cast(model(block, training=False), tf.float32)

    return lambda block: features(block).numpy()


def _preprocess(pixels: Any, preprocessing: str) -> Any:
    """Normalise RGB float32 in 0..255 as the weights were trained."""
    if preprocessing == "caffe":
        return pixels[..., ::-1] - np.array(_CAFFE_MEAN, np.float32)
    mean = 255 * np.array(_TORCH_MEAN, np.float32)
    deviation = 255 * np.array(_TORCH_DEVIATION, np.float32)
    return (pixels - mean) / deviation


# Winograd's algorithm -------------------------------------------------------------------------

#: Tiles convolved at a time, about: what is made of them should stay in the processor's caches.
_TILES = 256


def _by_winograd(
    arrays: vgg16.Arrays, fingerprint: TrunkFingerprint, precision: str, batch: int
) -> Network:
    if precision != "float32":
        raise InputError(
            f"The runtime winograd computes in float32 and not in {precision}. "
            "Use --runtime tensorflow, or --precision float32."
        )
    tf = backend.tensorflow()
    normalize, direct, quick, pool = (
        tf.function(function, jit_compile=True)
        for function in (
            lambda x: _preprocess(tf.cast(x, tf.float32), fingerprint.preprocessing),
            lambda x, kernel, bias: tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME") + bias),
            winograd.convolve,
            lambda x: tf.nn.max_pool2d(x, 2, 2, "VALID"),
        )
    )
    names = vgg16.layers_between(vgg16.INPUT, fingerprint.cut)
    layers: dict[str, Callable[[Any], Any]] = dict.fromkeys(names, pool)
    for name in layers.keys() & arrays.keys():
        kernel, bias = arrays[name]
        # In the first block the transforms cost more than the multiplications that they save.
        if name.startswith("block1"):
            layers[name] = functools.partial(direct, kernel=tf.constant(kernel), bias=bias)
        else:
            kernel = tf.constant(winograd.transform_kernel(kernel))
            layers[name] = functools.partial(quick, kernel=kernel, bias=bias)
    blocks = [list(some) for _, some in itertools.groupby(names, lambda name: name[:6])]

    # While one waits for the last thread of a layer, the other's work goes on.
    workers = ThreadPoolExecutor(2)

    def through(block: list[str], x: Any) -> Any:
        for name in block:
            x = layers[name](x)
        return x

    def network(pixels: np.ndarray) -> np.ndarray:
        x = normalize(tf.constant(pixels))
        for block in blocks:
            tiles = math.ceil(x.shape[1] / winograd.TILE) ** 2
            few = 1 << max(0, (_TILES // tiles).bit_length() - 1)  # a power of 2 divides the batch
            parts = [x[i : i + few] for i in range(0, batch, few)]
            x = tf.concat(list(workers.map(functools.partial(through, block), parts)), 0)
        return np.asarray(x.numpy())

    return network


# OpenVINO -----------------------------------------------------------------------------------


def _import_openvino() -> Any:
    try:
        # openvino_telemetry sends an event on import; block it.
        with backend.block_imports("openvino_telemetry"):
            import openvino
    except ImportError as error:
        raise InputError(
            "The runtime openvino needs the package openvino, which is not installed. Install it "
            "with: pip install 'featx[openvino]', or take the runtime tensorflow."
        ) from error
    return openvino


def _by_openvino(
    arrays: vgg16.Arrays, fingerprint: TrunkFingerprint, precision: str, batch: int
) -> Network:
    openvino = _import_openvino()
    from openvino import opset13 as ops

    order, scale, offset = normalization(fingerprint.preprocessing)
    size = fingerprint.size
    pixels = ops.parameter([batch, size, size, 3], np.uint8, name="pixels")
    x = ops.convert(pixels, np.float32)
    x = ops.add(ops.multiply(x, np.array(scale, np.float32)), np.array(offset, np.float32))
    x = ops.transpose(x, [0, 3, 1, 2])
    one, none = [1, 1], [0, 0]
    for name in vgg16.layers_between(vgg16.INPUT, fingerprint.cut):
        if name.endswith("_pool"):
            x = ops.max_pool(x, [2, 2], one, none, none, [2, 2]).output(0)
            continue
        kernel, bias = arrays[name]
        if name == "block1_conv1":
            kernel = kernel[:, :, order]
        kernel = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
        x = ops.convolution(x, kernel, one, one, one, one)
        x = ops.relu(ops.add(x, bias.reshape(1, -1, 1, 1)))
    model = openvino.Model([ops.transpose(x, [0, 2, 3, 1])], [pixels], "vgg16")
    hints = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",  # one batch at a time, by all cores
    }
    network = openvino.Core().compile_model(model, "CPU", hints)
    actual = network.get_property("INFERENCE_PRECISION_HINT")
    if precision == "bfloat16" and actual != openvino.Type.bf16:
        raise InputError(
            "OpenVINO computes in bfloat16 only on processors that have it, and this one has not. "
            "Use --runtime tensorflow, which does without, or --precision float32."
        )
    return lambda block: network(block)[0]
