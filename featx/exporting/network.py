"""A model as one Keras network: uint8 images in, probabilities out, nothing of featx inside."""

from typing import Any

from .. import backend
from ..model.model import Model
from ..network.preprocessing import normalization
from ..network.steps import INPUT as PIXELS
from ..network.trunk import Trunk
from ..network.views import View
from .about import INPUT, NAME
from .heads import apply_any_head
from .views import apply_rows, require_one_size, rounded

__all__ = ["build_exported"]


@backend.own_settings()
def build_exported(model: Model, precision: str = "float32") -> Any:
    """Return a Keras model with the probabilities of a model.

    Parameters
    ----------
    model : Model
    precision : {"float32", "bfloat16"}
        Precision of the convolutions; the view and the head are float32.

    Returns
    -------
    keras.Model
        From uint8 (n, size, size, 3), upright RGB, to float32 (n, classes).

    Raises
    ------
    InputError
        When the model sees images at several sizes.
    IncompatibleError, StorageError
        When the network's weights are not at hand.
    """
    require_one_size(model)
    keras = backend.keras()
    size = model.fingerprint.trunk.size
    pixels = keras.Input((size, size, 3), dtype="uint8", name=INPUT)
    # Weights stay in float32, which every version of Keras can save.
    policy = "mixed_bfloat16" if precision == "bfloat16" else "float32"
    several = model.view.each
    trunks = (model.trunk, *model.trunk.also)
    each = [_rows(model, *one, pixels, policy) for one in zip(several, trunks, strict=True)]
    rows = each[0]
    if len(each) > 1:  # names of layers come twice
        parts = [keras.Model(pixels, x, name=f"network{n}") for n, x in enumerate(each, start=1)]
        rows = keras.layers.Concatenate(dtype="float32")([part(pixels) for part in parts])
        rows = keras.layers.UnitNormalization(name="rows", dtype="float32")(rows)
    found = apply_any_head(rows, model.head_name, model.head)
    return keras.Model(pixels, found, name=NAME)


def _rows(model: Model, view: View, trunk: Trunk, pixels: Any, policy: str) -> Any:
    """Return the rows that a network gives of pixels, by its view."""
    keras = backend.keras()
    passes = [_seen(model, view, trunk, pixels, policy)]
    if view.kind.layers and view.pooled.mirror:
        network = keras.Model(pixels, passes[0], name="trunk")
        passes = [network(pixels), network(keras.ops.flip(pixels, axis=2))]
    return apply_rows(view, passes)


def _seen(model: Model, view: View, trunk: Trunk, pixels: Any, policy: str) -> dict[str, Any]:
    """Return the layers that the view sees, of pixels."""
    keras, made, tail = backend.keras(), trunk.fingerprint, model.tail
    order, scale, offset = normalization(made.trunk.preprocessing)
    x = keras.layers.Rescaling(scale, offset, name="normalize", dtype="float32")(pixels)
    if order != sorted(order):
        x = keras.ops.take(x, order, axis=-1)
    cut, pooled = made.trunk.cut, view.pooled.names if view.kind.layers else ()
    own = tail.layers if tail else []
    row = made.trunk.row
    frozen = row.deepest(cut, *(name for name in pooled if name not in own))
    names = row.layers_between(PIXELS, frozen)
    outputs = row.steps.outputs(x, names, trunk.weights.arrays(), policy)
    if tail and frozen != cut:  # pools after the tail, of the network as it was: names come twice
        seen = {name: outputs[name] for name in (cut, *pooled) if name in outputs}
        outputs = keras.Model(pixels, seen, name="frozen")(pixels)
    if not pooled or tail:
        outputs[cut] = rounded(outputs[cut], made.dtype)
    if tail:
        outputs |= row.steps.outputs(outputs[cut], tail.layers, tail.arrays, policy)
    return {name: outputs[name] for name in pooled or (tail.until if tail else cut,)}
