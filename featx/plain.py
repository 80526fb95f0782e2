"""Results as values that JSON can hold, and as data frames."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError

if TYPE_CHECKING:
    import pandas

__all__ = ["as_frame", "plain"]


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


def as_frame(columns: Mapping[str, Any]) -> "pandas.DataFrame":
    """Return columns as a data frame of pandas.

    Parameters
    ----------
    columns : mapping
        Name → sequence of values, all of one length. A missing text is None, a missing number None
        or NaN.

    Raises
    ------
    InputError
        When pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise InputError(
            "A data frame needs pandas. Install it with: pip install 'featx[pandas]'."
        ) from error
    return pandas.DataFrame(
        {
            # Texts of pandas are UTF-8, and names of files need not be.
            name: values if _is_utf8(values) else pandas.Series(list(values), dtype=object)
            for name, values in columns.items()
        }
    )


def _is_utf8(values: Any) -> bool:
    if isinstance(values, np.ndarray) and values.dtype != object:
        return True
    try:
        for value in values:
            if isinstance(value, str) and not value.isascii():
                value.encode()
    except UnicodeEncodeError:
        return False
    return True
