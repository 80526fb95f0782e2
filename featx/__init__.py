"""Find the best model for few labelled pictures, and score the next ten thousand with it.

>>> import featx
>>> extraction = featx.extract("photos", "features.h5")  # doctest: +SKIP
>>> fitted = featx.fit("features.h5", "model.featx")  # doctest: +SKIP
>>> featx.load("model.featx").predict_proba(["new.jpg"])  # doctest: +SKIP
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Where each public name lives. Imported when first asked for, so that `featx --help` needs neither
# numpy nor TensorFlow.
_HOMES = {
    "Bundle": "bundle",
    "Cache": "cache",
    "ExtractSettings": "extraction",
    "FeatxError": "errors",
    "FitSettings": "fitting",
    "extract": "extraction",
    "fit": "fitting",
    "load": "bundle",
    "scan": "catalog",
}

if TYPE_CHECKING:
    from .bundle import Bundle, load
    from .cache import Cache
    from .catalog import scan
    from .errors import FeatxError
    from .extraction import ExtractSettings, extract
    from .fitting import FitSettings, fit

__all__ = [
    "Bundle",
    "Cache",
    "ExtractSettings",
    "FeatxError",
    "FitSettings",
    "extract",
    "fit",
    "load",
    "scan",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
