"""Eight bits: ranges, rounded kernels, and the network that is computed with them."""

import base64
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generated import TINY, class_folders

import featx
from featx.errors import CorruptError, IncompatibleError, InputError
from featx.images.decode import decode
from featx.network import hardware, openvino, quantization, runtime, weights
from featx.network.fingerprint import Fingerprint, TrunkFingerprint
from featx.network.networks import get_network
from featx.network.ranges import QUANTIZED, Ranges, known_ranges
from featx.network.tail import Tail
from featx.network.trunk import Trunk
from featx.network.vgg16 import VGG16
from featx.network.weight_files import to_safetensors

VNNI = "avx2 fma avx512f avx512_vnni"
INT8: dict[str, Any] = {**TINY, "precision": "int8"}


@pytest.fixture(autouse=True)
def reports_vnni(monkeypatch: pytest.MonkeyPatch) -> None:
    """Report a processor with 8-bit integers: where it has none, OpenVINO emulates them."""
    monkeypatch.setenv("FEATX_CPU_FLAGS", VNNI)


def some_ranges(**changes: float) -> Ranges:
    random = np.random.default_rng(0)
    found = {name: random.uniform(0.5, 90, count) for name, count in QUANTIZED.items()}
    return Ranges.of(found | {name: found[name] * by for name, by in changes.items()})


