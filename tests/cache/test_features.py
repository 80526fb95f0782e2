"""The features of a cache as tables of other programs, and as a data frame."""

import csv
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from generated import TINY, class_folders, tiny_models
from typer.testing import CliRunner

import featx
from featx.cache import features as tables
from featx.cli import app
from featx.errors import InputError, LockedError
from featx.storage import locks

IMAGE = ["path", "label", "split", "group", "digest", "width", "height"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with f.h5: odd names, an image without a label, two groups, copies."""
    root = tmp_path_factory.mktemp("features")
    class_folders(root / "photos", 4)
    odd = ["=2+2.png", 'a\nb, "c".png', "ü.png", os.fsdecode(b"caf\xe9.png")]
    for number, name in enumerate(odd):
        shutil.move(root / f"photos/blue/{number}.png", root / "photos/blue" / name)
    files = sorted((root / "photos").rglob("*.png"))
    rows = [{"image": str(file), "label": file.parent.name, "split": "train", "group": "g 1"}
            for file in files]  # fmt: skip
    rows[-1] |= {"label": None, "split": "test", "group": None}
    featx.extract(rows, root / "f.h5", copies=1, augment="flip", cut="block4_pool", **TINY)
    return root


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app.app, ["features", *map(str, words)])
    return result.exit_code, result.output


def test_a_frame_has_what_images_are_and_their_features(made: Path) -> None:
    with featx.Cache.open(made / "f.h5") as cache:
        frame = cache.to_frame()
        X = cache.matrix("avg", copies=0).X
        assert list(frame.columns[:7]) == IMAGE and len(frame) == len(cache) == 12
        assert list(frame.columns[7:9]) == ["block4_pool_avg_0", "block4_pool_avg_1"]
        assert np.array_equal(frame.iloc[:, 7:].to_numpy(), X)
        assert {str(kind) for kind in frame.dtypes.iloc[7:]} == {"float32"}
        assert frame["path"].tolist() == cache.catalog.paths.tolist()
        assert frame["digest"].tolist() == cache.digests.tolist()
        assert frame[["width", "height"]].to_numpy().tolist() == cache.sizes.tolist()
        assert frame["label"].isna().sum() == 1 and set(frame["label"].dropna()) == {
            "blue", "green", "red"
        }  # fmt: skip
        assert frame["group"].isna().sum() == 1 and "test" in set(frame["split"])
        few = cache.to_frame("max", images=np.array([3, 1]))
        assert few["path"].tolist() == cache.catalog.paths[[3, 1]].tolist()
        assert few.columns[7] == "block4_pool_max_0"
        assert cache.to_frame(images=np.array([], int)).shape == (0, 7 + 512)


def test_each_feature_has_its_name(made: Path, tmp_path: Path) -> None:
    with featx.Cache.open(made / "f.h5") as cache:
        names = {view: list(cache.to_frame(view).columns[7:]) for view in
                 ("avg", "avgmax", "flatten", "layers")}  # fmt: skip
        features = cache.features[0, 0].astype(np.float32)
        row = cache.to_frame("flatten").iloc[0]
    assert names["avgmax"] == [
        *names["avg"], *(name.replace("avg", "max") for name in names["avg"])
    ]  # fmt: skip
    assert features.shape == (2, 2, 512) and len(names["flatten"]) == 2 * 2 * 512
    length = np.linalg.norm(features)
    assert row["block4_pool_1_0_7"] == pytest.approx(features[1, 0, 7] / length, abs=1e-6)
    assert names["layers"][:1] == ["block4_conv1_avg_0"]
    assert names["layers"][512] == "block4_conv1_max_0" and len(names["layers"]) == 3 * 2 * 512
    featx.extract(made / "photos", tmp_path / "s.h5", weights="random", size=(32, 64))
    with featx.Cache.open(tmp_path / "s.h5") as cache:
        wide = cache.to_frame("layers").columns
    assert "block4_conv1_32_avg_0" in wide and "block5_conv3_64_max_511" in wide
    assert len(set(wide)) == len(wide)


@pytest.mark.parametrize("view", ["avg", "layers", "flatten"])
@pytest.mark.parametrize("rows", [5, 1000])
def test_every_format_has_the_same_rows(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, view: str, rows: int
) -> None:
    with featx.Cache.open(made / "f.h5") as cache:
        wanted, X = cache.to_frame(view), cache.matrix(view, copies=0).X
        catalog, digests, sizes = cache.catalog, cache.digests, cache.sizes
    monkeypatch.setattr(tables, "_BLOCK", rows * 4 * X.shape[1])
    told: list[tuple[int, int]] = []
    for suffix in ("parquet", "npz", "csv"):
        out = tmp_path / f"x.{suffix}"
        done = featx.write_features(
            made / "f.h5", out, view=view, progress=lambda *units: told.append(units[:2])
        )
        assert (done.images, done.features, done.view) == (12, X.shape[1], view)
        assert done.bytes == out.stat().st_size and done.as_dict()["out"] == str(out)
        assert not list(tmp_path.glob(".*"))
        assert told[0] == (0, 12) and told[-1] == (12, 12) and (rows > 12 or len(told) == 4)
        told.clear()
        if suffix == "npz":
            with np.load(out, allow_pickle=False) as found:
                assert np.array_equal(found["X"], X) and found["X"].dtype == np.float32
                assert found["paths"].tolist() == catalog.paths.tolist()
                assert found["digests"].tolist() == digests.tolist()
                assert np.array_equal(found["y"], catalog.labels)
                assert np.array_equal(found["sizes"], sizes)
                assert found["classes"].tolist() == list(catalog.classes)
                assert found["splits"].tolist() == catalog.splits.tolist()
                assert found["groups"].tolist() == catalog.groups.tolist()
                assert found["columns"].tolist() == list(wanted.columns[7:])
                about = json.loads(str(found["about"]))
                assert about["view"] == view and about["fingerprint"]["size"] == 32
        elif suffix == "parquet":
            found = pd.read_parquet(out)
            assert np.array_equal(found.iloc[:, 7:].to_numpy(), X)
            assert list(found.columns) == list(wanted.columns)
            assert found["path"].tolist()[3].endswith("ü.png") or "ü" in "".join(found["path"])
            assert any(path.endswith("caf\\xe9.png") for path in found["path"])
            pd.testing.assert_frame_equal(
                found[IMAGE[1:]].astype(object), wanted[IMAGE[1:]].astype(object), check_dtype=False
            )
        else:
            with out.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
                lines = list(csv.reader(file))
            assert lines[0] == list(wanted.columns)
            assert np.array_equal(np.array([line[7:] for line in lines[1:]], np.float32), X)
            assert [line[0] for line in lines[1:]] == wanted["path"].tolist()
            assert lines[-1][1] == "" and lines[1][5:7] == ["48", "36"]


def test_a_text_that_is_a_formula_is_guarded(made: Path, tmp_path: Path) -> None:
    rows = [{"image": {"bytes": path.read_bytes(), "path": f"={number}"}, "label": "@sum"}
            for number, path in enumerate((made / "photos").rglob("?.png"))]  # fmt: skip
    featx.extract(rows, tmp_path / "g.h5", **TINY)
    featx.write_features(tmp_path / "g.h5", tmp_path / "g.csv")
    with (tmp_path / "g.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["path"] == "'=0"


def test_what_cannot_be_written_is_refused(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, out = made / "f.h5", tmp_path / "x.npz"
    with pytest.raises(InputError, match=r"x\.txt: expected a name that ends in \.parquet, \.npz"):
        featx.write_features(cache, tmp_path / "x.txt")
    with pytest.raises(InputError, match=r"covariance is learned from training images.* avg, max"):
        featx.write_features(cache, out, view="covariance")
    with pytest.raises(InputError, match=r"Unknown view 'agv'\..*Did you mean 'avg'"):
        featx.write_features(cache, out, view="agv")  # type: ignore[call-arg]
    with pytest.raises(InputError, match=r"gone\.h5 does not exist"):
        featx.write_features(tmp_path / "gone.h5", out)
    out.write_text("mine")
    with pytest.raises(InputError, match=r"x\.npz exists"):
        featx.write_features(cache, out)
    assert out.read_text() == "mine"
    assert featx.write_features(cache, out, overwrite=True).images == 12
    with locks.lock_output(out), pytest.raises(LockedError):
        featx.write_features(cache, out, overwrite=True)
    featx.extract(made / "photos", tmp_path / "n.h5", layers=(), **TINY)
    with pytest.raises(InputError, match="needs layer pools"):
        featx.write_features(tmp_path / "n.h5", tmp_path / "y.npz", view="layers")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install 'featx\[parquet\]', or give an output"):
        featx.write_features(cache, tmp_path / "x.parquet")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with (
        featx.Cache.open(cache) as opened,
        pytest.raises(InputError, match=r"pip install 'featx\[pandas\]'"),
    ):
        opened.to_frame()
    assert {path.name for path in tmp_path.iterdir()} >= {"x.npz"}
    assert not list(tmp_path.glob(".*.partial"))


def test_the_command_writes_and_tells(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "ü x.csv"
    code, said = run(made / "f.h5", "-o", out, "--pool", "max")
    assert code == 0 and "ü x.csv: 12 images with 512 features each" in said
    code, said = run(made / "f.h5", "-o", out)
    assert code == 2 and "exists. Give another output" in said
    code, said = run(made / "f.h5", "-o", out, "--overwrite", "--json", "--view", "avgmax")
    told = json.loads(said)
    assert code == 0 and told["features"] == 1024 and told["bytes"] == out.stat().st_size
    code, said = run(made / "f.h5")
    assert code == 2 and "Missing option '-o'" in said


def test_an_interrupted_run_leaves_nothing(made: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int, *_: object) -> None:
        if done:
            raise KeyboardInterrupt

    for suffix in ("parquet", "npz", "csv"):
        with pytest.raises(KeyboardInterrupt):
            featx.write_features(made / "f.h5", tmp_path / f"x.{suffix}", progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_scikit_learn_trains_on_what_was_written(tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    root = tiny_models(tmp_path, 6)
    featx.write_features(root / "f.h5", root / "f.npz")
    with np.load(root / "f.npz") as found:
        model = LogisticRegression(C=10).fit(found["X"], found["y"])
        assert model.score(found["X"], found["y"]) == 1.0
