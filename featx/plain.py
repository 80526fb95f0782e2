"""Results as values that JSON can hold."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

__all__ = ["plain"]


def plain(value: Any) -> Any:
    """Return a value with everything in it as dicts, lists, texts, numbers, bools and None.

    Parameters
    ----------
    value : object
        A dataclass (its public fields) or named tuple becomes a dict, as a mapping does; a tuple,
        list or array becomes a list; a NumPy scalar becomes a Python one, and a path a text.

    Raises
    ------
    TypeError
        When there is anything else in it.

    Examples
    --------
    >>> plain({"shape": (2, np.int64(3)), "out": PurePath("a/b.h5")})
    {'shape': [2, 3], 'out': 'a/b.h5'}
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in fields(value) if not field.name.startswith("_")]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, PurePath | str):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no plain value. Expected data, such as numbers.")
