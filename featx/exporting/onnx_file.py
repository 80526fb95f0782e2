"""An ``.onnx`` file: by Keras's exporter and tf2onnx, with names that say what is what."""

import os
import warnings
from pathlib import Path
from typing import Any

from .. import backend
from .about import INPUT, NAME, OUTPUT, About, Run, as_json

__all__ = ["load_onnx", "write_onnx"]


def write_onnx(network: Any, about: About, path: Path, quantize: str | None) -> None:
    """Write a network; `quantize` plays no part."""
    import onnx

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tf2onnx about NumPy
        keras = backend.keras()
        shape, dtype = network.input_shape, network.input.dtype
        taken = keras.InputSpec(shape=shape, dtype=dtype, name=INPUT)
        network.export(path, format="onnx", verbose=False, input_signature=[taken])
    made = onnx.load(path)
    graph = made.graph
    _rename(graph, graph.input[0].name, INPUT)
    _rename(graph, graph.output[0].name, OUTPUT)
    for value in (graph.input[0], graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    graph.name = NAME
    onnx.helper.set_model_props(made, {NAME: as_json(about)})
    onnx.checker.check_model(made)
    onnx.save(made, path)


def _rename(graph: Any, old: str, new: str) -> None:
    """Rename a tensor wherever it stands."""
    for value in (*graph.input, *graph.output):
        value.name = new if value.name == old else value.name
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]


def load_onnx(path: Path) -> Run:
    """Return what runs a file by ONNX Runtime, on the processor."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it keeps a database otherwise
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda pixels: session.run([OUTPUT], {INPUT: pixels})[0]
