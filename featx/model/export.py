"""A model as one plain Keras file: uint8 pictures in, class probabilities out, featx not needed."""

import io
import json
import os
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import backend
from ..errors import InputError, shown
from ..network import layers
from ..network.runtime import normalization
from ..storage import files
from .keras_network import as_network, classified
from .model import Bundle

__all__ = ["Exported", "export"]

_METADATA = "metadata.json"


@dataclass(frozen=True)
class Exported:
    """What `export` wrote.

    Attributes
    ----------
    out : Path
    size : int
        Pixels a side of the pictures it takes.
    classes : tuple of str
        In the order of the probabilities.
    bytes : int
    """

    out: Path
    size: int
    classes: tuple[str, ...]
    bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Return what was written as plain values, for JSON."""
        return {**vars(self), "out": str(self.out), "classes": list(self.classes)}


def export(model: Bundle, out: str | os.PathLike[str], *, overwrite: bool = False) -> Exported:
    """Write a model as a ``.keras`` file that `keras.saving.load_model` opens without featx.

    It takes upright RGB pictures of type uint8 and shape (n, size, size, 3), brought to that size
    by the model's resize rule, and gives probabilities float32 (n, classes). The class names and
    the resize rule are in the file's ``metadata.json``, under ``featx``.

    Parameters
    ----------
    model : Bundle
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
        raise InputError(f"{shown(out)}: expected the name of a file that ends in .keras.")
    if out.exists() and not overwrite:
        raise InputError(f"{shown(out)} exists. Give another output, or add --overwrite.")
    head = as_network(model.head_name, model.head)
    described = {
        "classes": list(model.classes),
        "size": model.fingerprint.trunk.size,
        "resize": model.fingerprint.trunk.resize,
        "model_sha256": model.digest,
    }
    with tempfile.TemporaryDirectory(prefix="featx-") as folder:
        path = Path(folder) / "model.keras"
        _network(model, head).save(path)
        data = _with_metadata(path.read_bytes(), described)
    with files.claimed(out):
        files.write_bytes(out, data)
    return Exported(out, model.fingerprint.trunk.size, model.classes, len(data))


def _network(model: Bundle, head: Any) -> Any:
    """Return the Keras model from pixels to probabilities."""
    keras = backend.keras()
    trunk = model.fingerprint.trunk
    arrays = dict(model.trunk.weights.arrays())
    names = layers.layers_between(layers.INPUT, trunk.cut)
    if model.tail:
        names += model.tail.layers
        arrays |= model.tail.arrays
    pixels = keras.Input((trunk.size, trunk.size, 3), dtype="uint8", name="pictures")
    # Layers of Keras alone: the order of the channels goes into the first kernel.
    order, scale, offset = normalization(trunk.preprocessing)
    kernel, bias = arrays["block1_conv1"]
    arrays["block1_conv1"] = (kernel[:, :, order], bias)
    x = keras.layers.Rescaling(scale, offset, name="normalize")(pixels)
    x = layers.connected(x, names, arrays, "float32")
    return keras.Model(pixels, classified(x, model.pool, head), name="featx")


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
