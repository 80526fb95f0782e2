"""Fine-tuning, on the real VGG16 with random weights and small images."""

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generated import TINY, class_folders, forged, without_pools

import featx
from featx import metrics
from featx.errors import CorruptError, IncompatibleError, InputError
from featx.finetuning.cut import cache_at
from featx.heads import registry
from featx.model import keras_network
from featx.model.file import save
from featx.network import tail
from featx.network.fingerprint import Fingerprint, TrunkFingerprint

FAST = {"epochs": 1, "batch_size": 8, "learning_rate": 1e-4}


LAYERED = [name for name, head in registry.HEADS.items() if head.layers]


@pytest.mark.parametrize(
    ("head", "classes", "view"),
    [
        *((head, 2 + (number % 2), "avg") for number, head in enumerate(LAYERED)),
        *((head, 3 - (number % 2), "flatten") for number, head in enumerate(LAYERED)),
        ("lda", 3, "max"),
        ("lda", 2, "avgmax"),
    ],
)
def test_every_head_that_can_is_the_same_as_layers(head: str, classes: int, view: str) -> None:
    from featx.heads.training import Examples, train
    from featx.metrics import METRICS
    from featx.model.keras_network import build_network
    from featx.network.views import make_view

    random = np.random.default_rng(0)
    y = np.arange(36) % classes
    features = random.random((36, 2, 2, 512), np.float32) + (random.random((classes, 512)) * 2)[
        y, np.newaxis, np.newaxis
    ].astype(np.float32)
    trunk = TrunkFingerprint("ab", "torch", "block5_pool", 64, "crop")
    made = Fingerprint(trunk, 0, "", 0, "float16", "float32")
    rows = make_view(view, made).rows(without_pools(features))
    row = registry.HEADS[head]
    options = {"epochs": 3} if row.keras else {}
    data = Examples(rows[:, np.newaxis], y, np.arange(36))
    candidates, metric = row.param_candidates(options)[:1], METRICS["accuracy"]
    fitted = train(row, data, candidates=candidates, metric=metric, seed=0)
    network = keras_network.head_as_network(head, fitted.classifier)
    expected = fitted.classifier.predict_proba(rows)
    assert np.allclose(network.predict_proba(rows), expected, atol=1e-5)
    layers = tail.Tail("block5_conv3", "block5_pool", (4, 4, 512), {})
    whole = build_network(layers, view, network)
    unpooled = features.repeat(2, axis=1).repeat(2, axis=2)  # what the pool makes features of
    assert np.allclose(whole.predict(unpooled, verbose=0), expected, atol=1e-4)


def test_heads_that_cannot_say_which_can() -> None:
    assert keras_network.can_be_layers() == LAYERED
    with pytest.raises(InputError, match=r"head knn cannot become layers .* nearest-centroid, lda"):
        keras_network.head_as_network("knn", None)


def test_unfreezing_moves_the_cut() -> None:
    assert tail.unfrozen("block5_pool", 4) == tail.Unfrozen(
        "block4_pool",
        "block5_pool",
        ("block5_conv1", "block5_conv2", "block5_conv3", "block5_pool"),
    )
    assert tail.unfrozen("block5_pool", 1).cut == "block5_conv3"
    assert tail.unfrozen("block5_pool", 18).cut == "input"
    assert tail.unfrozen("block5_pool", 4, start="block5_conv3").cut == "block5_conv2"
    assert tail.unfrozen("block4_pool", 2).layers == ("block4_conv3", "block4_pool")
    further = tail.unfrozen("block5_pool", 2, own="block4_pool")
    assert (further.cut, further.layers) == ("block4_pool", ("block5_conv3", "block5_pool"))
    for count in (0, 19, 99):
        with pytest.raises(InputError, match="There are 18 up to block5_pool: expected 1 to 18"):
            tail.unfrozen("block5_pool", count)
    with pytest.raises(InputError, match=r"Unknown layer 'fc1'\. Expected one of block1_conv1"):
        tail.unfrozen("block5_pool", 4, start="fc1")


