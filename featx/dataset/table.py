"""Tables in memory → the entries of a catalog: data frames, and lists with a dict for each image.

A frame is anything with columns of the usual kinds: of pandas, Polars or PyArrow, or what speaks
Arrow's PyCapsule interface, ``__arrow_c_stream__``. The interchange protocol ``__dataframe__``,
which pandas gives up, is the last resort.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError, printable, redacted
from .catalog import Entry
from .columns import find_columns, tell_columns
from .manifest import make_entry
from .paths import listed_path
from .stores.addresses import is_address

__all__ = ["as_table", "is_frame", "read_table"]

#: The columns of a table in memory, all of one length.
Columns = Mapping[str, Sequence[Any]]

_KEYWORDS = {"path": "image"}  # of `scan`, where they are not the names of the roles
_HERE = "The table"


def is_frame(source: object) -> bool:
    """Tell whether something is a data frame of some library."""
    own = type(source)  # a module with such a name is no frame
    return any(hasattr(own, name) for name in ("__arrow_c_stream__", "__dataframe__", "iloc"))


def as_table(source: object) -> Any:
    """Return a data frame, or rows as a list with a dict for each image; None of anything else."""
    if is_frame(source):
        return source
    if isinstance(source, str | bytes | os.PathLike | Mapping) or not isinstance(source, Iterable):
        return None
    rows = list(source)
    return rows if any(isinstance(row, Mapping) for row in rows) else None


def read_table(source: Any, given: Mapping[str, str]) -> Iterator[Entry]:
    """Yield the entries of a table that is in memory.

    An image is a path, relative to the working folder; or it is in memory: the bytes of a file, one
    of Pillow's images, a uint8 array, or a dict with `bytes` and `path`, as Hugging Face has them.

    Parameters
    ----------
    source : data frame, or list of dict
    given : mapping
        Role (a key of `columns.ROLES`) → the name of its column; others by their usual names.

    Raises
    ------
    InputError
        When a row is not as it should be; the message names it.
    """
    columns = _columns(source)
    header = list(columns)
    roles = find_columns(header, given, _HERE, _spell)
    tell_columns(_HERE, header, roles)
    values = [columns[name] for name in roles.values()]
    position = -1
    for position, found in enumerate(zip(*values, strict=True)):
        where = f"{_HERE}, row {position} (the first is 0)"
        row = {role: _value(value) for role, value in zip(roles, found, strict=True)}
        _refuse_floats(row, where)
        path, content = _image(row["path"], position, where)
        yield make_entry({**row, "path": path}, where, content)
    if position < 0:
        raise InputError("The table lists no images.")


def _spell(role: str, name: str) -> str:
    return f'{_KEYWORDS.get(role, role)}="{name}"'


def _columns(source: Any) -> Columns:
    """Return the columns of a table as lists, in its order."""
    if not is_frame(source):
        return _columns_of_rows(source)
    if hasattr(source, "iloc"):  # pandas, whose columns can hold anything
        _refuse_twice([str(name) for name in source.columns])
        return {str(name): source[name].to_list() for name in source.columns}
    if hasattr(source, "get_columns"):  # Polars
        return {column.name: column.to_list() for column in source.get_columns()}
    table = source if hasattr(source, "to_pylist") else _as_arrow(source)
    _refuse_twice(table.column_names)
    return {name: table.column(name).to_pylist() for name in table.column_names}


def _refuse_twice(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"{_HERE} has two columns {printable(name)!r}. Give each a name of its own."
            )


def _as_arrow(source: Any) -> Any:
    try:
        import pyarrow
        from pyarrow import interchange
    except ImportError as error:
        raise InputError(
            f"A table of {type(source).__module__} is read by pyarrow. Install it with: pip "
            "install 'featx[parquet]', or give a pandas DataFrame."
        ) from error
    if hasattr(source, "__arrow_c_stream__"):
        return pyarrow.table(source)
    return interchange.from_dataframe(source)


def _columns_of_rows(rows: Iterable[Any]) -> Columns:
    rows = list(rows)
    for position, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise InputError(
                f"{_HERE}, row {position} (the first is 0): {printable(repr(row)[:60])} is no "
                "dict. Expected a dict for each image."
            )
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {str(name): [row.get(name) for row in rows] for name in names}


def _value(value: Any) -> Any:
    """Return a value as Python has it, and None where it is missing: NaN, NaT or pandas' NA."""
    if isinstance(value, np.generic):
        value = value.item()
    is_nan = isinstance(value, float) and value != value
    return None if is_nan or type(value).__name__ in ("NAType", "NaTType") else value


def _refuse_floats(row: Mapping[str, Any], where: str) -> None:
    """Refuse numbers that are whole only by chance: as text, 1.0 would be another label than 1."""
    for role, value in row.items():
        if role != "path" and isinstance(value, float):
            raise InputError(
                f"{where}: the {role} is {value:g} as a floating-point number. Expected text or a "
                "whole number. pandas makes whole numbers with missing ones among them into "
                f'floats: frame["{role}"].astype("Int64").'
            )


def _image(value: Any, position: int, where: str) -> tuple[str, Any]:
    """Return the path of an image, or a name with the image itself where it is in memory."""
    from PIL import Image

    if isinstance(value, Mapping):
        data, path = _value(value.get("bytes")), _value(value.get("path"))
        if data is None and path is None:
            raise InputError(f"{where}: the image has neither bytes nor a path.")
        if data is None:
            return _image(path, position, where)
        name = redacted(_name(path, where)) if path else _numbered(position)
        return name, _image(data, position, where)[1]
    if isinstance(value, bytes | bytearray | memoryview):
        return _numbered(position), bytes(value)
    if isinstance(value, np.ndarray | Image.Image):
        return _numbered(position), value
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if value is not None and not isinstance(value, str):
        raise InputError(
            f"{where}: the image is {printable(repr(value)[:60])}. Expected a path, the bytes of a "
            "file, a Pillow image, a uint8 array, or a dict with bytes and path."
        )
    path = listed_path(_name(value or "", where), "", where)
    return path if is_address(path) else os.path.normpath(path), None


def _numbered(position: int) -> str:
    return f"image {position:06d}"


def _name(value: Any, where: str) -> str:
    """Return the name of an image, when it can be one."""
    if not isinstance(value, str) or "\0" in value:
        raise InputError(f"{where}: {printable(repr(value)[:60])} is no path.")
    try:
        os.fsencode(value)
    except UnicodeEncodeError as error:
        raise InputError(f"{where}: no file can have the name {printable(repr(value))}.") from error
    return value
