import numpy as np
import pytest

from featx import backend
from featx.errors import InputError
from featx.images import decode
from featx.network import openvino, runtime, trunk, weights
from featx.network.fingerprint import Fingerprint, TrunkFingerprint
from featx.network.networks import get_network
from featx.network.steps import Arrays

BOTH = ["tensorflow", "openvino"]
ALL = [*BOTH, "winograd"]


def fingerprint(**changes: object) -> TrunkFingerprint:
    fields = {"weights": "", "preprocessing": "caffe", "cut": "block5_pool", "size": 64,
              "resize": "squash"}  # fmt: skip
    return TrunkFingerprint(**{**fields, **changes})  # type: ignore[arg-type]


def network(
    chosen: weights.Weights,
    by: str,
    precision: str = "float32",
    dtype: str = "float16",
    batch: int = trunk.BATCH,
    **changes: object,
) -> trunk.Trunk:
    made = Fingerprint(fingerprint(**changes), 0, "", 0, dtype, precision, by)
    return trunk.Trunk(chosen, made, batch=batch)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)


def reference(
    chosen: weights.Weights, pixels: np.ndarray, mode: str, cut: str = "block5_pool"
) -> np.ndarray:
    """Return what keras.applications.VGG16 gives with its own preprocess_input."""
    keras = backend.keras()
    model = keras.applications.VGG16(weights=None, include_top=False, input_shape=pixels.shape[1:])
    for name, pair in chosen.arrays().items():
        model.get_layer(name).set_weights(pair)
    model = keras.Model(model.inputs, model.get_layer(cut).output)
    prepared = keras.applications.imagenet_utils.preprocess_input(
        pixels.astype(np.float32), mode=mode, data_format="channels_last"
    )
    return model.predict(prepared, verbose=0)


@pytest.mark.parametrize("mode", ["caffe", "torch"])
@pytest.mark.parametrize("cut", ["block5_pool", "block4_pool", "block3_conv2"])
def test_features_are_those_of_keras_applications(pixels: np.ndarray, mode: str, cut: str) -> None:
    chosen = weights.resolve_weights("random", preprocessing=mode)
    expected = reference(chosen, pixels, mode, cut)
    for by in BOTH:
        made = network(chosen, by, dtype="float32", preprocessing=mode, cut=cut)
        found = made.features(pixels)
        assert found.shape == expected.shape == (5, *get_network("vgg16").shape(cut, 64))
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_features_of_the_real_weights(pixels: np.ndarray, imagenet: weights.Weights) -> None:
    mode = imagenet.preprocessing
    expected = reference(imagenet, pixels, mode)
    for by in ALL:
        found = network(imagenet, by, preprocessing=mode).features(pixels)
        assert found.dtype == np.float16
        assert np.abs(found - expected).max() <= 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize("by", ALL)
def test_an_image_has_the_same_bytes_in_any_company(pixels: np.ndarray, by: str) -> None:
    made = network(weights.resolve_weights("random"), by, batch=4, cut="block4_pool")
    together = made.features(pixels)
    alone = np.concatenate([made.features(one[np.newaxis]) for one in pixels])
    assert np.array_equal(together, alone)
    assert np.array_equal(made.features(pixels[::-1]), together[::-1])


@pytest.mark.parametrize("by", BOTH)
def test_bfloat16_is_close(pixels: np.ndarray, by: str) -> None:
    if by == "openvino" and runtime.choose_precision("auto", by) == "float32":
        pytest.skip("OpenVINO has no bfloat16 on this processor")
    chosen = weights.resolve_weights("random")
    exact = network(chosen, by, dtype="float32").features(pixels)
    found = network(chosen, by, "bfloat16", "float32").features(pixels)
    assert not np.array_equal(found, exact)
    assert np.linalg.norm(found - exact) <= 0.03 * np.linalg.norm(exact)


def test_openvino_does_not_take_float32_for_bfloat16(pixels: np.ndarray) -> None:
    if openvino.has_bfloat16():
        pytest.skip("this processor has bfloat16")
    made = network(weights.resolve_weights("random"), "openvino", "bfloat16")
    with pytest.raises(InputError, match="bfloat16 only on processors that have it"):
        made.features(pixels)


def test_winograd_is_float32(pixels: np.ndarray) -> None:
    assert runtime.choose_precision("auto", "winograd") == "float32"
    made = network(weights.resolve_weights("random"), "winograd", "bfloat16")
    with pytest.raises(InputError, match="computes in float32 and not in bfloat16"):
        made.features(pixels)


def with_bias(bias: float) -> weights.Weights:
    """Return weights whose last convolution adds `bias` to everything."""

    class Biased(weights.Weights):
        def arrays(self) -> Arrays:
            kernel, zero = super().arrays()["block5_conv3"]
            return super().arrays() | {"block5_conv3": (kernel, zero + np.float32(bias))}

    return Biased("random", None, "", "caffe")


@pytest.mark.parametrize("by", BOTH)
def test_overflow_of_float16_is_an_error_and_float32_holds_it(pixels: np.ndarray, by: str) -> None:
    with pytest.raises(InputError, match=r"beyond float16's 65,504\. Use --dtype float32"):
        network(with_bias(1e6), by).features(pixels)
    assert np.isfinite(network(with_bias(1e6), by, dtype="float32").features(pixels)).all()


@pytest.mark.parametrize("by", BOTH)
def test_features_that_are_not_finite_are_told(pixels: np.ndarray, by: str) -> None:
    made = network(with_bias(np.inf), by)
    assert not np.isfinite(made.features(pixels)).all(axis=(1, 2, 3)).any()


def test_wrong_settings() -> None:
    with pytest.raises(InputError, match="Unknown precision 'float64'"):
        runtime.choose_precision("float64")
    with pytest.raises(InputError, match=r"Unknown resize 'pad'\. Expected one of squash, crop"):
        fingerprint(resize="pad")
    with pytest.raises(InputError, match="Unknown layer"):
        fingerprint(cut="predictions")


def test_auto_precision_is_what_the_processor_has() -> None:
    assert runtime.choose_precision("auto") in ("float32", "bfloat16")
    assert runtime.choose_precision("bfloat16") == "bfloat16"
    assert fingerprint().decoding == decode.RULES
