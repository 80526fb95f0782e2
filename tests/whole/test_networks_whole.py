"""What holds for VGG16 holds for each network: the whole way of images through every command."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generated import class_folders
from typer.testing import CliRunner

import featx
from featx import backend
from featx.cache.parts import Parts
from featx.cli.app import app
from featx.errors import IncompatibleError, InputError
from featx.network import hardware
from featx.network.networks import get_network
from featx.network.weights import Weights
from featx.storage import files

#: name → the settings of an extraction that is quick here.
CHAIN: dict[str, dict[str, Any]] = {
    "vgg16": {"size": 32},
    "resnet50": {"size": 32},
    "efficientnet-lite0": {"size": 32},
    "mobilenet-v2": {"size": 64},
    "efficientnet-v2-b0": {"size": 64},
    "convnext-tiny": {"size": 32},
}
#: VGG16 goes all of these ways in the tests of each command.
OFTEN = ("resnet50", "efficientnet-lite0")


def weights_of(name: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the settings for real weights where they are within reach, else for random ones."""
    fixtures = {"efficientnet-lite0": "lite0", "mobilenet-v2": "mobilenet_v2"}
    if name not in fixtures:
        return {"weights": "random"}
    try:
        found: Weights = request.getfixturevalue(fixtures[name])
    except pytest.skip.Exception:
        return {"weights": "random"}
    return {"weights": str(found.path), "preprocessing": found.preprocessing}


