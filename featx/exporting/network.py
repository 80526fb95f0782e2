"""A model as one Keras network: uint8 images in, probabilities out, nothing of featx inside."""

from typing import Any

from .. import backend
from ..model.model import Model
from ..network import layers
from ..network.preprocessing import normalization
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
        When VGG16's weights are not at hand.
    """
    require_one_size(model.view)
    keras = backend.keras()
    size = model.fingerprint.trunk.size
    pixels = keras.Input((size, size, 3), dtype="uint8", name=INPUT)
    # Weights stay in float32, which every version of Keras can save.
    policy = "mixed_bfloat16" if precision == "bfloat16" else "float32"
    passes = [_seen(model, pixels, policy)]
    if model.view.kind.layers and model.view.pooled.mirror:
        trunk = keras.Model(pixels, passes[0], name="trunk")
        passes = [trunk(pixels), trunk(keras.ops.flip(pixels, axis=2))]
    rows = apply_rows(model.view, passes)
    found = apply_any_head(rows, model.head_name, model.head)
    return keras.Model(pixels, found, name=NAME)


def _seen(model: Model, pixels: Any, policy: str) -> dict[str, Any]:
    """Return the layers that the view sees, of pixels."""
    keras, made, tail = backend.keras(), model.fingerprint, model.tail
    order, scale, offset = normalization(made.trunk.preprocessing)
    x = keras.layers.Rescaling(scale, offset, name="normalize", dtype="float32")(pixels)
    if order != sorted(order):
        x = keras.ops.take(x, order, axis=-1)
    cut, pooled = made.trunk.cut, model.view.pooled.names if model.view.kind.layers else ()
    own = tail.layers if tail else []
    frozen = layers.deepest(cut, *(name for name in pooled if name not in own))
    names = layers.layers_between(layers.INPUT, frozen)
    outputs = layers.layer_outputs(x, names, model.trunk.weights.arrays(), policy)
    if tail and frozen != cut:  # pools after the tail, of the network as it was: names come twice
        seen = {name: outputs[name] for name in (cut, *pooled) if name in outputs}
        outputs = keras.Model(pixels, seen, name="frozen")(pixels)
    if not pooled or tail:
        outputs[cut] = rounded(outputs[cut], made.dtype)
    if tail:
        outputs |= layers.layer_outputs(outputs[cut], tail.layers, tail.arrays, policy)
    return {name: outputs[name] for name in pooled or (model.until,)}
