"""Other runtimes than TensorFlow's own, from images to scores."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generated import TINY, class_folders, without_pools

import featx
from featx.errors import IncompatibleError, InputError
from featx.images.decode import decode
from featx.network import hardware, runtime


def labels(path: Path) -> list[str]:
    with path.open(newline="") as lines:
        return [row["label"] for row in csv.DictReader(lines)]


def test_a_cache_keeps_its_runtime(photos: Path, tmp_path: Path, native: str) -> None:
    out = tmp_path / "f.h5"
    first = featx.extract(photos, out, **TINY).fingerprint
    assert (first.runtime, first.precision) == ("tensorflow", native)
    with pytest.raises(IncompatibleError, match="runtime: tensorflow there, openvino now"):
        featx.extract(photos, out, **TINY, runtime="openvino", precision="float32")
    with featx.Cache.open(out) as cache:
        before = np.float32(cache.features)
    other = {**TINY, "runtime": "openvino", "precision": "float32"}
    done = featx.extract(photos, out, **other, overwrite=True)
    assert (done.forward, done.fingerprint.runtime) == (24, "openvino")
    with featx.Cache.open(out) as cache:
        after = np.float32(cache.features)
    apart = np.linalg.norm(after - before) / np.linalg.norm(after)
    assert apart <= {"float32": 1e-3, "bfloat16": 2e-2}[native]  # float16's rounding, bfloat16's
    again = featx.extract(photos, out, **TINY)
    assert (again.forward, again.fingerprint.runtime) == (0, "openvino")


def test_a_model_scores_by_its_own_runtime_or_by_the_other(
    photos: Path, tmp_path: Path, native: str
) -> None:
    cache, model = tmp_path / "f.h5", tmp_path / "m.featx"
    made = featx.extract(photos, cache, **{**TINY, "cut": "block2_pool"}).fingerprint
    assert (made.runtime, made.precision) == ("tensorflow", native)
    featx.fit(cache, model, head="nearest-centroid")
    found = {}
    for chosen in runtime.RUNTIMES:
        loaded = featx.load(model, weights="random", runtime=chosen)
        assert loaded.trunk.fingerprint.runtime == (chosen if chosen != "auto" else "tensorflow")
        featx.score(loaded, photos, tmp_path / f"{chosen}.csv")
        found[chosen] = labels(tmp_path / f"{chosen}.csv")
    assert len(found["auto"]) == 24
    assert found["auto"] == found["openvino"] == found["tensorflow"] == found["winograd"]


@pytest.fixture(scope="module")
def in_bfloat16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with images and a model of them that was made in bfloat16."""
    root = tmp_path_factory.mktemp("bfloat16")
    class_folders(root / "photos", 6)
    settings = {**TINY, "precision": "bfloat16", "runtime": "tensorflow"}
    featx.extract(root / "photos", root / "f.h5", **settings)
    featx.fit(root / "f.h5", root / "m.featx", head="nearest-centroid")
    return root


@pytest.mark.parametrize("asked", ["auto", "winograd", "tensorflow"])
def test_a_model_made_in_bfloat16_is_computed_natively_or_in_float32(
    in_bfloat16: Path, native: str, asked: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "featx")
    model = featx.load(in_bfloat16 / "m.featx", weights="random", runtime=asked)
    expected = "float32" if asked == "winograd" else native
    by, precision = model.computing
    assert (by, precision) == ("tensorflow" if asked == "auto" else asked, expected)
    assert (model.trunk.fingerprint.runtime, model.trunk.fingerprint.precision) == (by, precision)
    told = [record.message for record in caplog.records if "was made in bfloat16" in record.message]
    assert len(told) == (expected == "float32")


def test_both_precisions_of_a_model_give_nearly_the_same(in_bfloat16: Path) -> None:
    paths = sorted((in_bfloat16 / "photos").rglob("*.png"))
    pixels = np.stack([decode(path.read_bytes(), 32).pixels for path in paths])
    features, found = {}, {}
    for kind in ("float32", "bfloat16"):
        model = featx.load(in_bfloat16 / "m.featx", weights="random", precision=kind)
        features[kind] = np.float32(model.trunk.features(pixels))
        found[kind] = model.predict_proba(paths)
    apart = np.linalg.norm(features["float32"] - features["bfloat16"])
    assert 0 < apart < 0.02 * np.linalg.norm(features["float32"])
    assert np.abs(found["float32"] - found["bfloat16"]).max() < 0.05
    with featx.Cache.open(in_bfloat16 / "f.h5") as cache:
        cached = model.predict_proba_activations(without_pools(cache.features[:, 0]))
    assert np.allclose(found["bfloat16"], cached, rtol=0, atol=1e-12)


def test_a_scoring_does_not_go_on_in_another_precision(in_bfloat16: Path, tmp_path: Path) -> None:
    photos, out = in_bfloat16 / "photos", tmp_path / "s.csv"

    def stop(done: int, total: int, now: int) -> None:
        if now:
            raise KeyboardInterrupt

    first = featx.load(in_bfloat16 / "m.featx", weights="random", precision="bfloat16")
    with pytest.raises(KeyboardInterrupt):
        featx.score(first, photos, out, progress=stop)
    other = featx.load(in_bfloat16 / "m.featx", weights="random", precision="float32")
    with pytest.raises(IncompatibleError, match="with other precision"):
        featx.score(other, photos, out)


def test_a_cache_made_in_bfloat16_warns_where_more_is_emulated(
    in_bfloat16: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setenv("FEATX_CPU_FLAGS", "avx2")
    out = Path(shutil.copy(in_bfloat16 / "f.h5", tmp_path))
    done = featx.extract(in_bfloat16 / "photos", out, **TINY)
    assert (done.fingerprint.precision, done.forward) == ("bfloat16", 0)
    assert "was made in bfloat16, which this processor emulates" in caplog.text
    caplog.clear()
    monkeypatch.setenv("FEATX_CPU_FLAGS", "avx512_bf16")
    featx.extract(in_bfloat16 / "photos", out, **TINY)
    assert "emulates" not in caplog.text


def test_flags_of_the_processor_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEATX_CPU_FLAGS", raising=False)
    own = hardware.cpu_flags()
    monkeypatch.setenv("FEATX_CPU_FLAGS", "avx2 amx_bf16")
    assert hardware.cpu_flags() == {"avx2", "amx_bf16"} and hardware.has_bfloat16()
    monkeypatch.setenv("FEATX_CPU_FLAGS", "")
    assert hardware.cpu_flags() == frozenset() and not hardware.has_bfloat16()
    monkeypatch.delenv("FEATX_CPU_FLAGS")
    assert hardware.cpu_flags() == own


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
        "from featx.network.fingerprint import Fingerprint, TrunkFingerprint\n"
        "runtime.choose_runtime('openvino')\n"
        "one = TrunkFingerprint('', 'caffe', 'block1_pool', 32, 'crop')\n"
        "arrays = weights.resolve_weights('random').arrays()\n"
        "made = Fingerprint(one, 0, '', 0, 'float32', 'float32', 'openvino')\n"
        "runtime.compile_network(arrays, made, 1)\n"
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
        ("avx2 avx512f", False, {}, "winograd"),
        ("avx2 avx512f", False, {"images": 192}, "winograd"),
        ("avx2 avx512f", False, {"images": 191}, "tensorflow"),
        ("avx2 avx512f", False, {"precision": "bfloat16"}, "tensorflow"),
        ("avx2 avx512f avx512_vnni", False, {"precision": "int8"}, "openvino"),
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
