"""The same convolutions in other runtimes: pixels uint8 (n, size, size, 3) → block5_pool.

Each function returns one that takes a batch; what it does at first use is part of its start.
"""

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from featx.network.networks import get_network
from featx.network.preprocessing import normalization
from featx.network.steps import INPUT, Arrays
from featx.network.weights import Weights

__all__ = [
    "keras_model",
    "onnx_model",
    "onnxruntime",
    "onnxruntime_int8",
    "pytorch",
    "pytorch_int8",
]

Network = Callable[[np.ndarray], np.ndarray]
_NAMES = get_network("vgg16").layers_between(INPUT, "block5_pool")


def _arrays(weights: Weights) -> Arrays:
    """Return the weights for channels in the order of RGB."""
    arrays = dict(weights.arrays())
    order, _, _ = normalization(weights.preprocessing)
    kernel, bias = arrays["block1_conv1"]
    arrays["block1_conv1"] = (kernel[:, :, order], bias)
    return arrays


def keras_model(weights: Weights, size: int) -> object:
    """Return `keras.applications.VGG16` without its top, with these weights."""
    import keras

    _, scale, offset = normalization(weights.preprocessing)
    network = keras.applications.VGG16(include_top=False, weights=None, input_shape=(size, size, 3))
    for name, pair in _arrays(weights).items():
        network.get_layer(name).set_weights(list(pair))
    pixels = keras.Input((size, size, 3))
    return keras.Model(pixels, network(keras.layers.Rescaling(scale, offset)(pixels)))


def _modules(weights: Weights) -> list[Any]:
    """Return the layers as PyTorch's modules."""
    import torch

    layers: list[Any] = []
    arrays = _arrays(weights)
    for name in _NAMES:
        if name.endswith("pool"):
            layers.append(torch.nn.MaxPool2d(2))
            continue
        kernel, bias = arrays[name]
        layer = torch.nn.Conv2d(kernel.shape[2], kernel.shape[3], 3, padding=1)
        layer.weight.data = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
        layer.bias.data = torch.from_numpy(bias.copy())
        layers += [layer, torch.nn.ReLU(inplace=True)]
    return layers


def pytorch(weights: Weights, precision: str) -> Network:
    """Return PyTorch's convolutions, channels last, in inference mode."""
    import torch

    _, scale, offset = normalization(weights.preprocessing)
    layers = _modules(weights)
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    network = torch.nn.Sequential(*layers).eval().to(dtype, memory_format=torch.channels_last)
    factor, shift = torch.tensor(scale), torch.tensor(offset)

    def features(pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            batch = torch.from_numpy(pixels).float() * factor + shift
            batch = batch.permute(0, 3, 1, 2).to(dtype, memory_format=torch.channels_last)
            return network(batch).float().permute(0, 2, 3, 1).numpy()

    return features


def pytorch_int8(weights: Weights, pixels: np.ndarray) -> Network:
    """Return PyTorch's own static quantisation, calibrated by some images."""
    import torch
    from torch.ao import quantization

    _, scale, offset = normalization(weights.preprocessing)
    factor, shift = torch.tensor(scale), torch.tensor(offset)
    torch.backends.quantized.engine = "onednn"
    layers = [quantization.QuantStub(), *_modules(weights), quantization.DeQuantStub()]
    network = torch.nn.Sequential(*layers).eval()
    convolutions = [i for i, one in enumerate(layers) if isinstance(one, torch.nn.Conv2d)]
    pairs = [[str(i), str(i + 1)] for i in convolutions]
    network = quantization.fuse_modules(network, pairs)
    network.qconfig = quantization.get_default_qconfig("onednn")

    def prepared(some: np.ndarray) -> Any:
        batch = torch.from_numpy(some).float() * factor + shift
        return batch.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)

    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        observed = quantization.prepare(network)
        observed(prepared(pixels))
        quantized = quantization.convert(observed)

    def features(some: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return quantized(prepared(some)).permute(0, 2, 3, 1).numpy()

    return features


def onnx_model(weights: Weights) -> bytes:
    """Return an ONNX file, from float32 RGB (n, height, width, 3) to (n, height, width, 512)."""
    from onnx import TensorProto, helper, numpy_helper

    _, scale, offset = normalization(weights.preprocessing)
    arrays = _arrays(weights)
    constants = {"scale": np.array(scale, np.float32), "offset": np.array(offset, np.float32)}
    nodes = [
        helper.make_node("Mul", ["pixels", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["normalised"]),
        helper.make_node("Transpose", ["normalised"], ["input"], perm=[0, 3, 1, 2]),
    ]
    last = "input"
    for name in _NAMES:
        if name.endswith("pool"):
            sides = {"kernel_shape": [2, 2], "strides": [2, 2]}
            nodes.append(helper.make_node("MaxPool", [last], [name], **sides))
        else:
            kernel, bias = arrays[name]
            constants[f"{name}.weight"] = kernel.transpose(3, 2, 0, 1).copy()
            constants[f"{name}.bias"] = bias
            inputs = [last, f"{name}.weight", f"{name}.bias"]
            sides = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
            nodes.append(helper.make_node("Conv", inputs, [f"{name}.sum"], **sides))
            nodes.append(helper.make_node("Relu", [f"{name}.sum"], [name]))
        last = name
    nodes.append(helper.make_node("Transpose", [last], ["features"], perm=[0, 2, 3, 1]))
    graph = helper.make_graph(
        nodes,
        "vgg16",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", "height", "width", 3])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", "h", "w", 512])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()


def onnxruntime(weights: Weights) -> Network:
    """Return ONNX Runtime's session on the processor."""
    import onnxruntime as runtime

    session = runtime.InferenceSession(onnx_model(weights), providers=["CPUExecutionProvider"])
    return lambda pixels: session.run(None, {"pixels": pixels.astype(np.float32)})[0]


def onnxruntime_int8(weights: Weights, pixels: np.ndarray) -> Network:
    """Return ONNX Runtime's own static quantisation, calibrated by some images."""
    import onnxruntime as runtime
    from onnxruntime import quantization

    class Images(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self._left = iter(np.split(pixels.astype(np.float32), len(pixels) // 8))

        def get_next(self) -> dict[str, np.ndarray] | None:
            some = next(self._left, None)
            return None if some is None else {"pixels": some}

    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "float32.onnx", Path(folder) / "int8.onnx"
        given.write_bytes(onnx_model(weights))
        quantization.quantize_static(
            given, made, Images(), quant_format=quantization.QuantFormat.QDQ, per_channel=True
        )
        session = runtime.InferenceSession(made, providers=["CPUExecutionProvider"])
    return lambda some: session.run(None, {"pixels": some.astype(np.float32)})[0]
