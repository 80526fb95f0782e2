"""A ``.tflite`` file for LiteRT, with JSON and labels in a ZIP archive that is appended to it."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from .. import backend
from ..network.quantization import quantize_kernel
from .about import INPUT, NAME, OUTPUT, About, Run, as_json

__all__ = ["load_tflite", "write_tflite"]


def write_tflite(network: Any, about: About, path: Path, quantize: str | None) -> None:
    """Write a network, with its weights in float16 or 8-bit integers if that is asked for.

    With int8, the kernels of the network are whole numbers of steps afterwards.

    Only operators that every LiteRT has are used: those of TensorFlow need another library there.
    """
    tf, keras = backend.tensorflow(), backend.keras()
    target: dict[str, Any] = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    if quantize == "int8":
        _balance_kernels(network)
    if quantize == "float16":
        target["supported_types"] = [tf.float16]
    keras.Model(network.input, {OUTPUT: network.output}).export(
        path,
        format="litert",
        verbose=False,
        target_spec=target,
        optimizations=[tf.lite.Optimize.DEFAULT] if quantize else [],
    )
    # Readers of the model stop at its end, and those of ZIP archives begin there.
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as files:
        files.writestr(f"{NAME}.json", as_json(about))
        files.writestr("labels.txt", "".join(f"{_line(name)}\n" for name in about["classes"]))
    path.write_bytes(path.read_bytes() + archive.getvalue())


def _balance_kernels(network: Any) -> None:
    """Round kernels so that the errors of a patch cancel out; the converter then changes none.

    Its own rounding is to the nearest step, whose errors add up over neighbouring positions.
    """
    for layer in network.layers:
        if hasattr(layer, "layers"):
            _balance_kernels(layer)
        elif isinstance(layer, backend.keras().layers.Conv2D):
            kernel, bias = layer.get_weights()
            whole, step = quantize_kernel(kernel, np.ones(kernel.shape[2], np.float32))
            layer.set_weights([whole * step, bias])


def _line(name: str) -> str:
    return " ".join(name.splitlines())


def load_tflite(path: Path) -> Run:
    """Return what runs a file by LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    run = interpreter.get_signature_runner("serving_default")
    return lambda pixels: run(**{INPUT: pixels})[OUTPUT]
