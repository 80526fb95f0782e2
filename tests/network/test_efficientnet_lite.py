"""EfficientNet-Lite0: its geometry, its cuts, and what PyTorch computes with the same weights."""

import numpy as np
import pytest

from featx import backend
from featx.errors import CorruptError
from featx.network import efficientnet_lite
from featx.network.networks import get_network
from featx.network.preprocessing import normalize
from featx.network.steps import Arrays
from featx.network.weights import Weights

#: Means over the positions of the last layer for `image`, by channel: the 16 largest. They are of
#: the module of efficientnet-lite-pytorch 0.1.0, PyTorch 2.13.
EXPECTED = {
    23: 1.11116,
    29: 0.98001,
    113: 5.08203,
    226: 1.64106,
    245: 1.01696,
    287: 1.72413,
    423: 1.25996,
    437: 1.15973,
    455: 4.44984,
    468: 2.82375,
    504: 1.31802,
    618: 2.0378,
    897: 2.88502,
    930: 1.78784,
    1137: 1.25649,
    1277: 2.59102,
}
MEAN = 0.041957  # of all channels


def image() -> np.ndarray:
    """Return squares of noise, 224 pixels a side."""
    random = np.random.default_rng(7)
    squares = random.integers(0, 256, (1, 14, 14, 3), dtype=np.uint8)
    return squares.repeat(16, axis=1).repeat(16, axis=2)


def last_features(arrays: Arrays) -> np.ndarray:
    keras = backend.keras()
    row = get_network("efficientnet-lite0")
    inputs = keras.Input((224, 224, 3))
    found = row.steps.outputs(inputs, row.layers_between("input", row.last), arrays, "float32")
    pixels = normalize(image().astype(np.float32), "lite")
    features: np.ndarray = keras.Model(inputs, found[row.last]).predict(pixels, verbose=0)
    return features


def test_features_are_those_of_pytorch(lite0: Weights) -> None:
    means = last_features(lite0.arrays()).mean(axis=(0, 1, 2))
    found = {channel: means[channel] for channel in EXPECTED}
    assert found == pytest.approx(EXPECTED, abs=2e-4)
    assert means.mean() == pytest.approx(MEAN, rel=1e-4)


def test_every_cut_has_the_shape_it_tells() -> None:
    model = efficientnet_lite.STEPS.build()
    names = [name for name in efficientnet_lite.CUTS if name != "input"]
    outputs = [model.get_layer(name).output for name in names]
    found = backend.keras().Model(model.input, outputs)(np.zeros((1, 96, 96, 3), np.float32))
    for name, output in zip(names, found, strict=True):
        scale, channels = efficientnet_lite.CUTS[name]
        assert output.shape == (1, 96 // scale, 96 // scale, channels)
    assert names[-1] == "last_relu" and set(efficientnet_lite.LAYERS) <= set(names)


def test_a_state_dict_without_an_array_is_refused() -> None:
    with pytest.raises(CorruptError, match=r"has no array '_conv_stem\.weight'"):
        efficientnet_lite.arrays_of({})
    with pytest.raises(CorruptError, match=r"has the shape \(3,\); expected \(32, 3, 3, 3\)"):
        efficientnet_lite.arrays_of({"_conv_stem.weight": np.zeros(3, np.float32)})
    with pytest.raises(CorruptError, match="is not all finite numbers"):
        efficientnet_lite.arrays_of(
            {"_conv_stem.weight": np.full((32, 3, 3, 3), np.nan, np.float32)}
        )
