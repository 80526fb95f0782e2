import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx.dataset import catalog
from featx.errors import InputError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def rows(found: catalog.Catalog) -> list[tuple[str, str | None, str]]:
    labels = [None if label < 0 else found.classes[label] for label in found.labels]
    return list(zip(found.paths, labels, found.splits, strict=True))


def test_class_folders(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.JPG", "b/1.png", "a/deep/1.webp", "a/notes.txt", ".git/x.png", "b/.x.png")
    found = catalog.scan(tmp_path)
    assert rows(found) == [("a/deep/1.webp", "a", ""), ("b/1.png", "b", ""), ("b/2.JPG", "b", "")]
    assert found.classes == ("a", "b")
    assert found.ignored == 1
    assert found.class_counts() == {"a": 1, "b": 2}
    assert found.file(1) == tmp_path / "b/1.png"


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Validation"])
def test_splits(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "train/a/1.png", "train/b/1.png", f"{name}/a/2.png", "test/3.png")
    assert sorted(rows(catalog.scan(tmp_path)), key=lambda row: row[2]) == [
        ("test/3.png", None, "test"),
        ("train/a/1.png", "a", "train"),
        ("train/b/1.png", "b", "train"),
        (f"{name}/a/2.png", "a", "val"),
    ]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    touch(tmp_path, "train/1.png", "tram/2.png")
    assert catalog.scan(tmp_path).classes == ("train", "tram")


def test_what_cannot_be_told_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path / "mixed", "a/1.png", "2.png")
    with pytest.raises(InputError, match=r"1 images, for example 2\.png, lie beside"):
        catalog.scan(tmp_path / "mixed")
    assert len(catalog.scan(tmp_path / "mixed", labelled=False)) == 2
    touch(tmp_path / "split", "train/a/1.png", "extra/a/1.png")
    with pytest.raises(InputError, match="'train' looks like a split, but beside it is 'extra'"):
        catalog.scan(tmp_path / "split")


def test_flat_folders_and_lists_have_no_labels(tmp_path: Path) -> None:
    touch(tmp_path, "2.png", "1.png")
    assert rows(catalog.scan(tmp_path)) == [("1.png", None, ""), ("2.png", None, "")]
    listed = catalog.scan(tmp_path / "2.png", tmp_path / "1.png")
    assert list(listed.paths) == [str(tmp_path / "1.png"), str(tmp_path / "2.png")]
    assert listed.classes == ()


def test_nothing_to_list(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is empty"):
        catalog.scan(tmp_path)
    touch(tmp_path, "a/notes.txt", "a/more.txt")
    with pytest.raises(InputError, match=r"only 2 other files such as a/more\.txt.*\.jpg"):
        catalog.scan(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        catalog.scan(tmp_path / "missing")
    with pytest.raises(InputError, match="is not an image"):
        catalog.scan(tmp_path / "a/notes.txt")


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    touch(tmp_path / "real", "a/1.png")
    os.symlink(tmp_path / "real/a", tmp_path / "real/b")
    os.symlink(tmp_path / "real", tmp_path / "real/loop")
    assert list(catalog.scan(tmp_path / "real").paths) == ["a/1.png"]


def test_csv_manifest(tmp_path: Path) -> None:
    text = '\ufeffpath,label,split,group\n"b, 2.png",y,Train,g1\na.png,x,valid,\n'
    (tmp_path / "list.csv").write_text(text)
    found = catalog.scan(tmp_path / "list.csv")
    assert rows(found) == [("a.png", "x", "val"), ("b, 2.png", "y", "train")]
    assert list(found.groups) == ["", "g1"]
    assert found.root == tmp_path


def test_jsonl_manifest(tmp_path: Path) -> None:
    lines = [{"path": "b.png", "label": "y"}, {"path": "sub/a.png", "label": None}]
    (tmp_path / "l.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    assert rows(catalog.scan(tmp_path / "l.jsonl")) == [("b.png", "y", ""), ("sub/a.png", None, "")]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.csv", "file,label\na.png,x\n", "must name the columns, with 'path'"),
        ("m.csv", "", "must name the columns"),
        ("m.csv", "path,lable\na.png,x\n", "line 2: unknown column 'lable'"),
        ("m.csv", "path,label\na.png,x,extra\n", "line 2: unknown column"),
        ("m.csv", "path\na.png\n./a.png\n", r"line 3: a\.png stands on line 2 already"),
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
        catalog.scan(tmp_path / name)


def test_manifests_of_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("path\na.png\n", encoding="utf-16")
    with pytest.raises(InputError, match="line 1: this is UTF-16"):
        catalog.scan(tmp_path / "m.csv")


def test_a_manifest_reaches_outside_only_where_it_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "list").mkdir()
    (tmp_path / "list/link").symlink_to(tmp_path / "mine")
    manifest = tmp_path / "list/m.csv"
    for path in ("link/a.png", "../mine/a.png", str(tmp_path / "mine/a.png")):
        manifest.write_text(f"path\n{path}\n")
        with pytest.raises(InputError, match=r"a\.png is outside .* add --allow-outside"):
            catalog.scan(manifest)
        found = catalog.scan(manifest, allow_outside=True)
        assert found.file(0).resolve() == (tmp_path / "mine/a.png").resolve()
    manifest.write_text(f"path\n{tmp_path / 'list/a.png'}\nb/../c.png\n")
    assert len(catalog.scan(manifest)) == 2


name_bytes = st.binary(min_size=1, max_size=60).filter(
    lambda b: b"/" not in b and b"\0" not in b and not b.startswith(b".")
)


@given(st.lists(name_bytes, min_size=1, max_size=8, unique=True), st.randoms())
def test_order_is_that_of_the_bytes_for_any_names(
    tmp_path_factory: pytest.TempPathFactory, names: list[bytes], random: object
) -> None:
    root = os.fsencode(tmp_path_factory.mktemp("names"))
    random.shuffle(names)  # type: ignore[attr-defined]
    for name in names:
        with open(os.path.join(root, name + b".png"), "wb"):
            pass
    found = catalog.scan(os.fsdecode(root))
    assert [os.fsencode(path) for path in found.paths] == sorted(name + b".png" for name in names)


def test_take_keeps_the_classes(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/1.png")
    taken = catalog.scan(tmp_path).take(np.array([1]))
    assert rows(taken) == [("b/1.png", "b", "")]
