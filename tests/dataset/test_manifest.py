"""Manifests: what they list, and what is wrong with them."""

import json
import os
from pathlib import Path

import pytest

from featx.dataset.catalog import Catalog
from featx.dataset.scan import scan
from featx.errors import InputError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def rows(found: Catalog) -> list[tuple[str, str | None, str]]:
    labels = [None if label < 0 else found.classes[label] for label in found.labels]
    return list(zip(found.paths, labels, found.splits, strict=True))


def test_csv_manifest(tmp_path: Path) -> None:
    text = '\ufeffpath,label,split,group\n"b, 2.png",y,Train,g1\na.png,x,valid,\n'
    (tmp_path / "list.csv").write_text(text)
    found = scan(tmp_path / "list.csv")
    assert rows(found) == [("a.png", "x", "val"), ("b, 2.png", "y", "train")]
    assert list(found.groups) == ["", "g1"]
    assert found.root == tmp_path


def test_jsonl_manifest(tmp_path: Path) -> None:
    lines = [{"path": "b.png", "label": "y"}, {"path": "sub/a.png", "label": None}]
    (tmp_path / "l.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    assert rows(scan(tmp_path / "l.jsonl")) == [("b.png", "y", ""), ("sub/a.png", None, "")]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.csv", "file,label\na.png,x\n", "must name the columns, with 'path'"),
        ("m.csv", "", "must name the columns"),
        ("m.csv", "path,lable\na.png,x\n", "line 2: unknown column 'lable'"),
        ("m.csv", "path,label\na.png,x,extra\n", "line 2: unknown column"),
        ("m.csv", "path\na.png\n./a.png\n", r"line 3: a\.png is already listed on line 2"),
        ("m.csv", "path,split\na.png,dev\n", "line 2: unknown split 'dev'"),
        ("m.csv", "path,split\na.png,train\nb.png,\n", r"1 of 2 images have no split.*b\.png"),
        ("m.csv", "path,label\n,x\n", "line 2: there is no path"),
        ("m.csv", "path,label\n", "lists no images"),
        ("m.csv", "path\nin.png\n../out.png\n", r"line 3: ../out.png is outside the folder of the"),
        ("m.csv", "path\n/etc/out.png\n", "line 2: /etc/out.png is outside"),
        ("m.csv", "path\nin/../../out.png\n", "line 2: ../out.png is outside"),
        ("m.csv", "path,label\na.png,caf\udce9\n", "line 2: label is not UTF-8"),
        ("m.jsonl", '{"path": ' + "[" * 100_000 + "\n", "line 1: not JSON"),
        ("m.jsonl", '{"path": "a.png"}\n{"path": \n', "line 2: not JSON"),
        ("m.jsonl", '["a.png"]\n', "line 1: expected an object"),
        ("m.jsonl", '{"path": "a.png", "label": 3}\n', "line 1: label is 3. Expected text"),
    ],
)
def test_wrong_manifests_name_the_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_bytes(os.fsencode(text))
    with pytest.raises(InputError, match=message):
        scan(tmp_path / name)


def test_manifests_of_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("path\na.png\n", encoding="utf-16")
    with pytest.raises(InputError, match="line 1: this is UTF-16"):
        scan(tmp_path / "m.csv")


def test_a_manifest_reaches_outside_only_where_it_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "list").mkdir()
    (tmp_path / "list/link").symlink_to(tmp_path / "mine")
    manifest = tmp_path / "list/m.csv"
    for path in ("link/a.png", "../mine/a.png", str(tmp_path / "mine/a.png")):
        manifest.write_text(f"path\n{path}\n")
        with pytest.raises(InputError, match=r"a\.png is outside .* add --allow-outside"):
            scan(manifest)
        found = scan(manifest, allow_outside=True)
        assert found.file(0).resolve() == (tmp_path / "mine/a.png").resolve()
    manifest.write_text(f"path\n{tmp_path / 'list/a.png'}\nb/../c.png\n")
    assert len(scan(manifest)) == 2
