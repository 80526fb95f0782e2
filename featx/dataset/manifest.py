"""Manifests, as CSV, TSV, plain lists or JSON Lines, → the entries of a catalog."""

import csv
import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import InputError, printable
from ..storage.cells import unguarded
from .catalog import Entry, split_of
from .columns import ROLES, find_columns, plain_name, tell_columns
from .paths import listed_path
from .runs import Row, Runs, as_bytes, as_text
from .stores.addresses import is_address

__all__ = ["SUFFIXES", "make_entry", "read_manifest"]

_DELIMITERS = ",;\t"
_A_NAME = re.compile(r"\.\w{3,4}$")  # of a file
#: Columns of tables that featx writes, in which a text that a spreadsheet would take for a formula
#: has an apostrophe before it: of `score`, of `audit` with its groups, and of `next`.
_GUARDED = (
    ["path", "status", "label", "confidence"],
    ["path", "label", "split", "group"],
    ["path", "label", "predicted", "confidence"],
)

#: A line of a manifest, and its values by their roles.
_Values = tuple[int, dict[str, Any]]


def read_manifest(
    file: Path, allow_outside: bool, columns: Mapping[str, str] | None = None
) -> Iterator[Entry]:
    """Yield the entries of a manifest, in the order of the bytes of their paths.

    Parameters
    ----------
    file : Path
        Ends in one of `SUFFIXES`.
    allow_outside : bool
        Whether it may name files that are not below its own folder.
    columns : mapping, optional
        Role (a key of `columns.ROLES`) → the name of its column; by default the usual names.

    Raises
    ------
    InputError
        When a line is not as it should be; the message names the first such line. It may come
        after entries that were fine, so whoever calls this uses none before it has all.
    """
    rows = Runs(5)
    folder = os.fspath(file.parent)
    is_inside = _Inside(os.path.realpath(folder))
    try:
        for line, where, path, row in _paths(file, columns or {}):
            entry = Entry(path)
            try:
                is_fine = allow_outside or is_address(path)
                if not is_fine and not is_inside(os.path.join(folder, path)):
                    raise InputError(
                        f"{where}: {printable(path)} is outside the folder of the manifest. If "
                        "that is meant, add --allow-outside."
                    )
                entry = make_entry({**row, "path": path}, where)
            finally:
                rows.add(_packed(line, entry))
    except InputError:
        _check_twice(file, rows)  # what is wrong too, and comes before
        raise
    if not len(rows):
        raise InputError(f"{printable(file)} lists no images.")
    twice = _Twice(file)
    for packed in rows:
        if not twice.note(packed):
            yield _unpacked(packed)
    twice.check()


def _check_twice(file: Path, rows: Runs) -> None:
    twice = _Twice(file)
    for row in rows:
        twice.note(row)
    twice.check()


