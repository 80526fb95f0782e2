"""A SavedModel: TensorFlow's folder, with JSON in the place that it keeps for such files."""

from pathlib import Path
from typing import Any

import numpy as np

from .. import backend
from .about import INPUT, NAME, OUTPUT, About, Run, as_json

__all__ = ["IS_ONE", "load_saved_model", "write_saved_model"]

#: The file that makes a folder a SavedModel.
IS_ONE = "saved_model.pb"


def write_saved_model(network: Any, about: About, path: Path, quantize: str | None) -> None:
    """Write a network as a folder; `quantize` plays no part.

    It is a module of TensorFlow: Keras's exporter writes every weight twice.
    """
    tf = backend.tensorflow()
    taken = tf.TensorSpec(network.input_shape, network.input.dtype, INPUT)

    def serve(images: Any) -> dict[str, Any]:
        return {OUTPUT: network(images, training=False)}

    module = tf.Module(NAME)
    module.weights = [variable.value for variable in network.variables]
    module.serve = tf.function(serve, input_signature=[taken])
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.serve})
    extra = path / "assets.extra"
    extra.mkdir()
    (extra / f"{NAME}.json").write_text(as_json(about), encoding="utf-8")


def load_saved_model(path: Path) -> Run:
    """Return what runs a folder by TensorFlow."""
    tf = backend.tensorflow()
    loaded = tf.saved_model.load(str(path))
    serve = loaded.signatures["serving_default"]

    def run(pixels: np.ndarray) -> np.ndarray:
        found: np.ndarray = serve(**{INPUT: tf.constant(pixels)})[OUTPUT].numpy()
        return found

    run.loaded = loaded  # type: ignore[attr-defined]  # its variables live as long as it does
    return run
