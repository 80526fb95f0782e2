"""Rows of results as CSV, JSON Lines, Parquet or Excel: encoded in blocks, joined into one file.

A value is a text, a number or None. Numbers are rounded to `DIGITS` decimals, so that all formats
hold the same numbers.
"""

import codecs
import csv
import datetime
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, printable
from ..storage import files
from ..storage.cells import as_utf8, guarded, unguarded

__all__ = [
    "DIGITS",
    "FORMATS",
    "CsvTable",
    "ExcelTable",
    "JsonLinesTable",
    "ParquetTable",
    "Table",
    "sorted_blocks",
    "table_for",
]

DIGITS = 6

#: The values of each column of a block, all of one length.
Block = Mapping[str, Sequence[Any]]

_ROW_GROUP = 1 << 16
_SORTED = 4096  # rows in a block that was sorted
_NEVER = datetime.datetime(2000, 1, 1)  # workbooks have no time zones


class Table:
    """A file of rows that is made of encoded blocks.

    `rows` takes an encoded block apart, and `pack` makes one of rows, so that they can be sorted.

    Parameters
    ----------
    columns : mapping
        Name → `str`, `float` or `int`, in order.
    about : mapping
        Plain values that say how the rows were made; stored where the format has a place for them.
    """

    #: Rows that the format can hold; None is any number.
    most_rows: int | None = None

    def __init__(self, columns: Mapping[str, type], about: Mapping[str, Any]) -> None:
        self.columns = columns
        self.about = about

    def rows(self, block: bytes) -> list[Any]:
        """Return the rows of an encoded block."""
        raise NotImplementedError

    def pack(self, rows: list[Any]) -> bytes:
        """Return rows as an encoded block."""
        raise NotImplementedError

    def encode(self, block: Block) -> bytes:
        """Return a block of rows as bytes, for `join`."""
        raise NotImplementedError

    def join(self, file: io.RawIOBase, blocks: Iterable[bytes]) -> None:
        """Write all blocks into a file; only one of them is in memory at a time."""
        raise NotImplementedError

    def read(self, path: Path) -> dict[str, list[Any]]:
        """Return the columns of a file that was written so; None where a value is missing.

        Raises
        ------
        InputError
            When the file has other columns, or is of a format that is not read.
        StorageError
            When it cannot be read.
        """
        with files.storage_errors(path):
            rows = list(self._rows_of(path))
        names = list(self.columns)
        if not all(len(row) == len(names) for row in rows):
            raise InputError(f"{printable(path)} is not as it was written. Write it again.")
        return {name: [row[at] for row in rows] for at, name in enumerate(names)}

    def _rows_of(self, path: Path) -> Iterator[Sequence[Any]]:
        """Yield the values of each row of a file."""
        raise NotImplementedError


class CsvTable(Table):
    """Comma-separated values in UTF-8, with a header.

    A text that a spreadsheet would run as a formula gets an apostrophe in front, and so does a
    text that starts with an apostrophe: take one away when you read them. A number such as -1 is
    no formula. A name that is not UTF-8 keeps its bytes (Python reads them with
    ``errors="surrogateescape"``).
    """

    _start = b""

    def encode(self, block: Block) -> bytes:
        """Return the lines of a block."""
        columns = [
            list(map(guarded, block[name])) if kind is str else block[name]
            for name, kind in self.columns.items()
        ]
        return _csv(zip(*columns, strict=True))

    def join(self, file: io.RawIOBase, blocks: Iterable[bytes]) -> None:
        """Write the header and the lines of all blocks."""
        _write(file, self._start + _csv([list(map(guarded, self.columns))]), blocks)

    def _rows_of(self, path: Path) -> Iterator[Sequence[Any]]:
        kinds = list(self.columns.values())
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            reader = csv.reader(file)
            if list(map(unguarded, next(reader, []))) != list(self.columns):
                yield ()  # other columns
            for row in reader:
                yield [
                    (unguarded(text) if kind is str else kind(text)) if text else None
                    for text, kind in zip(row, kinds, strict=False)
                ]

    def rows(self, block: bytes) -> list[Any]:
        """Return the fields of each row."""
        text = io.StringIO(block.decode("utf-8", "surrogateescape"), newline="")
        return list(csv.reader(text))

    def pack(self, rows: list[Any]) -> bytes:
        """Return rows of fields as lines."""
        return _csv(rows)


