"""The network computed by OpenVINO, an extra."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import backend
from ..errors import InputError
from .fingerprint import TrunkFingerprint
from .layers import INPUT, Arrays, deepest, layers_between
from .preprocessing import normalization

__all__ = ["compile_by_openvino", "has_bfloat16"]


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


@functools.cache
def has_bfloat16() -> bool:
    """Return whether OpenVINO multiplies bfloat16 natively on this processor.

    It is asked itself: with AVX-512 and no bfloat16 it accepts the precision, and emulates it.

    Raises
    ------
    InputError
        When it is not installed.
    """
    openvino = _import_openvino()
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def compile_by_openvino(
    arrays: Arrays,
    fingerprint: TrunkFingerprint,
    precision: str,
    batch: int,
    pooled: Sequence[str],
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return the network from pixels to the cut and the pools; see `runtime.compile_network`."""
    openvino = _import_openvino()
    from openvino import opset13 as ops

    if precision == "bfloat16" and not has_bfloat16():
        raise InputError(
            "OpenVINO computes in bfloat16 only on processors that have it, and this one has not. "
            "Use --runtime tensorflow, which emulates it, or --precision float32."
        )

    order, scale, offset = normalization(fingerprint.preprocessing)
    size = fingerprint.size
    pixels = ops.parameter([batch, size, size, 3], np.uint8, name="pixels")
    x = ops.convert(pixels, np.float32)
    x = ops.add(ops.multiply(x, np.array(scale, np.float32)), np.array(offset, np.float32))
    x = ops.transpose(x, [0, 3, 1, 2])
    one, none = [1, 1], [0, 0]
    outputs = {INPUT: x}
    for name in layers_between(INPUT, deepest(fingerprint.cut, *pooled)):
        if name.endswith("_pool"):
            x = outputs[name] = ops.max_pool(x, [2, 2], one, none, none, [2, 2]).output(0)
            continue
        kernel, bias = arrays[name]
        if name == "block1_conv1":
            kernel = kernel[:, :, order]
        kernel = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
        x = ops.convolution(x, kernel, one, one, one, one)
        x = outputs[name] = ops.relu(ops.add(x, bias.reshape(1, -1, 1, 1)))
    found = [ops.transpose(outputs[fingerprint.cut], [0, 2, 3, 1])]
    for name in pooled:
        found += [reduce(outputs[name], [2, 3]) for reduce in (ops.reduce_mean, ops.reduce_max)]
    model = openvino.Model(found, [pixels], "vgg16")
    hints = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",  # one batch at a time, by all cores
    }
    compiled = openvino.Core().compile_model(model, "CPU", hints)

    def network(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        result = compiled(block)
        features, *pools = (result[port] for port in range(len(found)))
        return features, np.concatenate(pools, 1) if pools else np.zeros((batch, 0), np.float32)

    return network
