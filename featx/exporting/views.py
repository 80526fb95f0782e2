"""What a head sees of an image, as layers: the same rows of length 1 as `views.View` makes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import backend
from ..errors import InputError
from ..model.keras_network import apply_view
from ..model.model import Model
from ..network.covariance import RIDGE, Projection
from ..network.views import View

__all__ = ["apply_rows", "require_one_size", "rounded"]

# Each step of Newton and Schulz multiplies a small root by 1.5 and doubles the digits of one that
# is near 1. The smallest eigenvalue is at worst the ridge, a thousandth of the mean: of the sum of
# 96 it is 1e-5, whose root comes near 1 in 14 steps.
_STEPS = 19


def require_one_size(model: Model) -> None:
    """Check that a model needs an image at one size only.

    Raises
    ------
    InputError
        When it sees several: each is made from the original file, which an exported network does
        not see.
    """
    each = zip(model.view.each, model.fingerprint.each, strict=True)
    seen = [v.pooled.sizes if v.kind.layers else (made.trunk.size,) for v, made in each]
    sizes = tuple(dict.fromkeys(size for some in seen for size in some))
    if len(sizes) > 1:
        raise InputError(
            f"The model sees every image at {len(sizes)} sizes ({', '.join(map(str, sizes))} "
            "pixels), and an exported file takes it at one. Extract with one --size, the same for "
            "every network, and fit again."
        )


def rounded(x: Any, dtype: str) -> Any:
    """Return numbers rounded as a cache keeps them, as float32."""
    ops = backend.keras().ops
    return ops.cast(ops.cast(x, dtype), "float32")


def apply_rows(view: View, passes: Sequence[Mapping[str, Any]]) -> Any:
    """Return rows of length 1, as `View.rows` makes them.

    Parameters
    ----------
    view : View
    passes : sequence of mapping of str to KerasTensor, shape (batch, height, width, channels)
        For each pass, the layers that the view sees, in order.

    Returns
    -------
    KerasTensor of float32, shape (batch, view.width)
    """
    keras = backend.keras()
    if view.kind.layers:
        parts = [_layer_blocks(outputs) for outputs in passes]
        seen = parts[0] if len(parts) == 1 else keras.layers.Add()(parts)
    elif view.projection:
        (features,) = passes[0].values()
        seen = _covariance(features, view.projection)
    else:
        (features,) = passes[0].values()
        seen = apply_view(view.name, features)
    return keras.layers.UnitNormalization(name="rows", dtype="float32")(seen)


def _layer_blocks(outputs: Mapping[str, Any]) -> Any:
    """Return mean and maximum of layers, square-rooted and each of length 1, side by side."""
    keras = backend.keras()
    layers, ops = keras.layers, keras.ops
    blocks = []
    for x in outputs.values():
        for pool in (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D):
            found = rounded(pool(dtype="float32")(x), "float16")  # as all pools are kept
            rooted = ops.sign(found) * ops.sqrt(ops.absolute(found))
            blocks.append(layers.UnitNormalization(dtype="float32")(rooted))
    return layers.Concatenate(dtype="float32")(blocks)


def _covariance(features: Any, projection: Projection) -> Any:
    """Return the upper triangle of the root of the covariance of the positions; see `covariance`.

    The root is found by Newton's and Schulz's iteration, which is products of matrices alone
    (Higham, "Functions of Matrices", 2008, 6.35; Li et al. 2018).
    """
    keras = backend.keras()
    ops = keras.ops
    _, height, width, channels = features.shape
    count, k = height * width, projection.directions.shape[1]
    positions = keras.layers.Reshape((count, channels), dtype="float32")(
        ops.cast(features, "float32")
    )
    # The mean is taken off first, as `Projection` does: a constant term would lose digits.
    less = ops.subtract(positions, projection.mean)
    layer = keras.layers.Dense(k, use_bias=False, name="directions", dtype="float32")
    x = layer(less)
    layer.set_weights([projection.directions])
    covariance = ops.matmul(ops.transpose(x, (0, 2, 1)), x) / count
    identity = np.eye(k, dtype=np.float32)
    traces = ops.sum(covariance * identity, axis=(1, 2), keepdims=True)
    ridge = ops.maximum(traces * (RIDGE / k), 1e-12)
    total = traces + ridge * k
    y = (covariance + ridge * identity) / total
    y, z = y * 1.5 - ops.matmul(y, y) * 0.5, y * -0.5 + 1.5 * identity
    for _ in range(_STEPS):
        product = ops.matmul(z, y)
        y, z = y * 1.5 - ops.matmul(y, product) * 0.5, z * 1.5 - ops.matmul(product, z) * 0.5
    # The length of a row is that of the matrix; rows are brought to length 1 afterwards.
    upper = np.triu_indices(k)
    scale = np.where(upper[0] == upper[1], 1, np.sqrt(2)).astype(np.float32)
    flat = keras.layers.Reshape((k * k,))(y)
    return ops.take(flat, np.ravel_multi_index(upper, (k, k)), axis=1) * scale