class ExcelCsvTable(CsvTable):
    """CSV with a byte-order mark, without which Excel takes UTF-8 for another encoding."""

    _start = codecs.BOM_UTF8


def _csv(rows: Iterable[Iterable[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _write(file: io.RawIOBase, head: bytes, blocks: Iterable[bytes]) -> None:
    file.write(head)
    for block in blocks:
        file.write(block)


class JsonLinesTable(Table):
    r"""One JSON object a line; null stands for a missing value.

    The file is ASCII; bytes of a name that are not UTF-8 are escaped as in Python (``\udcXX``).
    """

    def encode(self, block: Block) -> bytes:
        """Return the lines of a block."""
        names = list(self.columns)
        rows = zip(*(block[name] for name in names), strict=True)
        lines = (json.dumps(dict(zip(names, row, strict=True))) for row in rows)
        return "".join(f"{line}\n" for line in lines).encode()

    def join(self, file: io.RawIOBase, blocks: Iterable[bytes]) -> None:
        """Write the lines of all blocks."""
        _write(file, b"", blocks)

    def _rows_of(self, path: Path) -> Iterator[Sequence[Any]]:
        with path.open("rb") as file:
            for line in file:
                row = json.loads(line)
                yield [row[name] for name in self.columns if name in row]

    def rows(self, block: bytes) -> list[Any]:
        """Return the lines."""
        return block.splitlines(keepends=True)

    def pack(self, rows: list[Any]) -> bytes:
        """Return the lines together."""
        return b"".join(rows)


class ExcelTable(JsonLinesTable):
    r"""An Excel workbook with one sheet; texts are never formulas or links.

    Bytes of a name that are not UTF-8 are written as ``\xNN``.
    """

    most_rows = (1 << 20) - 1

    def __init__(self, columns: Mapping[str, type], about: Mapping[str, Any]) -> None:
        super().__init__(columns, about)
        try:
            import xlsxwriter  # type: ignore[import-untyped]
        except ImportError as error:
            raise InputError(
                "Excel workbooks need XlsxWriter. Install it with: pip install 'featx[xlsx]', or "
                "give an output that ends in .csv, and --excel."
            ) from error
        self._library = xlsxwriter

    def _rows_of(self, path: Path) -> Iterator[Sequence[Any]]:
        raise InputError(
            f"{printable(path)} is a workbook, which featx writes and does not read. Give an "
            "output that ends in .csv, .jsonl or .parquet, or none."
        )

    def join(self, file: io.RawIOBase, blocks: Iterable[bytes]) -> None:
        """Write the rows of all blocks, one row in memory at a time."""
        book = self._library.Workbook(file, {"constant_memory": True})
        # The same rows give the same bytes, whenever they are written.
        book.set_properties({"created": _NEVER, "comments": json.dumps(self.about)[:32_000]})
        sheet = book.add_worksheet("scores")
        sheet.freeze_panes(1, 1)
        sheet.set_column(0, 0, 40)
        bold = book.add_format({"bold": True})
        for column, name in enumerate(self.columns):
            sheet.write_string(0, column, str(as_utf8(name)), bold)
        lines = (line for block in blocks for line in self.rows(block))
        for row, line in enumerate(lines, start=1):
            for column, value in enumerate(json.loads(line).values()):
                if isinstance(value, str):
                    sheet.write_string(row, column, str(as_utf8(value)))
                elif value is not None:
                    sheet.write_number(row, column, value)
        book.close()


class ParquetTable(Table):
    r"""Parquet: texts are strings, numbers doubles; `about` is in the schema's metadata.

    A Parquet string is UTF-8: bytes of a name that are not are written as ``\xNN``.
    """

    def __init__(self, columns: Mapping[str, type], about: Mapping[str, Any]) -> None:
        super().__init__(columns, about)
        try:
            import pyarrow
        except ImportError as error:
            raise InputError(
                "Parquet needs pyarrow. Install it with: pip install 'featx[parquet]', or give "
                "an output that ends in .csv or .jsonl."
            ) from error
        kinds = {str: pyarrow.string(), float: pyarrow.float64(), int: pyarrow.int64()}
        self._schema = pyarrow.schema(
            [(as_utf8(name), kinds[kind]) for name, kind in columns.items()],
            {"featx": json.dumps(about)},
        )

    def encode(self, block: Block) -> bytes:
        """Return a block as an Arrow stream."""
        import pyarrow

        columns = [
            pyarrow.array(
                list(map(as_utf8, block[name])) if kind is str else block[name], field.type
            )
            for (name, kind), field in zip(self.columns.items(), self._schema, strict=True)
        ]
        return self._stream(pyarrow.table(columns, schema=self._schema))

    def _stream(self, table: Any) -> bytes:
        import pyarrow

        out = io.BytesIO()
        with pyarrow.ipc.new_stream(out, self._schema) as stream:
            stream.write_table(table)
        return out.getvalue()

    def join(self, file: io.RawIOBase, blocks: Iterable[bytes]) -> None:
        """Write all blocks, several of them in a row group."""
        import pyarrow
        from pyarrow import parquet

        with parquet.ParquetWriter(file, self._schema, compression="zstd") as writer:
            for group in _groups(pyarrow.ipc.open_stream(block).read_all() for block in blocks):
                writer.write_table(pyarrow.concat_tables(group), row_group_size=2 * _ROW_GROUP)

    def _rows_of(self, path: Path) -> Iterator[Sequence[Any]]:
        from pyarrow import parquet

        table = parquet.read_table(path)
        names = [name for name in self._schema.names if name in table.column_names]
        yield from zip(*(table.column(name).to_pylist() for name in names), strict=True)

    def rows(self, block: bytes) -> list[Any]:
        """Return each row as an Arrow table of one row."""
        import pyarrow

        table = pyarrow.ipc.open_stream(block).read_all()
        return [table.slice(row, 1) for row in range(table.num_rows)]

    def pack(self, rows: list[Any]) -> bytes:
        """Return the rows as one Arrow stream."""
        import pyarrow

        return self._stream(pyarrow.concat_tables(rows).combine_chunks())


def _groups(tables: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield lists of tables that have enough rows together for a row group."""
    group, rows = [], 0
    for table in tables:
        group.append(table)
        rows += table.num_rows
        if rows >= _ROW_GROUP:
            yield group
            group, rows = [], 0
    if group:
        yield group


#: The end of a file's name → its format.
FORMATS: Mapping[str, type[Table]] = {
    ".csv": CsvTable,
    ".jsonl": JsonLinesTable,
    ".parquet": ParquetTable,
    ".xlsx": ExcelTable,
}


def table_for(
    path: Path, columns: Mapping[str, type], about: Mapping[str, Any], *, excel: bool = False
) -> Table:
    """Return a table in the format that the file name's extension asks for.

    Parameters
    ----------
    path : Path
    columns, about
        See `Table`.
    excel : bool
        Whether a CSV file is for Excel.

    Raises
    ------
    InputError
        When there is no such format, its library is not installed, or `excel` is for another one.
    """
    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise InputError(
            f"{printable(path)} has no known table format. Expected a name that ends in "
            f"{', '.join(FORMATS)}."
        )
    if excel and kind != ".csv":
        raise InputError(f"--excel is for .csv files, and {printable(path)} is another.")
    return (ExcelCsvTable if excel else FORMATS[kind])(columns, about)


def sorted_blocks(table: Table, blocks: Iterable[bytes], keys: np.ndarray) -> Iterator[bytes]:
    """Yield the rows of all blocks in the order of their keys; equal ones stay in order.

    All rows are in memory.

    Parameters
    ----------
    table : Table
    blocks : iterable of bytes
    keys : ndarray of float, shape (rows,)
    """
    rows = [row for block in blocks for row in table.rows(block)]
    order = np.argsort(keys, kind="stable").tolist()
    for start in range(0, len(order), _SORTED):
        yield table.pack([rows[index] for index in order[start : start + _SORTED]])
