"""The network as a function of TensorFlow, which is run as it is, or handed to another runtime."""

from typing import Any

from .. import backend
from .fingerprint import Fingerprint
from .preprocessing import normalize
from .steps import INPUT, Arrays, pool_channels

__all__ = ["FEATURES", "POOLS", "build_function"]

#: The names of what the function gives.
FEATURES, POOLS = "features", "pools"


def build_function(arrays: Arrays, fingerprint: Fingerprint, batch: int) -> Any:
    """Return a function from pixels to the features at the cut and the layer pools, not yet traced.

    Parameters
    ----------
    arrays : Arrays
    fingerprint : Fingerprint
        See `runtime.compile_network`.
    batch : int

    Returns
    -------
    tf.function
        uint8 (batch, size, size, 3) → dict of float32: `FEATURES` (batch, height, width, channels)
        and, where layers are pooled, `POOLS` (batch, columns).
    """
    tf, keras = backend.tensorflow(), backend.keras()
    trunk, pooled, row = fingerprint.trunk, fingerprint.layers, fingerprint.trunk.row
    pixels = keras.Input((trunk.size, trunk.size, 3), dtype="uint8")
    x = normalize(keras.ops.cast(pixels, "float32"), trunk.preprocessing)
    x = keras.ops.cast(x, fingerprint.precision)
    names = row.layers_between(INPUT, row.deepest(trunk.cut, *pooled))
    outputs = row.steps.outputs(x, names, arrays, fingerprint.precision)
    wanted = {name: outputs[name] for name in (trunk.cut, *pooled)}
    model = keras.Model(pixels, wanted, trainable=False)

    @tf.function(input_signature=[tf.TensorSpec((batch, trunk.size, trunk.size, 3), tf.uint8)])
    def function(block: Any) -> dict[str, Any]:
        found = model(block, training=False)
        given = {FEATURES: tf.cast(found[trunk.cut], tf.float32)}
        if pooled:
            given[POOLS] = pool_channels(found, pooled, batch)
        return given

    return function
