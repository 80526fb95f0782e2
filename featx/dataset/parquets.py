"""The rows of Parquet files → entries of a catalog."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import InputError, printable
from .catalog import Entry
from .columns import ROLES, find_columns, plain_name, tell_columns
from .manifest import make_entry
from .stores.parquet import arrow, name_of_row, opening

__all__ = ["image_column", "row_entries"]

log = logging.getLogger("featx")

_LARGE = 1 << 30  # bytes of a row group
#: Columns of images beside those that have paths in other tables.
_USUAL = (*ROLES["path"], "bytes", "image_bytes", "jpg", "jpeg", "png", "data", "content")


def image_column(path: str, given: Mapping[str, str]) -> str:
    """Return the column of a Parquet file that has the bytes of images.

    Raises
    ------
    InputError
        When it cannot be told, or there is none.
    CorruptError
        When it is no Parquet file.
    """
    with opening(path):
        schema = arrow().ParquetFile(path).schema_arrow
    fitting = [field.name for field in schema if _is_image(field.type)]
    if "path" in given:
        if given["path"] not in fitting:
            raise InputError(
                f"{printable(path)} has no column {printable(given['path'])!r} with the bytes of "
                f"images. {_columns(fitting)}"
            )
        return given["path"]
    named = [name for name in fitting if plain_name(name) in _USUAL]
    chosen = fitting if len(fitting) == 1 else named
    if len(chosen) != 1:
        raise InputError(
            f"{printable(path)}: it cannot be told which column has the images. "
            f"{_columns(fitting)} Say which: --column path=NAME."
        )
    return chosen[0]


def _columns(fitting: Sequence[str]) -> str:
    names = ", ".join(map(printable, fitting))
    if names:
        return f"The columns with bytes are: {names}."
    return "None has bytes. To list files by their paths, write a .csv with the column 'path'."


def _is_image(kind: Any) -> bool:
    from pyarrow import types

    def has_bytes(one: Any) -> bool:
        return types.is_binary(one) or types.is_large_binary(one)

    if types.is_struct(kind):
        return any(field.name == "bytes" and has_bytes(field.type) for field in kind)
    return has_bytes(kind)


def row_entries(path: str, column: str, given: Mapping[str, str]) -> Iterator[Entry]:
    """Yield an entry for each row of a Parquet file, in order, without reading an image.

    Numbers of classes are given their names, where the file has them as Hugging Face writes them.

    Raises
    ------
    InputError
        When a row is not as it should be; the message names it.
    CorruptError
        When the file is damaged.
    """
    with opening(path):
        file = arrow().ParquetFile(path, pre_buffer=False)
        schema = file.schema_arrow
    others = [name for name in schema.names if name != column]
    given = {role: name for role, name in given.items() if role != "path"}
    for role, name in given.items():
        if name not in others:
            raise InputError(f"{printable(path)} has no column {printable(name)!r} for the {role}.")
    # Other columns with the usual names of a path are of no use here.
    header = [column, *(name for name in others if plain_name(name) not in ROLES["path"])]
    roles = find_columns(header, {**given, "path": column}, printable(path))
    tell_columns(printable(path), schema.names, roles)
    roles.pop("path")
    names = _class_names(schema, roles.get("label", ""))
    groups = [file.metadata.row_group(group) for group in range(file.num_row_groups)]
    largest = max((group.total_byte_size for group in groups), default=0)
    if largest > _LARGE:
        log.warning(
            "%s: a row group has %.1f GiB, which may be in memory two or three times. Write the "
            "file with row_group_size=100.", printable(path), largest / (1 << 30),
        )  # fmt: skip
    row = 0
    with opening(path):
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            table = file.read_row_group(group, columns=list(roles.values()))
            columns = [table.column(name).to_pylist() for name in roles.values()]
            for values in zip(*columns, strict=True) if columns else [()] * count:
                found = dict(zip(roles, values, strict=True))
                if names and isinstance(found["label"], int):
                    number = found["label"]
                    found["label"] = names[number] if 0 <= number < len(names) else None
                where = f"{printable(path)}, row {row} (the first is 0)"
                yield make_entry({**found, "path": name_of_row(row)}, where)
                row += 1


def _class_names(schema: Any, column: str) -> Sequence[str]:
    """Return the names of classes by their numbers, where the file says them."""
    try:
        told = json.loads((schema.metadata or {})[b"huggingface"])
        names = told["info"]["features"][column]["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return ()
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return names if is_list else ()
