"""How a network is trained, beside the optimizer."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import featx
from featx.errors import InputError
from featx.finetuning.epochs import TrainingImages, _Batches, epoch_of
from featx.finetuning.recipe import Recipe


def test_batches_are_flipped_and_mixed_the_same_way_every_time(made: Path, tuned: Path) -> None:
    with featx.Cache.open(made / "f.block4_pool.h5") as cache:
        train, none = np.arange(12), np.empty(0, int)
        training = TrainingImages(cache, train, train % 2, none, none, 2)
        plain, same = (epoch_of(training, Recipe(batch_size=12), 3)[0] for _ in range(2))
        assert np.array_equal(plain[0], same[0])
        flipped, truth, _ = epoch_of(training, Recipe(batch_size=12, flip=True), 3)[0]
        mirrored = (flipped == plain[0][:, :, ::-1]).all(axis=(1, 2, 3))
        assert (
            (flipped == plain[0]).all(axis=(1, 2, 3)) | mirrored
        ).all() and 0 < mirrored.sum() < 12
        assert np.array_equal(truth, plain[1])
        features, truth, weights = epoch_of(training, Recipe(batch_size=12, mixup=1.0), 3)[0]
        assert features.dtype == truth.dtype == weights.dtype == np.float32
        assert np.allclose(truth.sum(axis=1), 1) and ((truth > 0) & (truth < 1)).any()
        assert np.allclose(features.mean(), plain[0].mean(), rtol=1e-3)
        assert not np.allclose(features, plain[0])


@pytest.mark.slow
def test_weights_stay_near_their_start_and_are_averaged(made: Path, tmp_path: Path) -> None:
    start = featx.load(made / "m.featx").tail_after("block5_conv2").arrays["block5_conv3"][0]

    def moved(**changes: Any) -> np.ndarray:
        settings = {"unfreeze": 2, "epochs": 3, "patience": 3, "batch_size": 8, "validation": 0.3,
                    "optimizer": "sgd", "learning_rate": 0.05, "force": True}  # fmt: skip
        name = tmp_path / f"{'-'.join(changes)}.featx"
        found = featx.finetune(made / "m.featx", name, **{**settings, **changes}).model
        assert found.report["tuning"]["epochs"] > 0 and found.tail
        return found.tail.arrays["block5_conv3"][0] - start

    far = np.abs(moved()).mean()
    assert 0 < np.abs(moved(l2_sp=5.0)).mean() < far
    assert np.abs(moved(cosine=True)).mean() > 0
    assert np.abs(moved(average=3)).mean() > 0


def test_the_learning_rate_falls_like_half_a_cosine() -> None:
    network = SimpleNamespace(optimizer=SimpleNamespace(learning_rate=None))
    recipe = Recipe(epochs=4, learning_rate=1.0, warmup=0, cosine=True)
    rates = []
    for epoch in range(2):  # of the four that there may be
        around = _Batches(network, recipe, epoch, batches=2, epochs=2, begun=0, progress=None)
        for batch in range(2):
            around._begin(batch)
            rates.append(network.optimizer.learning_rate)
    assert rates == pytest.approx((1 + np.cos(np.pi * np.arange(4) / 8)) / 2)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1.0])
@pytest.mark.parametrize("name", ["l2_sp", "mixup", "weight_decay", "warmup", "learning_rate"])
def test_settings_that_are_no_numbers_are_refused(name: str, number: float) -> None:
    with pytest.raises(InputError, match=f"{name} is .* Expected"):
        Recipe(**{name: number})