def test_a_tail_has_the_weights_of_its_convolutions_and_no_others() -> None:
    with pytest.raises(CorruptError, match="needs the weights of block5_conv3; there are those of"):
        tail.Tail("block5_conv2", "block5_pool", (2, 2, 512), {"block1_conv1": (None, None)})  # type: ignore[dict-item]


def test_the_cache_at_the_cut_is_made_once_beside_the_first(made: Path, tuned: Path) -> None:
    at_cut = made / "f.block4_pool.h5"
    with featx.Cache.open(at_cut) as cache, featx.Cache.open(made / "f.h5") as first:
        assert first.fingerprint.without_layers().differences(cache.fingerprint) == {
            "cut": ("block5_pool", "block4_pool")
        }
        assert list(cache.digests) == list(first.digests)
    before = at_cut.stat().st_mtime_ns
    (made / "photos").rename(made / "elsewhere")
    try:
        model = featx.load(made / "m.featx")
        assert cache_at("block4_pool", model, None, made / "x.featx", None) == at_cut
    finally:
        (made / "elsewhere").rename(made / "photos")
    assert at_cut.stat().st_mtime_ns == before


def test_a_tuned_model_scores_as_any_other(made: Path, tuned: Path, tmp_path: Path) -> None:
    model = featx.load(tuned)
    assert model.tail and model.fingerprint.trunk.cut == "block4_pool"
    assert model.head_name == "softmax" and model.settings["tuned_from"] == "logreg"
    assert set(model.tail.arrays) == {"block5_conv1", "block5_conv2", "block5_conv3"}
    before = featx.load(made / "m.featx").tail_after("block4_pool")
    for name, (kernel, _) in model.tail.arrays.items():
        assert not np.array_equal(kernel, before.arrays[name][0])
    featx.score(model, made / "photos", tmp_path / "p.csv")
    featx.score(model, made / "f.block4_pool.h5", tmp_path / "c.csv")
    assert (tmp_path / "p.csv").read_text() == (tmp_path / "c.csv").read_text()
    found = featx.evaluate(model, made / "f.block4_pool.h5").scores.as_dict()
    for name, value in model.report["test"].items():
        if isinstance(value, float):
            assert found[name] == pytest.approx(value, abs=1e-5)
    with pytest.raises(IncompatibleError, match="cut: block5_pool in the cache, block4_pool in"):
        featx.score(model, made / "f.h5", tmp_path / "x.csv")
    tuning = model.report["tuning"]
    assert len(tuning["history"]["final"]["loss"]) == tuning["epochs"] > 0
    assert (
        len(tuning["history"]["choose"]["val_loss"]) == len(tuning["history"]["choose"]["loss"]) + 1
    )


def test_the_head_stays_where_tuning_is_no_better(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.featx"
    found = featx.finetune(made / "m.featx", out, **{**FAST, "learning_rate": 0.03})
    assert not found.kept and found.reason.startswith("The head stays as it was: on ")
    kept, before = featx.load(out), featx.load(made / "m.featx")
    assert kept.tail is None and kept.fingerprint == before.fingerprint
    assert kept.report["test"] == before.report["test"]
    assert kept.report["tuning"]["kept"] is False
    with featx.Cache.open(made / "f.h5") as cache:
        X = cache.matrix(kept.view).X
    assert np.array_equal(kept.predict_proba_rows(X), before.predict_proba_rows(X))


def test_better_is_likelier_and_not_less_often_right() -> None:
    y = np.array([0, 0, 1, 1])
    one = np.array([[0.7, 0.3], [0.6, 0.4], [0.4, 0.6], [0.6, 0.4]])
    likelier = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.6, 0.4]])
    wrong = np.array([[0.99, 0.01], [0.99, 0.01], [0.51, 0.49], [0.51, 0.49]])
    assert metrics.compare_paired(one, likelier, y).is_better
    assert not metrics.compare_paired(one, wrong, y).is_better
    assert not metrics.compare_paired(likelier, one, y).is_better
    assert not metrics.compare_paired(one, one, y).is_better
    found = metrics.compare_paired(one, likelier, y)
    differences = np.log([0.7 / 0.9, 0.6 / 0.8, 0.6 / 0.8, 1])
    assert found.difference == pytest.approx(differences.mean())
    assert found.standard_error == pytest.approx(differences.std(ddof=1) / 2)


