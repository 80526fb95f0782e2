"""All formats hold the same rows; names of any bytes survive."""

import csv
import json
import sys
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx.errors import InputError
from featx.scoring import tables

COLUMNS = {"path": str, "label": str, "p_a": float}
BLOCKS = [
    {"path": ["a.jpg", "=b.jpg"], "label": ["x", None], "p_a": [0.25, None]},
    {"path": ["ü\n.jpg"], "label": ["'"], "p_a": [1e-06]},
]
ROWS = [("a.jpg", "x", 0.25), ("=b.jpg", None, None), ("ü\n.jpg", "'", 1e-06)]


def written(path: Path, blocks: list[dict[str, list[Any]]]) -> Path:
    table = tables.table_for(path, COLUMNS, {"model": "m"})
    with path.open("wb", buffering=0) as file:
        table.join(file, [table.encode(block) for block in blocks])
    return path


def read_csv(path: Path) -> list[tuple[Any, ...]]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = list(csv.reader(file))
    assert rows[0] == list(COLUMNS)
    unmarked = [[cell[1:] if cell.startswith("'") else cell for cell in row] for row in rows[1:]]
    return [(a, b or None, float(c) if c else None) for a, b, c in unmarked]


def test_the_three_formats_agree(tmp_path: Path) -> None:
    from pyarrow import parquet

    assert read_csv(written(tmp_path / "t.csv", BLOCKS)) == ROWS
    lines = written(tmp_path / "t.jsonl", BLOCKS).read_text().splitlines()
    assert [tuple(json.loads(line).values()) for line in lines] == ROWS
    table = parquet.read_table(written(tmp_path / "t.parquet", BLOCKS))
    assert [tuple(row.values()) for row in table.to_pylist()] == ROWS
    assert [str(field.type) for field in table.schema] == ["string", "string", "double"]
    assert json.loads(table.schema.metadata[b"featx"]) == {"model": "m"}


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_cell_is_a_formula(tmp_path: Path, first: str) -> None:
    name = f"{first}cmd|'/C calc'!A0"
    path = written(tmp_path / "t.csv", [{"path": [name], "label": [name], "p_a": [0.5]}])
    with path.open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file))[1] == [f"'{name}", f"'{name}", "0.5"]


@pytest.mark.parametrize("number", ["-1", "+1", "-0.5", "+1e-3", "-.5", "-1.", "+1E+09"])
def test_a_number_is_no_formula(tmp_path: Path, number: str) -> None:
    path = written(tmp_path / "t.csv", [{"path": [number], "label": [number], "p_a": [0.5]}])
    with path.open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file))[1] == [number, number, "0.5"]


@pytest.mark.parametrize("text", ["-", "-1+1", "+1,5", "-1e", "--1", "+x", "-1\n"])
def test_what_only_looks_like_a_number_has_its_apostrophe(tmp_path: Path, text: str) -> None:
    path = written(tmp_path / "t.csv", [{"path": [text], "label": [text], "p_a": [0.5]}])
    with path.open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file))[1][0] == f"'{text}"


@given(st.binary(min_size=1, max_size=40).filter(lambda name: b"\0" not in name))
def test_names_of_any_bytes_survive(tmp_path_factory: pytest.TempPathFactory, name: bytes) -> None:
    text = name.decode("utf-8", "surrogateescape")
    folder = tmp_path_factory.mktemp("names")
    block = {"path": [text], "label": [None], "p_a": [0.5]}
    assert read_csv(written(folder / "t.csv", [block])) == [(text, None, 0.5)]
    line = written(folder / "t.jsonl", [block]).read_text("ascii")
    assert json.loads(line)["path"] == text
    from pyarrow import parquet

    kept = parquet.read_table(written(folder / "t.parquet", [block]))["path"][0].as_py()
    assert kept == name.decode("utf-8", "backslashreplace")


def test_no_rows(tmp_path: Path) -> None:
    from pyarrow import parquet

    assert read_csv(written(tmp_path / "t.csv", [])) == []
    assert written(tmp_path / "t.jsonl", []).read_bytes() == b""
    assert parquet.read_table(written(tmp_path / "t.parquet", [])).num_rows == 0