@pytest.mark.parametrize(
    "name",
    [name if name in OFTEN else pytest.param(name, marks=pytest.mark.slow) for name in CHAIN],
)
def test_the_whole_way(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "photos", 8, lies=4)
    settings = {**CHAIN[name], **weights_of(name, request), "network": name}
    cache, model, tuned = (tmp_path / file for file in ("f.h5", "m.featx", "t.featx"))
    made = featx.extract(folder, cache, copies=1, augment="flip", **settings)
    row = get_network(name)
    assert made.fingerprint.trunk.network == name and made.fingerprint.layers == row.pooled
    assert made.computed == 48  # with the copies
    again = featx.extract(folder, cache, copies=1, augment="flip", **settings)
    assert (again.computed, again.reused) == (0, 24)
    with featx.Cache.open(cache) as opened:
        assert opened.features.shape == (24, 2, *row.shape(row.last, settings["size"]))
        assert opened.matrix("layers").X.shape[1] == sum(2 * row.cuts[cut][1] for cut in row.pooled)
    board = featx.compare(cache, heads=("ridge", "logreg"))
    assert {entry.view for entry in board.entries} >= {"avg", "layers", "covariance"}
    assert board.choice.network == name and board.choice.gmac > 0
    fitted = featx.fit(cache, model, head="logreg")
    assert fitted.model.fingerprint.trunk.network == name and not featx.verify(model).problems
    assert not featx.verify(cache).problems
    count = 2 if name == "vgg16" else 1  # its last layer is a pool
    check_tuning(featx.finetune(model, tuned, cache, unfreeze=count, epochs=1, force=True,
                                weights=settings["weights"]), name)  # fmt: skip
    assert not featx.verify(tuned).problems
    loaded = featx.load(tuned, weights=settings["weights"])
    scored = featx.score(loaded, folder, tmp_path / "s.csv")
    assert scored.ok == 24
    with (tmp_path / "s.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert all(0 <= float(row["novelty"]) <= 1 for row in rows)
    assert 0 < featx.evaluate(loaded, folder).scores.images < 24  # those not trained on
    for file in ("t.keras", *(["t.onnx"] if name == "mobilenet-v2" else [])):
        exported = featx.export(loaded, tmp_path / file, check_images=folder)
        assert exported.out.is_file()


def check_tuning(done: featx.FinetuneResult, name: str) -> None:
    """Check that the last block was trained, and that its batch statistics were not."""
    row, tail = get_network(name), done.model.tail
    assert done.kept and tail and tail.until == row.last and tail.network == name
    before = done.model.trunk.weights.arrays()
    changed, frozen = set(), set()
    for layer, arrays in tail.arrays.items():
        variables = [*row.steps.variables(layer)]
        for variable, old, new in zip(variables, before[layer], arrays, strict=True):
            kind = variable.rpartition("/")[2]
            if not np.array_equal(old, new):
                changed.add(kind)
            if "_bn/" in variable:
                assert np.array_equal(old, new), variable
                frozen.add(kind)
    assert "kernel" in changed
    normalised = name not in (
        "vgg16",
        "convnext-tiny",
    )  # ConvNeXt's normalisation has no statistics
    assert frozen == ({"gamma", "beta", "moving_mean", "moving_variance"} if normalised else set())


def test_networks_are_not_mixed_up(tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "photos", 3)
    featx.extract(folder, tmp_path / "f.h5", network="resnet50", weights="random", size=32)
    same = featx.extract(folder, tmp_path / "f.h5", weights="random", size=32)
    assert same.computed == 0 and same.fingerprint.trunk.network == "resnet50"
    with pytest.raises(IncompatibleError, match="network: resnet50 there, vgg16 now"):
        featx.extract(folder, tmp_path / "f.h5", network="vgg16", weights="random", size=32)
    for wrong, words in (
        ({"runtime": "winograd"}, "winograd is for vgg16 alone"),
        ({"precision": "int8"}, "int8 is for vgg16 alone"),
        ({"cut": "block5_pool"}, "Unknown layer 'block5_pool'"),
        ({"network": "resnet"}, "Did you mean 'resnet50'"),
    ):
        settings = {"network": "resnet50", "weights": "random", "size": 32, **wrong}
        with pytest.raises(InputError, match=words):
            featx.extract(folder, tmp_path / "g.h5", **settings)
    with pytest.raises(InputError, match=r"MobileNetV2's weights are not fetched.*--weights PATH"):
        featx.extract(folder, tmp_path / "g.h5", network="mobilenet-v2")


def test_bfloat16_is_near_float32(lite0: Weights, tmp_path: Path) -> None:
    if not hardware.has_bfloat16():
        pytest.skip("this processor has no bfloat16, and OpenVINO refuses to emulate it")
    folder = class_folders(tmp_path / "photos", 3)
    rows = {}
    for precision in ("float32", "bfloat16"):
        out = tmp_path / f"{precision}.h5"
        made = featx.extract(
            folder, out, network="efficientnet-lite0", size=96, precision=precision
        )
        assert (made.fingerprint.precision, made.fingerprint.runtime) == (precision, "openvino")
        with featx.Cache.open(out) as cache:
            rows[precision] = cache.matrix("avg").X
    cosines = (rows["float32"] * rows["bfloat16"]).sum(axis=1)
    assert cosines.min() > 0.995


@pytest.mark.slow
def test_a_killed_extraction_goes_on(tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "photos", 120)
    out = tmp_path / "f.h5"
    words = ["extract", folder, "-o", out, "--network", "resnet50", "--weights", "random"]
    command = [sys.executable, "-m", "featx", *map(str, words), "--size", "32", "--batch", "8"]
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while Parts(out).fingerprint() is None and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    left = Parts(out).fingerprint()
    assert not out.exists() and left and left.trunk.network == "resnet50"
    done = featx.extract(folder, out, network="resnet50", weights="random", size=32, batch=8)
    assert done.computed < 360 and done.computed + done.reused == 360
    whole = featx.extract(
        folder, tmp_path / "g.h5", network="resnet50", weights="random", size=32, batch=8
    )
    assert whole.computed == 360
    with featx.Cache.open(out) as one, featx.Cache.open(tmp_path / "g.h5") as two:
        assert np.array_equal(one.features[:], two.features[:])


def test_a_network_of_ones_own(tmp_path: Path) -> None:
    keras = backend.keras()
    folder = class_folders(tmp_path / "photos", 4)
    inputs = keras.Input((40, 40, 3))
    outputs = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 3)(inputs))
    path = tmp_path / "mine.keras"
    keras.Model(inputs, outputs).save(path)
    cache, model = tmp_path / "f.h5", tmp_path / "m.featx"
    with pytest.raises(InputError, match="which preprocessing this network wants is not known"):
        featx.extract(folder, cache, network=str(path), size=40)
    made = featx.extract(folder, cache, network=str(path), size=40, preprocessing="tf")
    assert made.fingerprint.trunk.weights == files.file_digest(path)
    assert made.fingerprint.trunk.features == (1, 1, 8) and made.fingerprint.runtime == "keras"
    featx.fit(cache, model, head="logreg")
    path.unlink()  # featx keeps a copy, by its digest
    scored = featx.score(model, folder, tmp_path / "s.csv")
    assert scored.ok == 12 and not featx.verify(model).problems
    result = CliRunner().invoke(app, ["info", str(model), "--json"])
    assert json.loads(result.output)["fingerprint"]["network"] == "file"
    with pytest.raises(InputError, match="neither fine-tuned nor exported"):
        featx.finetune(model, tmp_path / "t.featx")
    with pytest.raises(InputError, match="neither fine-tuned nor exported"):
        featx.export(model, tmp_path / "m.keras")
