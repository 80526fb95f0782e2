"""Other runtimes than TensorFlow's own, from images to scores."""

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generated import TINY

import featx
from featx.errors import IncompatibleError, InputError
from featx.network import hardware, runtime


def labels(path: Path) -> list[str]:
    with path.open(newline="") as lines:
        return [row["label"] for row in csv.DictReader(lines)]


def test_a_cache_keeps_its_runtime(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.h5"
    assert featx.extract(photos, out, **TINY).fingerprint.runtime == "tensorflow"
    with pytest.raises(IncompatibleError, match="runtime: tensorflow there, openvino now"):
        featx.extract(photos, out, **TINY, runtime="openvino")
    with featx.Cache.open(out) as cache:
        first = np.float32(cache.features)
    done = featx.extract(photos, out, **TINY, runtime="openvino", overwrite=True)
    assert (done.forward, done.fingerprint.runtime) == (24, "openvino")
    with featx.Cache.open(out) as cache:
        second = np.float32(cache.features)
    apart = np.linalg.norm(second - first) / np.linalg.norm(second)
    assert apart <= 1e-3  # float16's rounding
    again = featx.extract(photos, out, **TINY)
    assert (again.forward, again.fingerprint.runtime) == (0, "openvino")


def test_a_model_scores_by_its_own_runtime_or_by_the_other(photos: Path, tmp_path: Path) -> None:
    cache, model = tmp_path / "f.h5", tmp_path / "m.featx"
    featx.extract(photos, cache, **{**TINY, "cut": "block2_pool"}, runtime="openvino")
    featx.fit(cache, model, head="nearest-centroid")
    found = {}
    for chosen in runtime.RUNTIMES:
        loaded = featx.load(model, weights="random", runtime=chosen)
        assert loaded.trunk.runtime == (chosen if chosen != "auto" else "openvino")
        featx.score(loaded, photos, tmp_path / f"{chosen}.csv")
        found[chosen] = labels(tmp_path / f"{chosen}.csv")
    assert len(found["auto"]) == 24
    assert found["auto"] == found["openvino"] == found["tensorflow"] == found["winograd"]


def test_openvino_needs_no_tensorflow(photos: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv[0] = 'featx'; from featx.cli.app import app;"
        "app(sys.argv[1:], standalone_mode=False);"
        "sys.exit('tensorflow' in sys.modules or 'openvino' not in sys.modules)"
    )
    out = str(tmp_path / "f.h5")
    options = ["--weights", "random", "--size", "32", "--runtime", "openvino"]
    command = [sys.executable, "-c", code, "extract", str(photos), "-o", out, *options]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_openvino_tells_nobody(tmp_path: Path) -> None:
    code = (
        "import sys; told = []\n"
        "def hook(event, values):\n"
        "    writes = event == 'open' and set('wax+') & set(str(values[1]))\n"
        "    if event.startswith('socket.') or event == 'subprocess.Popen' or writes:\n"
        "        told.append((event, values))\n"
        "sys.addaudithook(hook)\n"
        "from featx.network import runtime, weights\n"
        "from featx.network.fingerprint import TrunkFingerprint\n"
        "runtime.runtime('openvino')\n"
        "one = TrunkFingerprint('', 'caffe', 'block1_pool', 32, 'crop')\n"
        "runtime.compiled('openvino', weights.resolve('random').arrays(), one, 'float32', 1)\n"
        "if 'openvino_telemetry' in sys.modules or told: sys.exit(repr(told))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert run.returncode == 0, run.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flags", "gpu", "settings", "expected"),
    [
        ("avx avx2", False, {}, "winograd"),
        ("avx avx2", False, {"precision": "float32", "size": 128}, "winograd"),
        ("avx avx2", False, {"precision": "bfloat16"}, "tensorflow"),
        ("avx avx2", False, {"size": 96}, "tensorflow"),
        ("avx avx2", False, {"images": 64}, "winograd"),
        ("avx avx2", False, {"images": 63}, "tensorflow"),
        ("avx avx2", True, {}, "tensorflow"),
        ("avx2 avx512f", False, {}, "tensorflow"),
        ("", False, {}, "tensorflow"),
    ],
)
def test_auto_is_the_quickest_that_was_measured(
    flags: str,
    gpu: bool,
    settings: dict[str, Any],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hardware, "cpu_flags", lambda: frozenset(flags.split()))
    monkeypatch.setattr(hardware, "has_gpu", lambda: gpu)
    assert runtime.choose_runtime("auto", **settings) == expected
    for before in ("tensorflow", "winograd", "openvino"):
        assert runtime.choose_runtime("auto", before, **settings) == before
        assert runtime.choose_runtime(before, "tensorflow", **settings) == before


def test_wrong_runtimes(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"Unknown runtime 'torch'\. Expected one of auto, tens"):
        featx.extract(photos, tmp_path / "f.h5", **TINY, runtime="torch")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(InputError, match=r"pip install 'featx\[openvino\]'"):
        featx.extract(photos, tmp_path / "f.h5", **TINY, runtime="openvino")
    assert not (tmp_path / "f.h5").exists()


def test_an_export_needs_no_openvino(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, model = tmp_path / "f.h5", tmp_path / "m.featx"
    featx.extract(photos, cache, **TINY, runtime="openvino")
    featx.fit(cache, model, head="nearest-centroid")
    monkeypatch.setitem(sys.modules, "openvino", None)
    loaded = featx.load(model, weights="random")
    assert featx.export(loaded, tmp_path / "m.keras").bytes
