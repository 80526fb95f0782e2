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
from ..errors import InputError, printable, require_one_of
from ..network import layers
from ..network.preprocessing import normalization
from ..plain import plain
from ..storage import files, locks
from .file import load
from .keras_network import VIEW, apply_head, apply_view, head_as_network, require_layers
from .model import Model

__all__ = ["PRECISIONS", "ExportResult", "export"]

log = logging.getLogger("featx")

#: Precisions that Keras computes in.
PRECISIONS = ("auto", "float32", "bfloat16")

_METADATA = "metadata.json"
_CHECKED = 4  # images
# Of probabilities: features are kept in float16, and the file does not; bfloat16 has 8 bits.
_TOLERANCE = {"float32": 1e-3, "bfloat16": 2e-2}


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
    precision : str
        The precision that the file computes in.
    made_in : str
        The precision of the features that the model was fitted on. Where the file has another one,
        its probabilities differ a little from those of `score`.
    apart : float
        How far probabilities of the file and of the model, both in the file's precision, were apart
        at most.
    """

    out: Path
    size: int
    classes: tuple[str, ...]
    bytes: int
    precision: str
    made_in: str
    apart: float

    def as_dict(self) -> dict[str, Any]:
        """Return what was written as plain values, for JSON."""
        return plain(self)


@backend.own_settings()
def export(
    model: Model | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    precision: str = "auto",
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
    precision : {"auto", "float32", "bfloat16"}
        The precision that the file computes in; auto is the one that the model was made in, so
        that the file gives the probabilities of `score`, or float32 for one made in int8, which
        Keras does not compute. It emulates bfloat16 on processors that lack it, several times
        slower than float32.
    overwrite : bool
        Replace an output that exists.

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
    require_one_of("precision", precision, PRECISIONS)
    files.require_new(out, overwrite)
    if not isinstance(model, Model):
        model = load(model)
    head = head_as_network(model.head_name, model.head)
    require_layers(model.view)
    described = {
        "classes": list(model.classes),
        "size": model.fingerprint.trunk.size,
        "resize": model.fingerprint.trunk.resize,
        "model_sha256": model.digest,
    }
    made_in = model.fingerprint.precision
    if precision == "auto":
        precision = made_in if made_in in PRECISIONS else "float32"
    network = _network(model, head, precision)
    apart = _check(network, model, precision)
    if made_in != precision:
        log.warning(
            "The file computes in %s, and the model was made in %s: probabilities differ a "
            "little. docs/scoring.md says how much.",
            precision,
            made_in,
        )
    elif precision == "bfloat16":
        log.info(
            "The file computes in bfloat16, as the model does. For processors without it, where "
            "Keras emulates it several times slower, export with --precision float32."
        )
    with tempfile.TemporaryDirectory(prefix="featx-") as folder:
        path = Path(folder) / "model.keras"
        network.save(path)
        data = _with_metadata(path.read_bytes(), described)
    with locks.lock_output(out):
        files.require_new(out, overwrite)  # another run may have written it meanwhile
        files.write_bytes(out, data)
    size = model.fingerprint.trunk.size
    return ExportResult(out, size, model.classes, len(data), precision, made_in, apart)


def _check(network: Any, model: Model, precision: str) -> float:
    """Return how far the network's probabilities are from the model's, both in one precision.

    Noise is enough: whatever is put together wrongly shows in it. Features are compared too, since
    probabilities can all be 0 and 1.

    Raises
    ------
    AssertionError
        When they differ by more than rounding.
    """
    size = model.fingerprint.trunk.size
    pixels = np.random.default_rng(0).integers(0, 256, (_CHECKED, size, size, 3), np.uint8)
    exact = replace(model, precision=precision, runtime="tensorflow")
    activations = exact.trunk.activations([pixels])
    rows = exact.rows(activations)
    expected = exact.predict_proba_rows(rows)
    apart = float(np.abs(network.predict_on_batch(pixels) - expected).max())
    last = backend.keras().Model(network.input, network.get_layer(VIEW).output)
    seen = np.array(last.predict_on_batch(pixels), np.float32)
    seen /= np.maximum(np.linalg.norm(seen, axis=1, keepdims=True), 1e-12)
    off = np.abs(seen - rows).max() / max(np.abs(rows).max(), 1e-9)
    tolerance = _TOLERANCE[precision]
    # Square roots magnify float16's rounding of small means: 1.1e-3, and 1.5e-5 without it.
    if apart > tolerance or off > 2 * tolerance:
        raise AssertionError(
            f"the exported network is {apart:.2g} apart from the model, its rows {off:.2g}"
        )
    return apart


def _network(model: Model, head: Any, precision: str) -> Any:
    """Return the Keras model from pixels to probabilities."""
    keras = backend.keras()
    trunk = model.fingerprint.trunk
    arrays = dict(model.trunk.weights.arrays())
    pooled = model.view.pooled.names if model.view.kind.layers else ()
    names = layers.layers_between(layers.INPUT, layers.deepest(model.until, *pooled))
    if model.tail:
        arrays |= model.tail.arrays
    pixels = keras.Input((trunk.size, trunk.size, 3), dtype="uint8", name="images")
    # Layers of Keras alone: the order of the channels goes into the first kernel.
    order, scale, offset = normalization(trunk.preprocessing)
    kernel, bias = arrays["block1_conv1"]
    arrays["block1_conv1"] = (kernel[:, :, order], bias)
    x = keras.layers.Rescaling(scale, offset, name="normalize")(pixels)
    # Weights stay in float32, which every version of Keras can save.
    policy = "mixed_bfloat16" if precision == "bfloat16" else "float32"
    outputs = layers.layer_outputs(x, names, arrays, policy)
    seen = {name: outputs[name] for name in pooled or (model.until,)}
    return keras.Model(pixels, apply_head(apply_view(model.view.name, seen), head), name="featx")


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
