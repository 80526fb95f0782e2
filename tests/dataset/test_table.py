"""Tables in memory as sources: data frames, lists of dicts, images that are no files."""

import datetime
import hashlib
import io
import logging
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from generated import TINY, class_folders, tiny_models
from listing import rows
from PIL import Image

import featx
from featx.dataset.scan import as_catalog
from featx.errors import InputError
from featx.scoring.rows import FileSource


class ArrowOnly:
    """A frame of a library that featx has never heard of."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


class InterchangeOnly(SimpleNamespace):
    def __dataframe__(self, *arguments: Any, **more: Any) -> Any:
        return self.table.__dataframe__(*arguments, **more)


COLUMNS = {
    "File Name": ["b.jpg", "./x/../a.jpg", "c.jpg"],
    "species": ["ant", None, "bee"],
    "subset": ["Training", "test", "val"],
    "group": [3, 3, None],
    "weight": [1.5, 2.5, 3.5],
}


def made_by(library: str) -> Any:
    if library == "pandas":
        return pd.DataFrame(COLUMNS).astype({"group": "Int64"})
    if library == "dicts":
        return [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]
    if library == "polars":
        return pytest.importorskip("polars").DataFrame(COLUMNS)
    table = pa.table(COLUMNS)
    if library == "interchange":
        return InterchangeOnly(table=table)
    return ArrowOnly(table) if library == "arrow" else table


@pytest.mark.parametrize(
    "library", ["pandas", "dicts", "polars", "pyarrow", "arrow", "interchange"]
)
def test_the_columns_of_a_table_are_a_catalog(library: str) -> None:
    found = featx.scan(made_by(library), label="species")
    assert rows(found) == [
        ("a.jpg", None, "test"),
        ("b.jpg", "ant", "train"),
        ("c.jpg", "bee", "val"),
    ]
    assert list(found.groups) == ["3", "3", ""] and found.contents is None
    assert found.file(0) == Path("a.jpg")


def test_columns_are_named_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    frame = pd.DataFrame({"a": ["1.jpg"], "b": [7], "c": ["val"], "d": ["g"], "label": ["no"]})
    with caplog.at_level(logging.INFO, "featx"):
        found = featx.scan(frame, image="a", label="b", split="c", group="d")
    assert rows(found) == [("1.jpg", "7", "val")] and list(found.groups) == ["g"]
    assert "The table: path from 'a', label from 'b'" in caplog.text
    assert "other columns are ignored: label" in caplog.text
    assert as_catalog(found) is found
    with pytest.raises(InputError, match="the source is a catalog"):
        as_catalog(found, columns={"path": "a"})
    Path("photo.jpg").touch()
    with pytest.raises(InputError, match="the source is not a table"):
        featx.scan("photo.jpg", image="a")


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pd.DataFrame({"file": ["a"], "label": [1.5]}), r"row 0 .*the label is 1\.5 as a floating"),
        (pd.DataFrame({"file": ["a", "b"], "label": [1, None]}), r"the label is 1 as .*Int64"),
        (pd.DataFrame({"file": ["a"], "label": [True]}), "label is True. Expected text or a whole"),
        (pd.DataFrame({"file": ["a"], "label": ["x\0"]}), "NUL"),
        (pd.DataFrame({"pth": ["a"]}), r"Did you mean 'path'\?.* image=\"pth\""),
        (pd.DataFrame({"a": ["a"]}), r"The columns are: a\..*say which: image=\"NAME\""),
        (pd.DataFrame({"file": ["a"], "img": ["b"]}), r"be the path. Say which: image=\"file\""),
        (pd.DataFrame({"file": ["a"], "class": ["b"], "target": [1]}), r"which: label=\"class\""),
        (pd.DataFrame([["a", "b"]], columns=["image", "image"]), "two columns 'image'"),
        (pd.DataFrame({"file": []}), "The table lists no images"),
        (pd.DataFrame({"file": ["a", None]}), "row 1 .*there is no path"),
        (pd.DataFrame({"file": ["a", np.nan]}), "row 1 .*there is no path"),
        (pd.DataFrame({"file": ["ftp://b/a.jpg"]}), "is an address of a kind"),
        (pd.DataFrame({"file": ["a", "./a"]}), "a is listed twice"),
        (pd.DataFrame({"file": ["a"], "split": ["tset"]}), "unknown split 'tset'"),
        (pd.DataFrame({"file": ["a", "b"], "split": ["val", None]}), "1 of 2 images have no split"),
        ([{"image": 3}], "the image is 3. Expected a path, the bytes"),
        ([{"image": {"bytes": None, "path": None}}], "neither bytes nor a path"),
        ([{"image": {"bytes": b"x", "path": 3}}], "3 is no path"),
        ([{"image": "a\0.png"}], "is no path"),
        ([{"image": "a\ud800.png"}], "no file can have the name"),
        ([{"image": "a"}, "b"], "row 1 .*'b' is no dict"),
        ([{"image": "a", "label": datetime.date(2020, 1, 1)}], "Expected text or a whole number"),
        ({"image": ["a"]}, "is not a source. Expected a folder"),
        (3, "3 is not a source"),
    ],
)  # fmt: skip
def test_a_table_that_is_wrong_is_refused(table: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_catalog(table)  # type: ignore[arg-type]


def test_rows_that_come_one_by_one_are_a_table() -> None:
    """Such as a dataset of Hugging Face, which is neither a frame nor a list."""
    rows_of = [{"file_name": "b.jpg", "label": 1}, {"file_name": "a.jpg", "label": 0}]
    for found in (featx.scan(iter(rows_of)), as_catalog(iter(rows_of)), featx.scan(tuple(rows_of))):
        assert rows(found) == [("a.jpg", "0", ""), ("b.jpg", "1", "")]


def test_missing_values_are_no_labels() -> None:
    frame = pd.DataFrame({"file": list("abcd"), "label": ["x", None, np.nan, pd.NA]})
    assert [label for _, label, _ in rows(featx.scan(frame))] == ["x", None, None, None]


def test_pyarrow_is_asked_for_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = made_by("arrow")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"is read by pyarrow. Install it with: pip install"):
        featx.scan(frame)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models(tmp_path_factory.mktemp("tables"), 6, "lda")


def in_memory(folder: Path, form: str) -> list[dict[str, object]]:
    """Return the images of class folders as dicts, as Hugging Face has them."""
    forms = {
        "path": str,
        "dict": lambda path: {"bytes": path.read_bytes(), "path": f"{path.parent.name}{path.name}"},
        "path in dict": lambda path: {"bytes": None, "path": str(path)},
        "bytes": Path.read_bytes,
        "PIL": Image.open,
        "array": lambda path: np.asarray(Image.open(path)),
    }
    files = sorted(folder.rglob("*.png"))
    return [{"image": forms[form](path), "label": path.parent.name} for path in files]


@pytest.mark.parametrize("form", ["path", "dict", "path in dict", "bytes", "PIL", "array"])
def test_every_form_of_an_image_has_the_features_of_its_file(made: Path, form: str) -> None:
    table = in_memory(made / "photos", form)
    done = featx.extract(table, "t.h5", **TINY)
    assert (done.listed, done.cached, done.skipped) == (18, 18, [])
    with featx.Cache.open("t.h5") as found, featx.Cache.open(made / "f.h5") as expected:
        assert np.array_equal(found.features[()], expected.features[()])
        assert np.array_equal(found.pools[()], expected.pools[()])
        assert np.array_equal(found.labels, expected.labels)
        assert np.array_equal(found.sizes, expected.sizes)
        is_same = np.array_equal(found.digests, expected.digests)
        assert is_same == (form not in ("PIL", "array"))
        names = {"dict": "blue0.png", "bytes": "image 000000", "PIL": "image 000000"}
        assert found.catalog.paths[0] == names.get(form, found.catalog.paths[0])
    again = featx.extract(pd.DataFrame(table), "t.h5", **TINY)
    assert (again.computed, again.reused) == (0, 18)
    checked = featx.check(table)
    assert checked.usable == 18 and checked.classes == {"blue": 6, "green": 6, "red": 6}


def test_pixels_have_one_digest_and_copies(made: Path) -> None:
    images = [Image.open(path) for path in sorted((made / "photos").rglob("*.png"))[:6]]
    copies = {"copies": 2, "augment": "mild", **TINY}
    turned = images[0].transpose(Image.Transpose.ROTATE_90)
    exif = turned.getexif()
    exif[274] = 6  # shown turned by 90 degrees to the right
    saved = io.BytesIO()
    turned.save(saved, "PNG", exif=exif)
    table = [*({"image": np.asarray(image)} for image in images), {"image": Image.open(saved)},
             {"image": images[1].convert("RGBA")}]  # fmt: skip
    done = featx.extract(table, "c.h5", **copies)
    assert (done.listed, done.cached, done.duplicates) == (8, 6, 2)
    same = featx.extract([{"image": image} for image in images], "d.h5", **copies)
    with featx.Cache.open("c.h5") as arrays, featx.Cache.open("d.h5") as pillows:
        assert list(arrays.digests[:6]) == list(pillows.digests)
        assert np.array_equal(arrays.features[:6], pillows.features[()])
        assert not np.array_equal(arrays.features[0, 0], arrays.features[0, 1])
    assert same.computed == 18


def test_images_that_cannot_be_used_are_skipped_and_named(made: Path) -> None:
    good = in_memory(made / "photos", "dict")
    bad = [{"image": {"bytes": b"junk", "path": "junk.png"}}, {"image": b""},
           {"image": Image.new("F", (9, 9))}, {"image": "gone.png"}]  # fmt: skip
    done = featx.extract([*good, *bad], "b.h5", **TINY)
    assert {row.path: row.reason for row in done.skipped} == {
        "junk.png": "not_image",
        "image 000019": "empty",
        "image 000020": "unsupported",
        "gone.png": "vanished",
    }
    with pytest.raises(InputError, match=r"image 000000: An array of float64 .* is not an image"):
        featx.check([{"image": np.zeros((4, 4, 3))}])


def test_a_name_in_memory_is_not_taken_for_the_file_that_has_it(made: Path) -> None:
    """The stamps of a file say nothing of bytes that go by the same name."""
    shutil.copytree(made / "photos", "photos")
    first = featx.extract(pd.DataFrame({"image": ["photos/blue/0.png"]}), "n.h5", **TINY)
    assert first.computed == 1
    other = Path("photos/blue/1.png").read_bytes()
    table = [{"image": {"bytes": other, "path": "photos/blue/0.png"}}]
    again = featx.extract(table, "n.h5", prune=True, **TINY)
    with featx.Cache.open("n.h5") as cache:
        assert cache.digests[0] == hashlib.sha256(other).hexdigest()
    assert again.computed == 1


@pytest.mark.parametrize("form", ["path", "bytes", "PIL"])
def test_tables_are_scored_and_evaluated(made: Path, form: str) -> None:
    table = in_memory(made / "photos", form)
    model = featx.load(made / "lda.featx")
    scored = featx.score(model, table, "s.csv")
    assert (scored.listed, scored.ok) == (18, 18)
    evaluated = featx.evaluate(model, class_and_more(table))
    trained = len(model.trained_on)
    # What was trained on are files; their pixels have other digests.
    assert evaluated.trained_on == (0 if form == "PIL" else trained)
    assert evaluated.scores.images == 18 - evaluated.trained_on
    if form == "bytes":
        seen = featx.evaluate(model, table, split="train")
        assert seen.scores.images == trained
    opened = FileSource(model, featx.scan(table))
    changed = [{**row, "image": table[0]["image"]} if form == "bytes" else row for row in table]
    is_same = FileSource(model, as_catalog(changed)).identity == opened.identity
    assert is_same == (form != "bytes")


def class_and_more(table: list[dict[str, object]]) -> pd.DataFrame:
    return pd.DataFrame(table).assign(weight=1.0)


def test_pixels_that_were_trained_on_are_left_out(made: Path) -> None:
    table = in_memory(made / "photos", "PIL")
    featx.extract(table, "p.h5", **TINY)
    fitted = featx.fit("p.h5", "p.featx", head="lda")
    evaluated = featx.evaluate(fitted.model, table)
    assert evaluated.trained_on == len(fitted.model.trained_on) > 0


def test_columns_are_named_to_extract() -> None:
    class_folders(Path("photos"), 2)
    files = sorted(Path("photos").rglob("*.png"))
    frame = pd.DataFrame({"where": files, "what": [file.parent.name for file in files]})
    done = featx.extract(frame, "x.h5", image="where", label="what", **TINY)
    assert done.classes == {"blue": 2, "green": 2, "red": 2}
