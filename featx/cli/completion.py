"""Completion of values in a shell, from the names of `featx.names`; nothing heavy is imported."""

import re
from collections.abc import Callable
from typing import Any, get_args

from .. import names

__all__ = [
    "AUGMENTATION",
    "BACKEND",
    "CLASS_WEIGHT",
    "DTYPE",
    "EXPORT_PRECISION",
    "HEAD",
    "HEADS",
    "KEEP",
    "LAYER",
    "LAYERS",
    "METRIC",
    "NETWORK",
    "OPTIMIZER",
    "PARTS",
    "PRECISION",
    "PREFERENCE",
    "PREPROCESSING",
    "QUALITY",
    "QUANTIZATION",
    "RESIZE",
    "RUNTIME",
    "SORT",
    "SPLIT",
    "VIEW",
    "VIEWS",
    "gist",
]

#: Returns the values that continue what was typed so far.
Completer = Callable[[str], list[str]]


def _name_of(kind: Any, *more: str) -> Completer:
    """Return a completer of one name.

    Parameters
    ----------
    kind : Literal
        The names.
    *more : str
        Further values, such as "all".
    """
    values = [*get_args(kind), *more]

    def complete(incomplete: str) -> list[str]:
        return [value for value in values if value.startswith(incomplete)]

    return complete


def _list_of(kind: Any, *more: str) -> Completer:
    """Return a completer of names with commas between them; it offers each name once.

    Parameters
    ----------
    kind, *more
        See `_name_of`; `more` are values that stand alone.
    """
    alone = _name_of(kind, *more)
    listed = _name_of(kind)

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        if not comma:
            return alone(incomplete)
        taken = before.split(",")
        return [f"{before},{value}" for value in listed(last) if value not in taken]

    return complete


def gist(text: str) -> str:
    """Return the first words of a help text, up to the list or explanation that follows.

    Examples
    --------
    >>> gist("Heads to compare: all, or some of {heads.registry.HEADS}. dummy is always compared.")
    'Heads to compare'
    """
    return re.split(r"[.:;](?:\s|$)| \{", " ".join(text.split()))[0]


AUGMENTATION = _name_of(names.Augmentation)
CLASS_WEIGHT = _name_of(names.ClassWeight)
DTYPE = _name_of(names.Dtype)
EXPORT_PRECISION = _name_of(names.ExportPrecision)
HEAD = _name_of(names.HeadName, "best")
HEADS = _list_of(names.HeadName, "all")
BACKEND = _name_of(names.BackendName)
KEEP = _name_of(names.KeepName)
LAYER = _name_of(names.LayerName)
LAYERS = _list_of(names.LayerName, "none")
METRIC = _name_of(names.MetricName)
NETWORK = _name_of(names.NetworkName)
OPTIMIZER = _name_of(names.OptimizerName)
PARTS = _list_of(names.ReportPart)
PRECISION = _name_of(names.PrecisionName)
PREFERENCE = _name_of(names.Preference)
PREPROCESSING = _name_of(names.PreprocessingName)
QUALITY = _name_of(names.QualityName)
QUANTIZATION = _name_of(names.QuantizationName)
RESIZE = _name_of(names.ResizeRule)
RUNTIME = _name_of(names.RuntimeName)
SORT = _name_of(names.SortKey)
SPLIT = _name_of(names.SplitName)
VIEW = _name_of(names.ViewName)
VIEWS = _list_of(names.ViewName, "all")