def test_row_groups_are_large_whatever_the_blocks(tmp_path: Path) -> None:
    from pyarrow import parquet

    block = {"path": ["a"] * 1000, "label": ["x"] * 1000, "p_a": [0.5] * 1000}
    found = parquet.ParquetFile(written(tmp_path / "t.parquet", [block] * 150)).metadata
    assert (found.num_rows, found.num_row_groups) == (150_000, 3)


def test_unknown_formats_and_missing_pyarrow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"ends in \.csv, \.jsonl, \.parquet"):
        tables.table_for(tmp_path / "t.ods", COLUMNS, {})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install 'featx\[parquet\]'"):
        tables.table_for(tmp_path / "t.parquet", COLUMNS, {})


# Excel --------------------------------------------------------------------------------------


def sheet(path: Path) -> list[list[tuple[str, str]]]:
    """Return the cells of a workbook, (type, text) each, by its XML alone."""
    space = {"m": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
    with zipfile.ZipFile(path) as book:
        assert not [name for name in book.namelist() if "hyperlink" in name]
        tree = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
        shared = []
        if "xl/sharedStrings.xml" in book.namelist():
            strings = ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
            shared = ["".join(item.itertext()) for item in strings]
    assert not tree.findall(".//m:f", space)  # no formula
    found = []
    for row in tree.iterfind(".//m:row", space):
        cells = []
        for cell in row:
            kind, text = cell.get("t", "n"), "".join(cell.itertext())
            cells.append((kind, shared[int(text)] if kind == "s" else text))
        found.append(cells)
    return found


def test_a_workbook_has_texts_and_numbers_and_no_formulas(tmp_path: Path) -> None:
    names = ["a.jpg", "=1+1", "https://example.org/x", "gro\u00df.png", "\udcff.png", "-1"]
    block = {"path": names, "label": ["x", None, "=2", "y", "z", "+1"],
             "p_a": [0.25, None, 1.0, 0.5, 0.125, 0.0]}  # fmt: skip
    cells = sheet(written(tmp_path / "t.xlsx", [block]))
    assert [text for _, text in cells[0]] == ["path", "label", "p_a"]
    assert [row[0][1] for row in cells[1:]] == [*names[:4], "\\xff.png", "-1"]
    assert all(row[0][0] in ("s", "inlineStr") for row in cells[1:])
    assert cells[1][2] == ("n", "0.25") and len(cells[2]) == 1  # no label, no number


def test_a_workbook_has_the_same_bytes_whenever_it_is_written(tmp_path: Path) -> None:
    one = written(tmp_path / "1.xlsx", BLOCKS).read_bytes()
    assert written(tmp_path / "2.xlsx", BLOCKS).read_bytes() == one


def test_a_csv_for_excel_begins_with_a_byte_order_mark(tmp_path: Path) -> None:
    table = tables.table_for(tmp_path / "t.csv", COLUMNS, {}, excel=True)
    with (tmp_path / "t.csv").open("wb", buffering=0) as file:
        table.join(file, map(table.encode, BLOCKS))
    data = (tmp_path / "t.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbfpath,")
    assert data[3:] == written(tmp_path / "p.csv", BLOCKS).read_bytes()
    with pytest.raises(InputError, match=r"--excel is for \.csv files"):
        tables.table_for(tmp_path / "t.jsonl", COLUMNS, {}, excel=True)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "xlsx"])
def test_rows_can_be_sorted(tmp_path: Path, suffix: str) -> None:
    keys = np.array([0.9, np.inf, 0.1])
    table = tables.table_for(tmp_path / f"t.{suffix}", COLUMNS, {"model": "m"})
    encoded = [table.encode(block) for block in BLOCKS]
    with (tmp_path / f"t.{suffix}").open("wb", buffering=0) as file:
        table.join(file, tables.sorted_blocks(table, encoded, keys))
    turned = [
        {"path": ["\u00fc\n.jpg", "a.jpg", "=b.jpg"], "label": ["'", "x", None],
         "p_a": [1e-06, 0.25, None]}
    ]  # fmt: skip
    expected = written(tmp_path / f"e.{suffix}", turned)
    assert (tmp_path / f"t.{suffix}").read_bytes() == expected.read_bytes()
