"""What an exported file says of its model, the same in every format."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..model.model import Model

__all__ = ["INPUT", "NAME", "OUTPUT", "About", "Run", "as_json", "describe"]

#: Plain values for JSON; see `describe`.
About = Mapping[str, Any]
#: From uint8 images (n, size, size, 3) to probabilities (n, classes).
Run = Callable[[np.ndarray], np.ndarray]

#: The key, or the stem of the file, that it stands under.
NAME = "featx"
#: What goes in and what comes out is called so, in every format that has names.
INPUT, OUTPUT = "images", "probabilities"


def describe(model: Model) -> About:
    """Return what is needed to use a file: `docs/export.md` explains each value."""
    trunk = model.fingerprint.trunk
    threshold = (model.report.get("threshold") or {}).get("out_of_fold")
    return {
        "classes": list(model.classes),
        "size": trunk.size,
        "resize": trunk.resize,
        "threshold": threshold["confidence"] if threshold else None,
        "head": model.head_name,
        "view": model.view.name,
        "model_sha256": model.digest,
    }


def as_json(about: About) -> str:
    """Return it as the text of a JSON file."""
    return json.dumps(about, ensure_ascii=False, indent=1)
