"""The network computed by OpenVINO."""

import functools
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import backend
from ..errors import InputError
from .fingerprint import Fingerprint
from .function import FEATURES, POOLS, build_function
from .networks import DEFAULT
from .preprocessing import normalization
from .quantization import find_ranges, quantize_kernel
from .ranges import QUANTIZED, Ranges
from .steps import INPUT, Arrays
from .vgg16 import CONVOLUTIONS

__all__ = ["calibrate", "compile_by_openvino", "has_bfloat16", "is_installed", "require_openvino"]

_BATCH = 8  # images at a time, with all that goes into every layer: 35 MB each at 224 pixels


def is_installed() -> bool:
    """Return whether OpenVINO is there."""
    return importlib.util.find_spec("openvino") is not None


def require_openvino() -> Any:
    """Return the package.

    Raises
    ------
    InputError
        When it is not installed.
    """
    try:
        # openvino_telemetry sends an event on import; block it.
        with backend.block_imports("openvino_telemetry"):
            import openvino
    except ImportError as error:
        raise InputError(
            "The runtime openvino, which alone computes int8, needs the package openvino, which is "
            "not installed. Install it with: pip install 'featx[openvino]'. Or use --precision "
            "float32 and leave --runtime out, for what was not made by it."
        ) from error
    return openvino


@functools.cache
def has_bfloat16() -> bool:
    """Return whether OpenVINO multiplies bfloat16 natively on this processor.

    It is asked itself: with AVX-512 and no bfloat16 it accepts the precision, and emulates it.

    Raises
    ------
    InputError
        When it is not installed.
    """
    openvino = require_openvino()
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def compile_by_openvino(
    arrays: Arrays, fingerprint: Fingerprint, batch: int
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return the network from pixels to the cut and the pools; see `runtime.compile_network`."""
    if fingerprint.trunk.network != DEFAULT:
        return _compile_converted(arrays, fingerprint, batch)
    openvino = require_openvino()
    from openvino import opset13 as ops

    row = fingerprint.trunk.row
    names = row.layers_between(INPUT, row.deepest(fingerprint.trunk.cut, *fingerprint.layers))
    pixels, outputs, _ = _graph(arrays, fingerprint, batch, names)
    found = [ops.transpose(outputs[fingerprint.trunk.cut], [0, 2, 3, 1]).output(0)]
    for name in fingerprint.layers:
        for reduce in (ops.reduce_mean, ops.reduce_max):
            found.append(reduce(outputs[name], [2, 3]).output(0))
    model = openvino.Model(found, [pixels], "vgg16")
    compiled = _compile(model, fingerprint.precision)

    def network(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        result = compiled(block)
        features, *pools = (result[port] for port in range(len(found)))
        return features, np.concatenate(pools, 1) if pools else np.zeros((batch, 0), np.float32)

    return network


def _compile_converted(
    arrays: Arrays, fingerprint: Fingerprint, batch: int
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return a network that OpenVINO itself makes of TensorFlow's function."""
    exact = replace(fingerprint, precision="float32")  # OpenVINO rounds by itself
    function = build_function(arrays, exact, batch).get_concrete_function()
    compiled = _compile(require_openvino().convert_model(function), fingerprint.precision)
    empty = np.zeros((batch, 0), np.float32)

    def network(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        result = compiled(block)
        return result[FEATURES], result[POOLS] if fingerprint.layers else empty

    return network


def calibrate(arrays: Arrays, fingerprint: Fingerprint, pixels: np.ndarray) -> Ranges:
    """Return the ranges for weights that featx has none for, by some images.

    Parameters
    ----------
    arrays : Arrays
    fingerprint : Fingerprint
        Its trunk's preprocessing is taken.
    pixels : ndarray of uint8, shape (n, size, size, 3)
        Some dozens of the images that the features are computed of, at any size.
    """
    openvino = require_openvino()
    trunk = replace(fingerprint.trunk, size=pixels.shape[1])
    exact = replace(fingerprint, trunk=trunk, sizes=(), precision="float32")
    row = fingerprint.trunk.row
    names = row.layers_between(INPUT, row.deepest(*CONVOLUTIONS))
    given, _, inputs = _graph(arrays, exact, _BATCH, names)
    model = openvino.Model([inputs[name] for name in QUANTIZED], [given], "vgg16")
    compiled = _compile(model, "float32")

    def batches() -> Iterator[dict[str, np.ndarray]]:
        for start in range(0, len(pixels), _BATCH):
            some = pixels[start : start + _BATCH]
            padding = np.zeros((_BATCH - len(some), *some.shape[1:]), np.uint8)
            result = compiled(np.concatenate([some, padding]))
            yield {name: result[port][: len(some)] for port, name in enumerate(QUANTIZED)}

    return find_ranges(batches())


def _compile(model: Any, precision: str) -> Any:
    hints = {
        # What is not in integers of an int8 network is float32: the same on every processor.
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",  # one batch at a time, by all cores
    }
    return require_openvino().Core().compile_model(model, "CPU", hints)


def _graph(
    arrays: Arrays, fingerprint: Fingerprint, batch: int, names: Sequence[str]
) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Return the input, what each layer gives, and what goes into each convolution."""
    from openvino import opset13 as ops

    ranges = {}
    if fingerprint.precision == "int8":
        if fingerprint.ranges is None:
            raise InputError(
                "featx has no ranges of the activations for these weights, which int8 needs. "
                "Extract with --precision int8, which finds them, or use --precision float32."
            )
        ranges = fingerprint.ranges.layers()
    order, scale, offset = normalization(fingerprint.trunk.preprocessing)
    size = fingerprint.trunk.size
    pixels = ops.parameter([batch, size, size, 3], np.uint8, name="pixels")
    x = ops.convert(pixels, np.float32)
    x = ops.add(ops.multiply(x, np.array(scale, np.float32)), np.array(offset, np.float32))
    x = ops.transpose(x, [0, 3, 1, 2]).output(0)
    one, none = [1, 1], [0, 0]
    outputs, inputs = {INPUT: x}, {}
    after = dict(zip([*CONVOLUTIONS], [*CONVOLUTIONS][1:], strict=False))
    exact = x
    for name in names:
        if name.endswith("_pool"):
            # Rounding and taking the maximum commute, and integers are pooled sooner.
            exact, x = (
                ops.max_pool(some, [2, 2], one, none, none, [2, 2]).output(0) for some in (exact, x)
            )
            outputs[name] = exact
            continue
        inputs[name] = x
        kernel, bias = arrays[name]
        if name == "block1_conv1":
            kernel = kernel[:, :, order]
        weights = _weights(ops, kernel, ranges.get(name))
        x = ops.add(ops.convolution(x, weights, one, one, one, one), bias.reshape(1, -1, 1, 1))
        exact = x = outputs[name] = ops.relu(x).output(0)
        following = after.get(name)
        if following in ranges and following in names:
            most = ranges[following].reshape(1, -1, 1, 1)
            zero, whole = np.float32(0), np.float32(1)
            x = ops.fake_quantize(x, zero, most, zero, whole, 256).output(0)
    return pixels, outputs, inputs


def _weights(ops: Any, kernel: np.ndarray, ranges: np.ndarray | None) -> Any:
    """Return a kernel (3, 3, in, out) as OpenVINO has it, in integers where there are ranges."""
    if ranges is None:
        return ops.constant(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)))
    whole, step = quantize_kernel(kernel, ranges)
    constant = ops.constant(np.ascontiguousarray(whole.transpose(3, 2, 0, 1)))
    return ops.multiply(ops.convert(constant, np.float32), step.reshape(-1, 1, 1, 1))
