"""A ``.keras`` file: Keras's own format, with what the model is in its metadata."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from .. import backend
from .about import NAME, About, Run

__all__ = ["load_keras", "write_keras"]

_METADATA = "metadata.json"


def write_keras(network: Any, about: About, path: Path, quantize: str | None) -> None:
    """Write a network; `quantize` plays no part."""
    network.save(path)
    path.write_bytes(_with_metadata(path.read_bytes(), about))


def _with_metadata(saved: bytes, about: About) -> bytes:
    """Return a ``.keras`` file with more in its metadata."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved)) as old, zipfile.ZipFile(out, "w") as new:
        for item in old.infolist():
            data = old.read(item)
            if item.filename == _METADATA:
                data = json.dumps({**json.loads(data), NAME: dict(about)}).encode()
            new.writestr(item, data)
    return out.getvalue()


def load_keras(path: Path) -> Run:
    """Return what runs a file by Keras."""
    return backend.keras().saving.load_model(path).predict_on_batch
