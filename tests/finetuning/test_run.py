"""Heads that cannot become layers: fitted again on layers that were trained from another head."""

from pathlib import Path

import numpy as np
import pytest
from generated import TINY, write_image

import featx
from featx.errors import InputError
from featx.heads import registry

FAST = {"epochs": 1, "batch_size": 8, "learning_rate": 1e-4}
LAYERED = [name for name, head in registry.HEADS.items() if head.layers]


@pytest.mark.parametrize(
    ("head", "view"),
    [
        ("kernel-ridge", "layers"),
        pytest.param("ridge", "layers", marks=pytest.mark.slow),
        pytest.param("kernel-ridge", "covariance", marks=pytest.mark.slow),
    ],
)
def test_a_head_that_cannot_be_layers_is_fitted_again_on_tuned_ones(
    made: Path, tmp_path: Path, head: str, view: str
) -> None:
    before = featx.fit(made / "f.h5", tmp_path / "m.featx", head=head, view=view).model
    out = tmp_path / "t.featx"
    found = featx.finetune(tmp_path / "m.featx", out, made / "f.h5", force=True, **FAST)
    assert found.reason.startswith(f"The head {head} on {view}, fitted again on the fine-tuned")
    assert found.cache.name == f"f.block4_pool{'.layers' * (view == 'layers')}.h5"
    model = featx.load(out)
    assert (model.head_name, model.view.name, model.settings) == (head, view, before.settings)
    assert model.tail and model.report["tuning"]["head"] in LAYERED
    assert model.tail.arrays.keys() == {"block5_conv1", "block5_conv2", "block5_conv3"}
    if model.view.projection and before.view.projection:
        assert not np.array_equal(model.view.projection.mean, before.view.projection.mean)
    featx.score(model, made / "photos", tmp_path / "p.csv")
    featx.score(model, found.cache, tmp_path / "c.csv")
    assert (tmp_path / "p.csv").read_text() == (tmp_path / "c.csv").read_text()
    scores = featx.evaluate(model, found.cache).scores.as_dict()
    for name, value in model.report["test"].items():
        if isinstance(value, float):
            assert scores[name] == pytest.approx(value, abs=1e-5)
    assert not featx.verify(out).problems
    if (head, view) != ("kernel-ridge", "layers"):
        return
    assert featx.export(model, tmp_path / "m.keras").apart < 1e-3
    further = featx.finetune(out, tmp_path / "u.featx", unfreeze=2, force=True, **FAST).model
    assert further.head_name == head and further.tail
    one, two = model.tail.arrays, further.tail.arrays
    assert np.array_equal(one["block5_conv1"][0], two["block5_conv1"][0])
    assert not np.array_equal(one["block5_conv3"][0], two["block5_conv3"][0])


def test_a_head_that_is_no_better_on_tuned_layers_stays(made: Path, tmp_path: Path) -> None:
    before = featx.fit(
        made / "f.h5", tmp_path / "m.featx", head="kernel-ridge", view="layers"
    ).model
    found = featx.finetune(tmp_path / "m.featx", tmp_path / "t.featx", made / "f.h5",
                           **{**FAST, "learning_rate": 0.03})  # fmt: skip
    assert not found.kept and found.reason.startswith("The head stays as it was, and is not fitted")
    kept = featx.load(tmp_path / "t.featx")
    assert kept.tail is None and kept.report["test"] == before.report["test"]


def test_pools_that_no_tail_gives_are_refused(made: Path, tmp_path: Path) -> None:
    featx.extract(made / "photos", tmp_path / "m.h5", mirror=True, **TINY)
    featx.fit(tmp_path / "m.h5", tmp_path / "m.featx", head="kernel-ridge", view="layers")
    with pytest.raises(InputError, match="over 2 passes, at 32 and 32 mirrored pixels"):
        featx.finetune(tmp_path / "m.featx", tmp_path / "t.featx", **FAST)
    featx.extract(
        made / "photos", tmp_path / "4.h5", cut="block4_pool", layers=("block5_conv3",), **TINY
    )
    featx.fit(tmp_path / "4.h5", tmp_path / "4.featx", head="kernel-ridge", view="layers")
    with pytest.raises(InputError, match="sees block5_conv3, which comes after block4_pool"):
        featx.finetune(tmp_path / "4.featx", tmp_path / "t.featx", **FAST)
    assert not (tmp_path / "t.featx").exists()


def test_a_given_validation_split_compares_the_own_head_too(tmp_path: Path) -> None:
    for start, (split, each) in enumerate((("train", 8), ("val", 4), ("test", 4))):
        for hue, name in enumerate(("green", "red")):
            for number in range(each):
                path = tmp_path / "photos" / split / name / f"{number}.png"
                write_image(path, 1000 * start + 100 * hue + number, hue)
    featx.extract(tmp_path / "photos", tmp_path / "f.h5", **TINY)
    featx.fit(tmp_path / "f.h5", tmp_path / "m.featx", head="kernel-ridge", view="layers")
    found = featx.finetune(tmp_path / "m.featx", tmp_path / "t.featx", force=True, **FAST)
    tuning = found.model.report["tuning"]
    assert found.comparison.images == tuning["test"]["tuned"]["images"] == 8
    assert found.model.head_name == "kernel-ridge" and not tuning["history"]["final"]
    with featx.Cache.open(found.cache) as cache:
        val = np.flatnonzero(cache.catalog.splits == "val")
        paths = [cache.catalog.file(index) for index in val]
        truth = np.maximum(found.model.predict_proba(paths)[np.arange(8), cache.labels[val]], 1e-15)
    assert found.comparison.log_loss_after == pytest.approx(-np.log(truth).mean(), abs=1e-3)