def test_a_head_that_cannot_is_replaced_by_the_best_that_can(
    made: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = featx.fit(made / "f.h5", tmp_path / "b.featx", heads=("knn", "lda")).model
    report = json.loads(json.dumps(model.report))
    knn = featx.fit(made / "f.h5", tmp_path / "k.featx", head="knn").model
    save(replace(knn, report=report), tmp_path / "k.featx")
    found = featx.finetune(tmp_path / "k.featx", tmp_path / "t.featx", made / "f.h5", force=True,
                           unfreeze=2, epochs=1)  # fmt: skip
    assert "The head knn on avgmax cannot become layers" in caplog.text
    assert found.model.report["tuning"]["head"] == "lda"
    save(replace(knn, report={**report, "leaderboard": None}), tmp_path / "k.featx")
    other = featx.finetune(tmp_path / "k.featx", tmp_path / "x.featx", made / "f.h5", force=True,
                           unfreeze=2, epochs=1)  # fmt: skip
    assert other.model.report["tuning"]["head"] == "ridge"
    assert (other.model.head_name, other.model.view.name) == ("knn", "avgmax")


def test_a_tuned_model_can_be_tuned_further(made: Path, tuned: Path, tmp_path: Path) -> None:
    found = featx.finetune(tuned, tmp_path / "u.featx", unfreeze=2, force=True, **FAST)
    one, two = featx.load(tuned).tail, found.model.tail
    assert one and two and found.model.settings["tuned_from"] == "logreg"
    assert np.array_equal(one.arrays["block5_conv1"][0], two.arrays["block5_conv1"][0])
    assert not np.array_equal(one.arrays["block5_conv3"][0], two.arrays["block5_conv3"][0])


@pytest.mark.slow
def test_the_whole_network_can_be_tuned(made: Path, tmp_path: Path) -> None:
    found = featx.finetune(made / "m.featx", tmp_path / "w.featx", unfreeze=18, force=True,
                           epochs=1, batch_size=32, optimizer="sgd")  # fmt: skip
    assert found.model.fingerprint.trunk.cut == "input"
    assert found.cache == made / "f.input.h5"
    assert len(found.model.tail.arrays) == 13  # type: ignore[union-attr]
    again = featx.load(tmp_path / "w.featx").predict_proba([made / "photos/red/3.png"])
    assert np.allclose(again.sum(), 1)


# What is refused ----------------------------------------------------------------------------


def test_a_wrong_preprocessing_is_caught(made: Path, tuned: Path, tmp_path: Path) -> None:
    right, out = made / "f.block4_pool.h5", tmp_path / "t.featx"
    settings = {"cut": "block4_pool", "copies": 1, "augment": "flip", **TINY}
    featx.extract(made / "photos", tmp_path / "torch.h5", preprocessing="torch", **settings)
    bad = Path(shutil.copy(right, tmp_path / "bad.h5"))  # it says what the right one says
    with featx.Cache.open(tmp_path / "torch.h5") as cache, forged(bad) as file:
        file["features"][...] = cache.features[()]
    with pytest.raises(IncompatibleError, match=r"not give the model's own probabilities"):
        featx.finetune(made / "m.featx", out, bad, **FAST)
    assert not out.exists()


def test_caches_that_do_not_belong(made: Path, tuned: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.featx"

    def refused(error: type[Exception], message: str, source: Path, **settings: Any) -> None:
        with pytest.raises(error, match=message):
            featx.finetune(made / "m.featx", out, source, **{**FAST, **settings})
        assert not out.exists()

    class_folders(tmp_path / "fewer", 8, lies=5)
    refused(InputError, "does not hold .* of the 28 images", tmp_path / "fewer")
    featx.extract(made / "photos", tmp_path / "64.h5", weights="random", size=64)
    refused(IncompatibleError, "size: 64 there, 32 needed", tmp_path / "64.h5")
    class_folders(tmp_path / "moved", 12, lies=5)
    with featx.Cache.open(made / "f.h5") as cache:
        trained = {row.tobytes().hex() for row in featx.load(made / "m.featx").training["digests"]}
        path = next(p for p, d in zip(cache.catalog.paths, cache.digests, strict=True)
                    if d in trained and p.startswith("red"))  # fmt: skip
    (tmp_path / "moved" / path).rename(tmp_path / "moved" / "blue" / "moved.png")
    refused(
        InputError, "have another label than when .* 'red' then, 'blue' now", tmp_path / "moved"
    )
    (tmp_path / "moved" / "blue").rename(tmp_path / "moved" / "violet")
    refused(
        InputError, "have another label than when .* 'blue' then, 'violet' now", tmp_path / "moved"
    )
    listed = "\n".join(
        str(path.relative_to(made)) for path in sorted((made / "photos").rglob("*.png"))
    )
    (made / "list.csv").write_text(f"path\n{listed}\n")
    refused(InputError, "have no labels", made / "list.csv")
    refused(InputError, "0 layers are to be trained", made / "f.h5", unfreeze=0)
    refused(InputError, "99 layers are to be trained", made / "f.h5", unfreeze=99)
    refused(InputError, "Unknown optimizer 'lion'", made / "f.h5", optimizer="lion")
    refused(InputError, "epochs is 0", made / "f.h5", epochs=0)
    with pytest.raises(InputError, match="is the model itself"):
        featx.finetune(made / "m.featx", made / "m.featx", **FAST)


# Killed -------------------------------------------------------------------------------------


def test_a_killed_training_goes_on_from_its_last_epoch(
    made: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "killed.featx"
    command = [sys.executable, "-m", "featx", "finetune", str(made / "m.featx"), "--force",
               "--unfreeze", "2", "--epochs", "2", "--patience", "2", "--batch-size", "4",
               "--dropout", "0.2", "--optimizer", "adam", "-o", str(out)]  # fmt: skip
    settings = {"unfreeze": 2, "epochs": 2, "patience": 2, "batch_size": 4, "dropout": 0.2}
    featx.finetune(made / "m.featx", tmp_path / "whole.featx", force=True, **settings)
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while not (tmp_path / "killed.featx.checkpoint").exists():  # then epoch 1 is done
        assert run.poll() is None
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    assert not out.exists()
    with pytest.raises(IncompatibleError, match=r"with other .*epochs.* --overwrite"):
        featx.finetune(made / "m.featx", out, force=True, unfreeze=2, epochs=9)
    caplog.clear()
    caplog.set_level("INFO")
    featx.finetune(made / "m.featx", out, force=True, **settings)
    assert "Epoch 1 (choose)" not in caplog.text and "Epoch 1 (final)" in caplog.text
    assert not list(tmp_path.glob("*.checkpoint")) and not list(tmp_path.glob(".*.partial"))
    one, two = featx.load(tmp_path / "whole.featx"), featx.load(out)
    assert one.tail and two.tail
    for name in one.tail.arrays:
        assert np.array_equal(one.tail.arrays[name][0], two.tail.arrays[name][0])
    assert np.array_equal(one.training["fitted"], two.training["fitted"])
    histories = [dict(model.report["tuning"]["history"]) for model in (one, two)]
    assert histories[0] == histories[1]
