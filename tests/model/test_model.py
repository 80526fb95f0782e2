"""A model in other processes, in a pickle, and in a line."""

import pickle
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pytest
from generated import tiny_models

import featx
from featx.model.file import save


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tiny_models(tmp_path_factory.mktemp("model"), 8, "logreg")
    dense = featx.fit(
        root / "f.h5", root / "dense.featx", head="dense", options={"epochs": 3}
    ).model
    cut, trunk = "block5_conv2", dense.fingerprint.trunk
    moved = replace(dense.fingerprint, trunk=replace(trunk, cut=cut))
    tuned = replace(dense, fingerprint=moved, tail=dense.tail_after(cut), digest="")
    save(tuned, root / "tuned.featx")
    return root


@pytest.mark.parametrize("name", ["logreg", "dense", "tuned"])
def test_a_model_can_be_pickled_before_and_after_it_predicts(made: Path, name: str) -> None:
    model = featx.load(made / f"{name}.featx", download_progress=lambda *_: None)
    images = sorted((made / "photos").rglob("*.png"))[:3]
    before = pickle.loads(pickle.dumps(model))
    expected = model.predict_proba(images)
    assert np.array_equal(before.predict_proba(images), expected)
    after = pickle.loads(pickle.dumps(model))
    assert np.array_equal(after.predict_proba(images), expected)
    assert len(pickle.dumps(model)) < (30 << 20 if name == "tuned" else 1 << 20)


@pytest.mark.slow
def test_other_processes_can_predict(made: Path) -> None:
    model = featx.load(made / "logreg.featx")
    images = sorted((made / "photos").rglob("*.png"))[:2]
    expected = model.predict(images)
    workers = joblib.Parallel(n_jobs=2)
    assert all(np.array_equal(found, expected) for found in workers(
        joblib.delayed(model.predict)(images) for _ in range(2)
    ))  # fmt: skip


def test_a_model_is_printed_in_a_line(made: Path) -> None:
    assert repr(featx.load(made / "logreg.featx")) == (
        "<featx.Model: logreg on avg of block5_pool at 32 px; 3 classes: blue, green, red>"
    )
    assert "fine-tuned from block5_conv3" in repr(featx.load(made / "tuned.featx"))


def test_functions_take_paths_and_what_is_open(made: Path, tmp_path: Path) -> None:
    with featx.Cache.open(made / "f.h5") as cache:
        board = featx.compare(cache, heads=("lda",), folds=2)
        fitted = featx.fit(cache, tmp_path / "m.featx", head="lda")
        assert featx.evaluate(fitted.model, cache).scores.images == 5
        assert featx.score(tmp_path / "m.featx", cache, tmp_path / "s.csv").ok == 24
        assert len(cache.features) == 24  # still open
    assert board.entries[0].head == "lda"
    assert featx.export(tmp_path / "m.featx", tmp_path / "m.keras").classes == ("blue", "green",
                                                                              "red")  # fmt: skip
