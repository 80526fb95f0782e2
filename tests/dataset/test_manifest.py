"""Manifests: what they list, and what is wrong with them."""

import json
import os
from pathlib import Path

import pytest
from listing import rows, touch

from featx.dataset.scan import scan
from featx.errors import InputError


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
        ("m.csv", "photo,label\na.png,x\n", r"no column 'path'.* are: photo, label\..*--column"),
        ("m.csv", "", "there is no column 'path'.* The columns are: none"),
        ("m.csv", "path,lable\na.png,x\n", "unknown column 'lable'. Did you mean 'label'"),
        ("m.csv", "file,image\na,b\n", "'file' and 'image' could both be the path. Say which"),
        ("m.csv", "path,label\na.png,x,extra\n", "line 2: it has 3 fields, .* names 2 columns"),
        ("m.csv", "path\nftp://a.org/1.png\n", "line 2: ftp://a.org/1.png is an address"),
        ("m.tsv", "path\na.png\ns3://b/1.png\n", "both paths and addresses"),
        ("m.csv", "path\nC:\\\\me\\\\1.png\n", "line 2: .* is a path of Windows"),
        ("m.csv", "path\nC:/me/1.png\n", "line 2: C:/me/1.png is a path of Windows"),
        ("m.csv", "path,path,label\na,b,c\n", "there are two columns 'path'"),
        ("m.jsonl", r'{"path": "a.png", "label": "a\ud83d"}', "line 1: label is not UTF-8"),
        ("m.jsonl", r'{"path": "a\ud83d.png"}', "line 1: no file can have the name"),
        ("m.jsonl", r'{"path": "a.png", "label": "a\u0000"}', "line 1: label has a NUL"),
        ("m.txt", "notes on my trip\n", "line 1: 'notes on my trip' names neither an image nor"),
        ("m.txt", "a.png\nb.png\na.png\n", r"line 3: a\.png is already listed on line 1"),
        ("m.csv", "path\na.png\n./a.png\n", r"line 3: a\.png is already listed on line 2"),
        ("m.csv", "path,split\na.png,fold1\n", "line 2: unknown split 'fold1'"),
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
        ("m.jsonl", '{"path": "a.png", "label": 0.5}\n', "line 1: label is 0.5. Expected text"),
        ("m.jsonl", '{"label": "x"}\n', "line 1: there is no column 'path'"),
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


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.csv", ",path,label\n0,a.png,x\n1,b.png,y\n"),  # an index column of pandas
        ("m.csv", "filename,class\na.png,x\nb.png,y\n"),
        ("m.csv", "File Name,Target,width\na.png,x,3\nb.png,y,4\n"),
        ("m.csv", "image;category\na.png;x\nb.png;y\n"),
        ("m.csv", "Path\tLabel\na.png\tx\nb.png\ty\n"),
        ("m.csv", "path, label\na.png, x\nb.png, y \n"),
        ("m.csv", 'path, label\n"a.png", "x"\n"b.png", "y"\n'),
        ("m.tsv", "img_path\tlabel\na.png\tx\nb.png\ty\n"),
        ("m.txt", '"Image Path"\t"Class Name"\na.png\tx\nb.png\ty\n'),
        ("m.txt", "file_name,label\r\na.png,x\r\nb.png,y\r\n"),
        (
            "m.jsonl",
            '{"file_name": "a.png", "class": "x", "id": 3}\n{"image": "b.png", "label": "y"}',
        ),
        ("m.csv", "path,status,label,confidence,p_x\na.png,ok,x,0.9,0.9\nb.png,ok,y,0.8,0.2\n"),
    ],
)
def test_usual_columns_and_delimiters(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert rows(scan(tmp_path / name)) == [("a.png", "x", ""), ("b.png", "y", "")]


def test_what_is_taken_for_what_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    (tmp_path / "m.csv").write_text("filename,class,width,height\na.png,x,3,4\n")
    scan(tmp_path / "m.csv")
    assert (
        "path from 'filename', label from 'class'; other columns are ignored: width" in caplog.text
    )


def test_columns_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("photo,species,label\na.png,x,7\n")
    found = scan(tmp_path / "m.csv", columns={"path": "photo", "label": "species"})
    assert rows(found) == [("a.png", "x", "")]
    with pytest.raises(InputError, match=r"has no column 'foto'\. The columns are: photo, species"):
        scan(tmp_path / "m.csv", columns={"path": "foto"})
    with pytest.raises(InputError, match=r"Unknown column role 'paths'.*Did you mean 'path'"):
        scan(tmp_path / "m.csv", columns={"paths": "photo"})
    with pytest.raises(InputError, match="the source is not a table"):
        scan(tmp_path, columns={"path": "photo"})


def test_a_column_that_no_line_has_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text('{"path": "a.png", "species": "x"}')
    with pytest.raises(InputError, match="no line has 'speciess'"):
        scan(tmp_path / "m.jsonl", columns={"label": "speciess"})
    assert scan(tmp_path / "m.jsonl", columns={"label": "species"}).classes == ("x",)


def test_numbers_are_labels(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text(
        '{"path": "a.png", "label": 3}\n{"path": "b.png", "label": 12}'
    )
    assert scan(tmp_path / "m.jsonl").classes == ("12", "3")


def test_apostrophes_of_our_own_scores_are_taken_off(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("path,status,label,confidence\n'=1.png,ok,'@x,0.9\n")
    assert rows(scan(tmp_path / "s.csv")) == [("=1.png", "@x", "")]
    (tmp_path / "m.csv").write_text("path,label\n'=1.png,'@x\n")
    assert rows(scan(tmp_path / "m.csv")) == [("'=1.png", "'@x", "")]


def test_paths_of_windows_are_read_where_that_is_clear(tmp_path: Path) -> None:
    touch(tmp_path, "imgs/a/1.png", "b\\2.png")
    (tmp_path / "m.csv").write_text("path\nimgs\\a\\1.png\nb\\2.png\nnot\\there.png\n")
    assert list(scan(tmp_path / "m.csv").paths) == ["b\\2.png", "imgs/a/1.png", "not\\there.png"]
    (tmp_path / "l.txt").write_bytes(b"imgs\\a\\1.png\r\nb\\2.png\r\n")
    assert list(scan(tmp_path / "l.txt").paths) == ["b\\2.png", "imgs/a/1.png"]
