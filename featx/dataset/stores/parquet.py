"""Images in the rows of Parquet files."""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ...errors import CorruptError, InputError, printable
from ...storage import files
from .store import NotRead, Store, stamp_of_file

__all__ = ["SUFFIXES", "Parquet", "arrow", "is_parquet", "name_of_row", "opening"]

#: How the names of Parquet files end, in lower case.
SUFFIXES = (".parquet", ".pq")
#: Digits of a row's number in a path, which put paths into the order of rows.
DIGITS = 10
#: Rows that are in memory at a time, and how many such batches are kept for threads that lag.
_ROWS, _KEPT = 16, 4
_MOST_OPEN = 4


def is_parquet(path: str | os.PathLike[str]) -> bool:
    """Tell by its name whether a file is a Parquet file."""
    return os.fspath(path).lower().endswith(SUFFIXES)


def arrow() -> Any:
    """Return `pyarrow.parquet`, or raise an `InputError` that says how to install it."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(
            "Parquet files are read by pyarrow. Install it with: pip install 'featx[parquet]'"
        ) from error
    return pyarrow.parquet


def name_of_row(row: int) -> str:
    """Return the path of a row's image.

    Examples
    --------
    >>> name_of_row(12)
    'row 0000000012'
    """
    return f"row {row:0{DIGITS}d}"


@dataclass(frozen=True)
class Parquet(Store):
    """Images that are in a column of Parquet files.

    Attributes
    ----------
    root : str
        A Parquet file, in which paths are rows: ``row 0000000012``; or a folder, and then paths
        begin with a file in it.
    column : str
        The column with the images: bytes, or structs with `bytes` and `path`.
    """

    kind: ClassVar[str] = "parquet"
    root: str = ""
    column: str = "image"

    def read(self, path: str, most: int) -> bytes:
        """Return the bytes of an image; see `Store.read`."""
        file, row = self._place(path)
        found = _reader(file, self.column).read(row)
        if found is None:
            raise NotRead("unreadable", "the row has no bytes of an image")
        if len(found) > most:
            raise NotRead("too_large", f"more than {most:,} bytes")
        return found

    def stamp(self, path: str) -> files.Stamp | None:
        """Return the stamp of the file: while it is as it was, its rows are."""
        try:
            return stamp_of_file(self._place(path)[0])
        except NotRead:
            return None

    def _place(self, path: str) -> tuple[str, int]:
        name, _, row = path.rpartition("/")
        number = row.removeprefix("row ")
        if not (number.isascii() and number.isdecimal() and row != number):
            raise NotRead("vanished", "no row has this name")
        return os.path.join(self.root, name) if name else self.root, int(number)


class opening:  # noqa: N801
    """A block in which the errors of damaged Parquet files get their names."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        import pyarrow

        if isinstance(error, OSError) and error.errno:
            with files.storage_errors(Path(self._path)):
                raise error
        if isinstance(error, pyarrow.ArrowException | OSError) and not hasattr(error, "exit_code"):
            raise CorruptError(
                f"{printable(self._path)} is damaged, or is no Parquet file: "
                f"{printable(error)[:200]}. Make or copy it again."
            ) from error


class _Reader:
    """The images of one file, a few rows at a time: best in order, by several threads."""

    def __init__(self, path: str, column: str) -> None:
        self._path, self._column = path, column
        self._lock = threading.Lock()
        with opening(path):
            # Without buffers ahead, no row group is in memory as a whole.
            self._file = arrow().ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
            groups = self._file.metadata
            counts = [groups.row_group(n).num_rows for n in range(groups.num_row_groups)]
        self._starts = [sum(counts[:n]) for n in range(len(counts) + 1)]
        self._kept: OrderedDict[int, list[bytes | None]] = OrderedDict()
        self._group, self._next = -1, -1
        self._batches: Iterator[Any] = iter(())

    def read(self, row: int) -> bytes | None:
        """Return the bytes of a row's image, None where there are none."""
        with self._lock:
            if not 0 <= row < self._starts[-1]:
                raise NotRead("vanished", "the file has no such row")
            with opening(self._path):
                return self._find(row)

    def _find(self, row: int) -> bytes | None:
        while True:
            for start, rows in self._kept.items():
                if start <= row < start + len(rows):
                    return rows[row - start]
            group = max(n for n, start in enumerate(self._starts[:-1]) if start <= row)
            if group != self._group or self._next > row:
                self._group, self._next = group, self._starts[group]
                self._batches = iter(())  # so that the row group before is gone
                self._batches = self._file.iter_batches(
                    _ROWS, row_groups=[group], columns=[self._column]
                )
            batch = next(self._batches, None)
            if batch is None:
                raise CorruptError(f"{printable(self._path)} has fewer rows than it says.")
            self._kept[self._next] = _bytes(batch.column(0))
            self._next += batch.num_rows
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)


def _bytes(column: Any) -> list[bytes | None]:
    if hasattr(column, "field"):  # of structs
        column = column.field("bytes")
    return column.to_pylist()


_opening = threading.Lock()
_open: OrderedDict[tuple[str, str], tuple[files.Stamp, _Reader]] = OrderedDict()


def _reader(path: str, column: str) -> _Reader:
    """Return the reader of this process for a file, while it stays as it is."""
    with files.storage_errors(Path(path)):
        now = files.stamp(os.stat(path))
    with _opening:
        before, found = _open.pop((path, column), (None, None))
        if found is None or before != now:
            found = _Reader(path, column)
        _open[path, column] = now, found
        while len(_open) > _MOST_OPEN:
            _open.popitem(last=False)
        return found
