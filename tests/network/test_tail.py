"""Layers after the cut, with weights of their own."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from featx.network import tail
from featx.network.activations import Activations
from featx.network.fingerprint import Fingerprint, TrunkFingerprint
from featx.network.trunk import Trunk
from featx.network.weights import Weights, resolve_weights


def test_pools_of_a_tail_are_those_of_the_whole_network() -> None:
    first = resolve_weights("random")
    random = np.random.default_rng(0)
    names = ("block4_conv2", "block5_conv1", "block5_conv3")
    tuned = {
        name: (kernel * random.uniform(0.9, 1.1, kernel.shape).astype(np.float32), bias + 0.01)
        for name, (kernel, bias) in first.arrays().items()
        if name.startswith("block5")
    }

    class Tuned(Weights):
        def arrays(self) -> Any:
            return {**first.arrays(), **tuned}

    at = TrunkFingerprint(first.digest, first.preprocessing, "block4_pool", 64, "crop")
    made = Fingerprint(at, 0, "", 0, "float32", "float32", layers=names)
    pixels = random.integers(0, 256, (19, 64, 64, 3), np.uint8)
    before = Trunk(first, made).activations([pixels])
    whole = Trunk(Tuned(**vars(first)), replace(made, trunk=replace(at, cut="block5_pool")))
    expected = whole.activations([pixels])
    layers = tail.Tail("block4_pool", "block5_pool", at.shape, tuned)
    found = layers.activations(before, made.pooled)
    assert np.allclose(found.features, expected.features, rtol=1e-3, atol=1e-4)
    assert np.allclose(found.pools, expected.pools, rtol=2e-3, atol=1e-4)
    columns = made.pooled.columns
    assert np.array_equal(found.pools[..., columns[names[0]]], before.pools[..., columns[names[0]]])
    assert not np.allclose(found.pools, before.pools, rtol=2e-3, atol=1e-4)
    some = layers.activations(Activations(before.features[17:], before.pools[17:]), made.pooled)
    assert np.array_equal(some.pools, found.pools[17:])  # whatever is beside them
    assert layers.activations(before.take(slice(0, 0)), made.pooled).pools.shape[0] == 0
    with pytest.raises(ValueError, match="one pass, and not 2"):
        layers.activations(before, replace(made, mirror=True).pooled)
