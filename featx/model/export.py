"""A model as one plain Keras file: uint8 images in, class probabilities out, featx not needed."""

import io
import json
import logging
import os
import tempfile
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import backend
from ..errors import InputError, printable
from ..network import layers
from ..network.preprocessing import normalization
from ..plain import plain
from ..storage import files, locks
from .file import load
from .keras_network import apply_head, head_as_network
from .model import Model

__all__ = ["ExportResult", "export"]

log = logging.getLogger("featx")

_METADATA = "metadata.json"
_CHECKED = 4  # images
_TOLERANCE = 1e-3  # of probabilities: features are kept in float16, and the file does not


@dataclass(frozen=True)
class ExportResult:
    """What `export` wrote.

    Attributes
    ----------
    out : Path
    size : int
        Pixels a side of the images it takes.
    classes : tuple of str
        In the order of the probabilities.
    bytes : int
    made_in : str
        The precision of the features that the model was fitted on. The file computes in float32:
        where this is bfloat16, probabilities differ a little from those of `score` on a processor
        that has bfloat16.
    apart : float
        How far probabilities of the file and of the model, both in float32, were apart at most.
    """

    out: Path
    size: int
    classes: tuple[str, ...]
    bytes: int
    made_in: str
    apart: float

    def as_dict(self) -> dict[str, Any]:
        """Return what was written as plain values, for JSON."""
        return plain(self) | {"precision": "float32"}


@backend.own_settings()
def export(
    model: Model | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    overwrite: bool = False,
) -> ExportResult:
    """Write a model as a ``.keras`` file that `keras.saving.load_model` opens without featx.

    It takes upright RGB images of type uint8 and shape (n, size, size, 3), brought to that size
    by the model's resize rule, and gives probabilities float32 (n, classes). The class names and
    the resize rule are in the file's ``metadata.json``, under ``featx``.

    Parameters
    ----------
    model : Model or path
    out : path
        Ends in ``.keras``.
    overwrite : bool
        Replace what is there.

    Raises
    ------
    InputError
        When the head cannot become layers, or `out` is no name for this or exists.
    IncompatibleError, StorageError
        When the weights are not at hand, or the file cannot be written.
    """
    out = Path(out)
    if out.suffix != ".keras" or out.is_dir():
        raise InputError(f"{printable(out)}: expected the name of a file that ends in .keras.")
    files.require_new(out, overwrite)
    if not isinstance(model, Model):
        model = load(model)
    head = head_as_network(model.head_name, model.head)
    described = {
        "classes": list(model.classes),
        "size": model.fingerprint.trunk.size,
        "resize": model.fingerprint.trunk.resize,
        "model_sha256": model.digest,
    }
    network = _network(model, head)
    apart = _check(network, model)
    made_in = model.fingerprint.precision
    if made_in != "float32":
        log.warning(
            "The file computes in float32, and the model was made in %s: probabilities differ a "
            "little. docs/scoring.md says how much.",
            made_in,
        )
    with tempfile.TemporaryDirectory(prefix="featx-") as folder:
        path = Path(folder) / "model.keras"
        network.save(path)
        data = _with_metadata(path.read_bytes(), described)
    with locks.lock_output(out):
        files.write_bytes(out, data)
    size = model.fingerprint.trunk.size
    return ExportResult(out, size, model.classes, len(data), made_in, apart)


def _check(network: Any, model: Model) -> float:
    """Return how far the network's probabilities are from the model's, both in float32.

    Noise is enough: whatever is put together wrongly shows in it. Features are compared too, since
    probabilities can all be 0 and 1.

    Raises
    ------
    AssertionError
        When they differ by more than rounding.
    """
    size = model.fingerprint.trunk.size
    pixels = np.random.default_rng(0).integers(0, 256, (_CHECKED, size, size, 3), np.uint8)
    exact = replace(model, precision="float32", runtime="tensorflow")
    features = exact.trunk.features(pixels).astype(np.float32)
    expected = exact.predict_proba_features(features)
    apart = float(np.abs(network.predict_on_batch(pixels) - expected).max())
    if exact.tail:
        features = replace(exact.tail, precision="float32").features(features)
    last = backend.keras().Model(network.input, network.get_layer(model.until).output)
    off = np.abs(last.predict_on_batch(pixels) - features).max() / max(features.max(), 1e-9)
    if apart > _TOLERANCE or off > _TOLERANCE:
        raise AssertionError(
            f"the exported network is {apart:.2g} apart from the model, its features {off:.2g}"
        )
    return apart


def _network(model: Model, head: Any) -> Any:
    """Return the Keras model from pixels to probabilities."""
    keras = backend.keras()
    trunk = model.fingerprint.trunk
    arrays = dict(model.trunk.weights.arrays())
    names = layers.layers_between(layers.INPUT, trunk.cut)
    if model.tail:
        names += model.tail.layers
        arrays |= model.tail.arrays
    pixels = keras.Input((trunk.size, trunk.size, 3), dtype="uint8", name="images")
    # Layers of Keras alone: the order of the channels goes into the first kernel.
    order, scale, offset = normalization(trunk.preprocessing)
    kernel, bias = arrays["block1_conv1"]
    arrays["block1_conv1"] = (kernel[:, :, order], bias)
    x = keras.layers.Rescaling(scale, offset, name="normalize")(pixels)
    x = layers.apply_layers(x, names, arrays, "float32")
    return keras.Model(pixels, apply_head(x, model.pool, head), name="featx")


def _with_metadata(saved: bytes, described: dict[str, Any]) -> bytes:
    """Return a ``.keras`` file with more in its metadata."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved)) as old, zipfile.ZipFile(out, "w") as new:
        for item in old.infolist():
            data = old.read(item)
            if item.filename == _METADATA:
                data = json.dumps({**json.loads(data), "featx": described}).encode()
            new.writestr(item, data)
    return out.getvalue()
