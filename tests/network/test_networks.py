"""The table of networks: what its rows say is what Keras's models are."""

import dataclasses
import math

import numpy as np
import pytest

from featx import backend
from featx.errors import InputError
from featx.network import networks
from featx.network.networks import NETWORKS, get_network, network_of

#: Networks that Keras builds itself.
OF_KERAS = {
    "vgg16": "VGG16",
    "resnet50": "ResNet50",
    "efficientnet-v2-b0": "EfficientNetV2B0",
    "convnext-tiny": "ConvNeXtTiny",
}


def multiplications(model: object) -> int:
    """Return the multiply-accumulates of convolutions and dense layers of a built Keras model."""
    layers = backend.keras().layers
    total = 0
    for layer in model._flatten_layers():  # type: ignore[attr-defined]
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D):
            total += layer.kernel.shape.num_elements() * math.prod(layer.output.shape[1:3])
        elif isinstance(layer, layers.Dense):
            total += layer.kernel.shape.num_elements() * math.prod(layer.output.shape[1:-1])
    return total


SLOW = ("mobilenet-v2", "efficientnet-v2-b0", "convnext-tiny")
ALL = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in NETWORKS]


@pytest.mark.parametrize("name", ALL)
def test_cuts_are_what_the_model_gives(name: str) -> None:
    row = get_network(name)
    keras = backend.keras()
    inputs = keras.Input((64, 96, 3))
    found = row.steps.outputs(
        inputs, row.layers_between("input", row.last), row.steps.random_arrays(0), "float32"
    )
    assert list(found) == list(row.cuts)
    for cut, (scale, channels) in row.cuts.items():
        assert tuple(found[cut].shape) == (None, 64 // scale, 96 // scale, channels)
    scales = [scale for scale, _ in row.cuts.values()]
    assert scales == sorted(scales) and scales[-1] == 32
    assert list(row.pooled) == [cut for cut in row.cuts if cut in row.pooled]
    assert row.pooled_until(row.last) == row.pooled
    assert row.shape(row.last, 224) == (7, 7, row.cuts[row.last][1])


@pytest.mark.parametrize("name", ALL)
def test_costs_are_those_of_the_layers(name: str) -> None:
    row = get_network(name)
    keras = backend.keras()
    if name in OF_KERAS:
        build = getattr(keras.applications, OF_KERAS[name])
        whole = build(include_top=False, weights=None, input_shape=(224, 224, 3))
    else:
        whole = keras.models.clone_model(
            row.steps.build(), input_tensors=keras.Input((224, 224, 3))
        )  # type: ignore[attr-defined]
    assert multiplications(whole) / 1e9 == pytest.approx(row.gmac, rel=0.01)


@pytest.mark.parametrize("name", ALL)
def test_random_weights_are_the_same_for_the_same_seed(name: str) -> None:
    row = get_network(name)
    steps = row.steps
    one, same, other = (steps.random_arrays(seed) for seed in (1, 1, 2))
    assert one.keys() == same.keys() == other.keys()
    for layer, arrays in one.items():
        shapes = [array.shape for array in arrays]
        assert shapes == [*steps.variables(layer).values()]
        assert all(map(np.array_equal, arrays, same[layer]))
        assert not all(map(np.array_equal, arrays, other[layer]))
    megabytes = sum(array.nbytes for arrays in one.values() for array in arrays) / 1e6
    for provider in row.providers.values():  # a package may carry a classifier beside them
        assert math.floor(megabytes) <= provider.megabytes <= 1.3 * megabytes


def test_wrong_names_and_sizes() -> None:
    with pytest.raises(InputError, match=r"Unknown network 'resnet'.*Did you mean 'resnet50'"):
        get_network("resnet")
    row = get_network("resnet50")
    with pytest.raises(InputError, match="Unknown layer 'block5_pool'"):
        row.shape("block5_pool", 224)
    for size in (0, 16, 100, networks.MAX_SIZE + 32):
        with pytest.raises(InputError, match="not a multiple of 32"):
            row.shape(row.last, size)
    assert row.shape(row.last, 32) == (1, 1, 2048)
    assert row.shape(row.last, networks.MAX_SIZE) == (128, 128, 2048)
    with pytest.raises(InputError, match="whose layers featx does not know"):
        get_network("file")


def test_the_network_of_a_file_gives_what_it_gives() -> None:
    row = network_of("file", (1, 1, 768))
    assert row.shape("output", 100) == (1, 1, 768) and math.isnan(row.gmac)
    assert row.last == "output" and not row.pooled
    with pytest.raises(InputError, match="Expected height, width, channels"):
        network_of("file", (7, 7))
    with pytest.raises(InputError, match="neither fine-tuned nor exported"):
        row.steps.outputs(None, ["output"], {}, "float32")


def test_rows_are_told_apart() -> None:
    assert list(NETWORKS) == [row.name for row in NETWORKS.values()]
    assert next(iter(NETWORKS)) == networks.DEFAULT
    for row in NETWORKS.values():
        assert dataclasses.is_dataclass(row) and row.title and row.paper
        for provider in row.providers.values():
            assert bool(provider.digest) != bool(provider.md5) and provider.licence
            assert provider.title == row.title and provider.preprocessing in row.preprocessing
