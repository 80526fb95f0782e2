"""Mean and maximum of layers, beside the features and in the same pass."""

from dataclasses import replace

import numpy as np
import pytest

from featx import backend
from featx.network import weights
from featx.network.fingerprint import Fingerprint, TrunkFingerprint
from featx.network.networks import get_network
from featx.network.preprocessing import normalize
from featx.network.trunk import Trunk

LAYERS = ("block3_pool", "block4_conv2", "block5_conv3")


def trunk(cut: str = "block5_pool", **changes: object) -> Trunk:
    """Return a network on random weights."""
    chosen = weights.resolve_weights("random")
    made = Fingerprint(
        TrunkFingerprint(chosen.digest, chosen.preprocessing, cut, 64, "crop"),
        copies=0, augment="", seed=0, dtype="float32", precision="float32",
        layers=LAYERS,
    )  # fmt: skip
    return Trunk(chosen, replace(made, **changes))  # type: ignore[arg-type]


def images(size: int = 64, count: int = 3) -> np.ndarray:
    return np.random.default_rng(size).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def expected(one: Trunk, pixels: np.ndarray) -> np.ndarray:
    """Return the pools as numpy makes them of what Keras's layers give."""
    keras = backend.keras()
    x = keras.ops.convert_to_tensor(normalize(pixels.astype(np.float32), "caffe"))
    inputs = keras.Input(x.shape[1:])
    row = get_network("vgg16")
    found = row.steps.outputs(
        inputs, row.layers_between("input", LAYERS[-1]), one.weights.arrays(), "float32"
    )
    maps = keras.Model(inputs, [found[name] for name in LAYERS]).predict(x, verbose=0)
    return np.concatenate([f(m, axis=(1, 2)) for m in maps for f in (np.mean, np.max)], axis=1)


@pytest.mark.parametrize(
    "runtime", ["tensorflow", pytest.param("winograd", marks=pytest.mark.slow), "openvino"]
)
@pytest.mark.parametrize("cut", ["block5_pool", "block4_pool"])  # layers before it, and after it
def test_pools_are_means_and_maxima_over_positions(runtime: str, cut: str) -> None:
    one = trunk(cut, runtime=runtime)
    pixels = images()
    found = one.activations([pixels])
    assert found.pools.dtype == np.float16 and found.pools.shape == (3, 1, 2 * (256 + 512 + 512))
    reference = expected(one, pixels)
    assert np.allclose(found.pools[:, 0], reference, rtol=2e-3, atol=2e-3 * reference.max())
    alone = one.features(pixels)
    assert np.array_equal(found.features, alone)  # the features are those without any pool


def test_sizes_and_mirrored_images_are_passes_of_their_own() -> None:
    one = trunk(sizes=(96,), mirror=True)
    small, large = images(64), images(96)
    found = one.activations([small, large])
    assert found.pools.shape[1] == 4
    plain = trunk().activations([small])
    assert np.array_equal(found.features, plain.features)
    assert np.array_equal(found.pools[:, 0], plain.pools[:, 0])
    mirrored = trunk().activations([small[:, :, ::-1]])
    assert np.array_equal(found.pools[:, 1], mirrored.pools[:, 0])
    made = trunk().fingerprint
    bigger = trunk(trunk=replace(made.trunk, size=96)).activations([large])
    assert np.array_equal(found.pools[:, 2], bigger.pools[:, 0])
    assert not np.array_equal(found.pools[:, 2], found.pools[:, 3])


def test_means_are_summed_in_float32_also_in_bfloat16() -> None:
    """A mean of 4,096 positions in bfloat16 would have an error of percents."""
    pixels = images()
    exact, rounded = (
        trunk(precision=precision, layers=("block1_conv1",)).activations([pixels]).pools
        for precision in ("float32", "bfloat16")
    )
    means = slice(0, 64)
    assert np.allclose(rounded[..., means], exact[..., means], rtol=0.01, atol=0.05)