def test_ranges_are_kept_as_text() -> None:
    found = some_ranges()
    assert {name: len(kept) for name, kept in found.layers().items()} == dict(QUANTIZED)
    assert Ranges.of(found.layers()) == found == Ranges(found.text)
    assert found.digest != some_ranges(block3_conv1=2).digest
    assert some_ranges(block5_conv1=1e-9).layers()["block5_conv1"].min() > 0
    for by in (1e9, np.nan, np.inf):
        with pytest.raises(CorruptError, match="activations are too large for int8's ranges"):
            some_ranges(block3_conv1=by)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "0 ranges; VGG16 has 3712"),
        (base64.b64encode(b"\0\0" * 3712).decode(), "not a number above 0"),
        (base64.b64encode(b"\0\x7e" * 3712).decode(), "not a number above 0"),
        ("no base64", "."),
    ],
)
def test_other_texts_are_no_ranges(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Ranges(text)


def test_a_range_is_the_one_with_the_least_squared_error() -> None:
    random = np.random.default_rng(0)
    x = np.maximum(random.standard_normal((4, 3, 28, 28), np.float32), 0)
    x[:, 1] *= 10
    x[:, 2] = 0
    inputs = {name: np.repeat(x[:, :1], count, 1) for name, count in QUANTIZED.items()}
    inputs["block2_conv1"] = np.concatenate([x, x[:, :1].repeat(61, 1)], 1)
    found = quantization.find_ranges(iter([inputs, inputs])).layers()
    even = found["block1_conv2"]
    assert np.ptp(even) == 0 and 2 < even[0] < 1.2 * x[:, 0].max() + 0.1
    uneven = found["block2_conv1"]
    assert uneven[1] / uneven[0] == pytest.approx(10**0.5, rel=0.05)
    assert 0 < uneven[2] < uneven[0]


def test_activations_that_are_all_zero_have_a_range() -> None:
    inputs = {name: np.zeros((1, count, 4, 4), np.float32) for name, count in QUANTIZED.items()}
    assert all((kept > 0).all() for kept in quantization.find_ranges([inputs]).layers().values())


def test_errors_of_a_patch_add_up_to_at_most_half_a_step() -> None:
    random = np.random.default_rng(0)
    kernel = random.standard_normal((3, 3, 40, 30), np.float32)
    kernel[..., 7] = 0
    ranges = random.uniform(1, 20, 40).astype(np.float32)
    whole, step = quantization.quantize_kernel(kernel, ranges)
    assert whole.dtype == np.int8 and whole.min() >= -127 and step.dtype == np.float32
    exact = kernel * ranges[:, np.newaxis] / step
    errors = whole - exact
    assert np.abs(errors).max() <= 1 + 1e-3
    sums = errors.sum((0, 1))
    nearest = np.rint(exact)
    clipped = (np.abs(nearest) == 127).any((0, 1))
    assert np.abs(sums[~clipped]).max() <= 0.5 + 1e-3
    assert np.square(sums).mean() < 0.2 * np.square((nearest - exact).sum((0, 1))).mean()
    assert not whole[..., 7].any()


def tiny(precision: str, **changes: Any) -> Fingerprint:
    trunk = TrunkFingerprint("", "caffe", changes.pop("cut", "block5_pool"), 64, "crop")
    made = Fingerprint(trunk, 0, "", 0, "float32", precision, "openvino")
    return replace(made, **changes)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def calibrated(pixels: np.ndarray) -> Ranges:
    arrays = weights.resolve_weights("random").arrays()
    return openvino.calibrate(arrays, tiny("float32"), pixels)


@pytest.mark.parametrize("cut", ["block5_pool", "block4_pool", "block1_conv1", "input"])
def test_features_are_near_those_of_float32(
    pixels: np.ndarray, calibrated: Ranges, cut: str
) -> None:
    chosen = weights.resolve_weights("random")
    pooled = ("block2_conv2", "block4_conv3")
    exact = Trunk(chosen, tiny("float32", cut=cut, layers=pooled)).activations([pixels])
    made = tiny("int8", cut=cut, layers=pooled, ranges=calibrated)
    found = Trunk(chosen, made).activations([pixels])
    apart = np.linalg.norm(found.features - exact.features) / np.linalg.norm(exact.features)
    assert (apart == 0) == (cut in ("block1_conv1", "input")) and apart < 0.05
    pools = np.float32(exact.pools), np.float32(found.pools)
    assert 0 < np.linalg.norm(pools[0] - pools[1]) < 0.05 * np.linalg.norm(pools[0])


def test_an_image_has_the_same_bytes_in_any_company(pixels: np.ndarray, calibrated: Ranges) -> None:
    made = Trunk(weights.resolve_weights("random"), tiny("int8", ranges=calibrated), batch=4)
    together = made.features(pixels)
    alone = np.concatenate([made.features(one[np.newaxis]) for one in pixels])
    assert np.array_equal(together, alone)
    assert np.array_equal(made.features(pixels[::-1]), together[::-1])


def test_calibration_takes_any_number_of_images(pixels: np.ndarray, calibrated: Ranges) -> None:
    arrays = weights.resolve_weights("random").arrays()
    twice = openvino.calibrate(arrays, tiny("float32"), np.concatenate([pixels, pixels]))
    for name, kept in twice.layers().items():
        assert kept == pytest.approx(calibrated.layers()[name], rel=0.02)


@pytest.mark.parametrize("by", ["tensorflow", "winograd"])
def test_the_other_runtimes_have_no_int8(pixels: np.ndarray, calibrated: Ranges, by: str) -> None:
    made = tiny("int8", ranges=calibrated, runtime=by)
    with pytest.raises(InputError, match=r"in int8\. Leave --runtime out"):
        Trunk(weights.resolve_weights("random"), made).features(pixels)


def test_int8_needs_ranges_and_a_processor_that_has_it(
    pixels: np.ndarray, calibrated: Ranges, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = weights.resolve_weights("random")
    with pytest.raises(InputError, match="has no ranges of the activations for these weights"):
        Trunk(chosen, tiny("int8")).features(pixels)
    monkeypatch.setenv("FEATX_CPU_FLAGS", "avx2 avx512f")
    with pytest.raises(InputError, match="int8 needs a processor with VNNI"):
        Trunk(chosen, tiny("int8", ranges=calibrated)).features(pixels)


@pytest.mark.parametrize(
    ("flags", "settings", "expected"),
    [
        (VNNI, {"calibrated": True}, ("openvino", "int8")),
        (VNNI + " avx512_bf16", {"calibrated": True}, ("openvino", "int8")),
        ("avx2 avx_vnni", {"calibrated": True}, ("openvino", "int8")),
        (VNNI + " avx512_bf16", {}, ("tensorflow", "bfloat16")),
        (VNNI, {}, ("winograd", "float32")),
        ("avx2", {"calibrated": True}, ("winograd", "float32")),
        ("avx2 avx512f avx512_bf16", {"calibrated": True}, ("tensorflow", "bfloat16")),
        (VNNI, {"calibrated": True, "runtime": "tensorflow"}, ("tensorflow", "float32")),
        (VNNI, {"calibrated": True, "runtime": "winograd"}, ("winograd", "float32")),
        (VNNI, {"calibrated": True, "runtime": "openvino"}, ("openvino", "int8")),
    ],
)
def test_auto_is_int8_where_it_is_known_to_be_good_and_quick(
    flags: str, settings: dict[str, Any], expected: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEATX_CPU_FLAGS", flags)
    monkeypatch.setattr(hardware, "has_gpu", lambda: False)

    def chosen() -> tuple[str, str]:
        precision = runtime.choose_precision("auto", **settings)
        by = runtime.choose_runtime(settings.get("runtime", "auto"), precision=precision)
        return by, precision

    assert chosen() == expected
    monkeypatch.setattr(hardware, "has_gpu", lambda: True)
    assert chosen()[1] != "int8"
    monkeypatch.setattr(hardware, "has_gpu", lambda: False)
    monkeypatch.setattr(runtime, "openvino_is_installed", lambda: False)
    if settings.get("runtime") != "openvino":
        assert chosen()[1] != "int8"


def test_what_was_made_in_int8_is_computed_in_it_or_in_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert runtime.choose_here("openvino", "int8") == ("openvino", "int8")
    assert runtime.choose_here("openvino", "int8", runtime="tensorflow")[1] == "float32"
    assert runtime.choose_here("tensorflow", "float32", precision="int8") == ("openvino", "int8")
    monkeypatch.setenv("FEATX_CPU_FLAGS", "avx2 avx512f avx512_bf16")
    assert runtime.choose_here("openvino", "int8") == ("winograd", "float32")
    monkeypatch.setenv("FEATX_CPU_FLAGS", "avx2")
    assert runtime.choose_here("openvino", "int8") == ("winograd", "float32")


@pytest.fixture(scope="module")
def in_int8(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with images, and a cache and a model of them that were made in int8."""
    root = tmp_path_factory.mktemp("int8")
    class_folders(root / "photos", 6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEATX_CPU_FLAGS", VNNI)
        made = featx.extract(root / "photos", root / "f.h5", **INT8).fingerprint
        assert (made.runtime, made.precision) == ("openvino", "int8") and made.ranges
        featx.fit(root / "f.h5", root / "m.featx", head="nearest-centroid")
    return root


def test_a_cache_keeps_its_ranges(in_int8: Path, tmp_path: Path) -> None:
    out = Path(shutil.copy(in_int8 / "f.h5", tmp_path))
    with featx.Cache.open(out) as cache:
        made = cache.fingerprint
        before = dict(zip(cache.digests, cache.features[()], strict=True))
    photos = Path(shutil.copytree(in_int8 / "photos", tmp_path / "photos"))
    added = next(photos.rglob("*.png"))
    added.with_name("new.png").write_bytes(added.read_bytes() + b"0")
    done = featx.extract(photos, out, **TINY)
    assert (done.computed, done.fingerprint) == (1, made)
    with featx.Cache.open(out) as cache:
        for digest, features in zip(cache.digests, cache.features[()], strict=True):
            assert np.array_equal(before.get(digest, features), features)
    assert len(done.as_dict()["fingerprint"]["ranges"]) == 64
    with pytest.raises(IncompatibleError, match=r"precision: int8 there, float32 now"):
        featx.extract(photos, out, **{**TINY, "precision": "float32"})


def test_a_model_scores_in_int8_as_the_cache_was_made(in_int8: Path) -> None:
    model = featx.load(in_int8 / "m.featx", weights="random")
    with featx.Cache.open(in_int8 / "f.h5") as cache:
        assert model.fingerprint == cache.fingerprint.without_layers()
        paths = [cache.catalog.file(row) for row in range(len(cache))]
        pixels = np.stack([decode(path.read_bytes(), 32).pixels for path in paths])
        assert np.array_equal(model.trunk.features(pixels), cache.features[:, 0])
    exact = featx.load(in_int8 / "m.featx", weights="random", precision="float32")
    apart = np.abs(exact.predict_proba(paths) - model.predict_proba(paths))
    assert 0 < apart.max() < 0.1


def test_a_run_that_was_stopped_goes_on_with_the_same_ranges(in_int8: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.h5"

    def stop(done: int, total: int, now: int) -> None:
        if now > 200:
            raise KeyboardInterrupt

    settings = {**INT8, "copies": 31}
    with pytest.raises(KeyboardInterrupt):
        featx.extract(in_int8 / "photos", out, **settings, batch=2, progress=stop)
    photos = Path(shutil.copytree(in_int8 / "photos", tmp_path / "photos"))
    for path in sorted(photos.rglob("*.png"))[::2]:
        path.unlink()  # other images would give other ranges
    resumed = featx.extract(photos, out, **settings, batch=2)
    alone = featx.extract(photos, tmp_path / "g.h5", **settings, batch=2)
    assert resumed.reused > 0 and resumed.fingerprint.ranges != alone.fingerprint.ranges


def test_images_that_cannot_be_read_calibrate_nothing(tmp_path: Path) -> None:
    (tmp_path / "photos" / "a").mkdir(parents=True)
    (tmp_path / "photos" / "a" / "1.png").write_bytes(b"no image")
    with pytest.raises(InputError, match="None of the 1 images that int8 would be calibrated by"):
        featx.extract(tmp_path / "photos", tmp_path / "f.h5", **INT8)


def test_featx_has_ranges_for_the_weights_that_it_downloads(imagenet: weights.Weights) -> None:
    assert known_ranges(weights.resolve_weights("random").digest) is None
    if imagenet.provider != "torchvision":
        pytest.skip("the ranges are those of torchvision's weights")
    found = known_ranges(imagenet.digest)
    assert found and found.layers()["block5_conv3"].shape == (512,)


def test_features_of_the_real_weights(
    imagenet: weights.Weights, pixels: np.ndarray, report: Any
) -> None:
    if imagenet.provider != "torchvision":
        pytest.skip("the ranges are those of torchvision's weights")
    trunk = TrunkFingerprint(imagenet.digest, imagenet.preprocessing, "block5_pool", 64, "crop")
    made = Fingerprint(trunk, 0, "", 0, "float32", "float32", "openvino")
    exact = Trunk(imagenet, made).features(pixels)
    eight = replace(made, precision="int8", ranges=known_ranges(imagenet.digest))
    found = Trunk(imagenet, eight).features(pixels)
    apart = float(np.linalg.norm(found - exact) / np.linalg.norm(exact))
    report(f"int8, features of noise: {apart:.3f} from float32")
    assert apart < 0.15
    assert get_network("vgg16").shape("block5_pool", 64) == found.shape[1:]


def test_layers_after_int8_are_as_precise_as_keras_can_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arrays = {"block5_conv3": weights.resolve_weights("random").arrays()["block5_conv3"]}
    after = Tail("block5_conv2", "block5_pool", (4, 4, 512), arrays, "int8")
    assert after.dtype == "float32"
    monkeypatch.setenv("FEATX_CPU_FLAGS", VNNI + " avx512_bf16")
    assert after.dtype == "bfloat16"


def test_a_model_made_in_int8_is_exported_in_float32(
    in_int8: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = featx.load(in_int8 / "m.featx", weights="random")
    written = featx.export(model, tmp_path / "m.keras")
    assert (written.precision, written.made_in) == ("float32", "int8") and written.apart <= 1e-3
    assert "in float32, and the model was made in int8: probabilities differ" in caplog.text
    with pytest.raises(InputError, match="Unknown precision 'int8'"):
        featx.export(model, tmp_path / "n.keras", precision="int8")


def test_a_model_made_in_int8_can_be_tuned(in_int8: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"epochs": 1, "batch_size": 8, "learning_rate": 1e-4}
    given = Path(shutil.copy(in_int8 / "f.h5", tmp_path))
    found = featx.finetune(in_int8 / "m.featx", tmp_path / "t.featx", given, force=True, **settings)
    tuned = featx.load(tmp_path / "t.featx", weights="random")
    assert found.kept and tuned.tail
    assert tuned.fingerprint.precision == "int8" and tuned.computing == ("openvino", "int8")
    paths = sorted((in_int8 / "photos").rglob("*.png"))
    assert np.isfinite(tuned.predict_proba(paths)).all()


def test_a_scoring_that_is_refused_leaves_nothing(
    in_int8: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEATX_CPU_FLAGS", "avx2 fma")
    asked = featx.load(in_int8 / "m.featx", weights="random", precision="int8")
    with pytest.raises(InputError, match="int8 needs a processor with VNNI"):
        featx.score(asked, in_int8 / "photos", tmp_path / "s.csv")
    assert not list(tmp_path.iterdir())
    featx.score(featx.load(in_int8 / "m.featx", weights="random"), in_int8 / "photos",
                tmp_path / "s.csv")  # fmt: skip


def test_weights_that_int8_cannot_hold_are_refused(
    in_int8: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = weights.resolve_weights("random").arrays()
    for factor in (3.0, 1e4):
        large = {name: (kernel * factor, bias) for name, (kernel, bias) in arrays.items()}
        path = tmp_path / "large.safetensors"
        path.write_bytes(to_safetensors(VGG16(), large))
        with pytest.raises(CorruptError, match="activations are too large for int8's ranges"):
            featx.extract(in_int8 / "photos", tmp_path / "f.h5", preprocessing="torch",
                          **{**INT8, "weights": str(path)})  # fmt: skip