class _Twice:
    """The first line of a manifest that has a path of a line above it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._last: Row = (b"", b"")
        self._found: tuple[int, int, bytes] | None = None  # the line, that above it, the path

    def note(self, row: Row) -> bool:
        """Take the next row in order, and return whether the path is that of the row before."""
        path, line = row[:2]
        if path != self._last[0]:
            self._last = row
            return False
        found = (int(line), int(self._last[1]), path)
        self._found = min(found, self._found or found)
        return True

    def check(self) -> None:
        """Raise an `InputError` when there is one."""
        if self._found:
            line, first, path = self._found
            raise InputError(
                f"{printable(self._file)}, line {line}: {printable(os.fsdecode(path))} is already "
                f"listed on line {first}."
            )


def _packed(line: int, entry: Entry) -> Row:
    texts = (as_bytes(text or "") for text in (entry.label, entry.split, entry.group))
    return (os.fsencode(entry.path), b"%015d" % line, *texts)


def _unpacked(row: Row) -> Entry:
    label, split, group = (as_text(value) or None for value in row[2:])
    return Entry(os.fsdecode(row[0]), label, split, group)


def _paths(
    file: Path, columns: Mapping[str, str]
) -> Iterator[tuple[int, str, str, dict[str, Any]]]:
    """Yield line, place for messages, path on this machine, and values of each row."""
    name, folder = printable(file), os.fspath(file.parent)
    with file.open("rb") as start:
        if start.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            raise InputError(f"{name}, line 1: this is UTF-16. Save the file as UTF-8.")
    for line, row in SUFFIXES[file.suffix.lower()](file, columns):
        where = f"{name}, line {line}"
        text = _text("path", row.get("path"), where)
        path = listed_path(text, folder, where)
        yield line, where, path if is_address(path) else os.path.normpath(path), row


def make_entry(row: Mapping[str, Any], where: str, content: Any = None) -> Entry:
    """Return the entry of a row of a table.

    Parameters
    ----------
    row : mapping
        Role → value. The path is one already; the others are texts, whole numbers or None.
    where : str
        The place of the row, for messages.
    content : object, optional
        See `Entry`.

    Raises
    ------
    InputError
        When a value is something else, or there is no such split.
    """
    texts = {role: _text(role, value, where) for role, value in row.items() if role != "path"}
    split = texts.get("split", "")
    if split and not split_of(split):
        raise InputError(
            f"{where}: unknown split {printable(split)!r}. Expected train, val or test."
        )
    label, group = texts.get("label") or None, texts.get("group") or None
    return Entry(row["path"], label, split_of(split) if split else None, group, content)


def _text(role: str, value: Any, where: str) -> str:
    """Return a value as text; a whole number is text too."""
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise InputError(
            f"{where}: {role} is {printable(repr(value)[:60])}. Expected text or a whole number."
        )
    if role == "path":
        if not _is_utf8(value, "surrogateescape"):
            raise InputError(f"{where}: no file can have the name {printable(repr(value))}.")
        return value
    if not _is_utf8(value):
        raise InputError(f"{where}: {role} is not UTF-8. Save the file as UTF-8.")
    if "\0" in value:
        raise InputError(f"{where}: {role} has a NUL character in it. Take it out.")
    return value.strip()


def _is_utf8(text: str, errors: str = "strict") -> bool:
    try:
        text.encode("utf-8", errors)
    except UnicodeEncodeError:
        return False
    return True


class _Inside:
    """Whether files are below a folder; each folder on the way is looked up once."""

    def __init__(self, root: str) -> None:
        self._start = os.path.join(root, "")
        self._real = lru_cache(1 << 14)(os.path.realpath)

    def __call__(self, path: str) -> bool:
        folder, name = os.path.split(path)
        if name in ("", os.curdir, os.pardir) or os.path.islink(path):
            return os.path.realpath(path).startswith(self._start)
        return os.path.join(self._real(folder), name).startswith(self._start)


def _table(file: Path, given: Mapping[str, str], delimiter: str = "") -> Iterator[_Values]:
    """Yield the rows of a table, whose first line names the columns."""
    with file.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as text:
        first = text.readline()
        text.seek(0)
        reader = csv.reader(
            text, delimiter=delimiter or _delimiter(first), strict=True, skipinitialspace=True
        )
        try:
            header = [name.strip() for name in next(reader, [])]
            roles = find_columns(header, given, printable(file))
            tell_columns(printable(file), header, roles)
            is_guarded = header[:4] in _GUARDED
            for fields in reader:
                if not fields:
                    continue
                if len(fields) > len(header):
                    raise InputError(
                        f"{printable(file)}, line {reader.line_num}: it has {len(fields)} fields, "
                        f"and the first line names {len(header)} columns. Put fields with commas "
                        "into quotes."
                    )
                row = dict(zip(header, fields, strict=False))
                found = {role: row.get(name) for role, name in roles.items()}
                if is_guarded:
                    found = {role: unguarded(value or "") for role, value in found.items()}
                yield reader.line_num, found
        except csv.Error as error:
            raise InputError(f"{printable(file)}, line {reader.line_num}: {error}.") from error


def _delimiter(header: str) -> str:
    """Return what stands between the columns: of the usual ones, the one that is there most."""
    return max(_DELIMITERS, key=header.count)


def _tabs(file: Path, given: Mapping[str, str]) -> Iterator[_Values]:
    yield from _table(file, given, "\t")


def _list(file: Path, given: Mapping[str, str]) -> Iterator[_Values]:
    """Yield the rows of a text file: a table where the first line names columns, else paths."""
    with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="\n") as text:
        first = text.readline()
        usual = {name for names in ROLES.values() for name in names}
        header = next(csv.reader([first], delimiter=_delimiter(first), skipinitialspace=True), [])
        if given or usual & set(map(plain_name, header)):
            yield from _table(file, given)
            return
        if first.strip() and not (
            _A_NAME.search(first.strip()) or (file.parent / first.strip()).exists()
        ):
            raise InputError(
                f"{printable(file)}, line 1: {printable(first.strip()[:80])!r} names neither an "
                "image nor columns. Expected a path on each line."
            )
        text.seek(0)
        for line, content in enumerate(text, start=1):
            if content.strip():
                yield line, {"path": content.removesuffix("\n")}


def _json_lines(file: Path, given: Mapping[str, str]) -> Iterator[_Values]:
    with file.open(encoding="utf-8-sig", errors="surrogateescape") as text:
        known: dict[tuple[str, ...], dict[str, str]] = {}
        seen: set[str] = set()
        name = printable(file)
        for line, content in enumerate(text, start=1):
            if not content.strip():
                continue
            where = f"{name}, line {line}"
            try:
                row = json.loads(content)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{where}: not JSON: {error}.") from error
            if not isinstance(row, dict):
                raise InputError(f"{where}: expected an object, {{...}}.")
            names = tuple(row)
            if names not in known:
                # A row may lack a column that others have, but not the path.
                there = {role: name for role, name in given.items() if name in row}
                known[names] = find_columns(names, there, where)
                if len(known) == 1:
                    tell_columns(printable(file), names, known[names])
            seen.update(row)
            yield line, {role: row[name] for role, name in known[names].items()}
        missing = [name for name in given.values() if known and name not in seen]
        if missing:
            raise InputError(f"{printable(file)}: no line has {printable(missing[0])!r}.")


#: End of a manifest's name → the function of a file and given columns that yields its rows.
SUFFIXES = {".csv": _table, ".tsv": _tabs, ".txt": _list, ".jsonl": _json_lines}
