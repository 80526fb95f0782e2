"""Manifests, CSV or JSON Lines, → the entries of a catalog."""

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import InputError, printable
from .catalog import SPLITS, Entry

__all__ = ["SUFFIXES", "read_manifest"]

_COLUMNS = ("path", "label", "split", "group")


def read_manifest(file: Path, allow_outside: bool) -> Iterator[Entry]:
    """Yield the entries of a manifest.

    Parameters
    ----------
    file : Path
        Ends in one of `SUFFIXES`.
    allow_outside : bool
        Whether it may name files that are not below its own folder.

    Raises
    ------
    InputError
        When a line is not as it should be; the message names it.
    """
    rows = SUFFIXES[file.suffix.lower()]
    seen: dict[str, int] = {}
    root = os.path.realpath(file.parent)
    with file.open("rb") as start:
        if start.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            raise InputError(f"{printable(file)}, line 1: this is UTF-16. Save the file as UTF-8.")
    for line, row in rows(file):
        where = f"{printable(file)}, line {line}"
        unknown = [str(name) for name in row if name not in _COLUMNS]
        if unknown:
            raise InputError(
                f"{where}: unknown column {printable(unknown[0])!r}. Expected "
                f"{', '.join(_COLUMNS)}."
            )
        bad = [name for name, value in row.items() if not isinstance(value, str | None)]
        if bad:
            raise InputError(f"{where}: {bad[0]} is {row[bad[0]]!r}. Expected text.")
        strange = [name for name in _COLUMNS[1:] if not _is_utf8(row.get(name) or "")]
        if strange:
            raise InputError(f"{where}: {strange[0]} is not UTF-8. Save the file as UTF-8.")
        path = row.get("path")
        if not path or "\0" in path:
            raise InputError(f"{where}: there is no path. Every image needs one.")
        path = os.path.normpath(path)
        if path in seen:
            raise InputError(f"{where}: {printable(path)} is already listed on line {seen[path]}.")
        if not allow_outside and not _is_below(os.path.join(file.parent, path), root):
            raise InputError(
                f"{where}: {printable(path)} is outside the folder of the manifest. If that is "
                "meant, add --allow-outside."
            )
        seen[path] = line
        split = row.get("split") or None
        if split and split.lower() not in SPLITS:
            raise InputError(
                f"{where}: unknown split {printable(split)!r}. Expected train, val or test."
            )
        yield Entry(
            path,
            row.get("label") or None,
            SPLITS[split.lower()] if split else None,
            row.get("group") or None,
        )
    if not seen:
        raise InputError(f"{printable(file)} lists no images.")


def _is_utf8(text: str) -> bool:
    return not any("\udc80" <= character <= "\udcff" for character in text)


def _is_below(path: str, root: str) -> bool:
    return os.path.realpath(path).startswith(os.path.join(root, ""))


def _csv_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with file.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as text:
        reader = csv.DictReader(text, restkey="(beyond the header)", strict=True)
        if "path" not in (reader.fieldnames or ()):
            raise InputError(
                f"{printable(file)}: the first line must name the columns, with 'path' among them; "
                f"it reads {printable(','.join(reader.fieldnames or ()))!r}."
            )
        try:
            for row in reader:
                yield reader.line_num, row
        except csv.Error as error:
            raise InputError(f"{printable(file)}, line {reader.line_num}: {error}.") from error


def _jsonl_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with file.open(encoding="utf-8-sig", errors="surrogateescape") as text:
        for line, content in enumerate(text, start=1):
            if not content.strip():
                continue
            try:
                row = json.loads(content)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{printable(file)}, line {line}: not JSON: {error}.") from error
            if not isinstance(row, dict):
                raise InputError(f"{printable(file)}, line {line}: expected an object, {{...}}.")
            yield line, row


#: End of a manifest's name → the function that yields (line number, row).
SUFFIXES = {".csv": _csv_rows, ".jsonl": _jsonl_rows}
