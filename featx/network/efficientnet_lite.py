"""EfficientNet-Lite0 (Google 2020): EfficientNet-B0 without its gates, and with ReLU6."""

from collections.abc import Mapping

import numpy as np

from .blocks import InvertedResiduals, Stage
from .sliced import Sliced, by_name
from .steps import INPUT

__all__ = ["CUTS", "LAYERS", "STEPS", "arrays_of"]

_NETWORK = InvertedResiduals(
    "efficientnet_lite0",
    (
        Stage(1, 16, expansion=1, kernel=3, stride=1),
        Stage(2, 24, expansion=6, kernel=3, stride=2),
        Stage(2, 40, expansion=6, kernel=5, stride=2),
        Stage(3, 80, expansion=6, kernel=3, stride=2),
        Stage(3, 112, expansion=6, kernel=5, stride=1),
        Stage(4, 192, expansion=6, kernel=5, stride=2),
        Stage(1, 320, expansion=6, kernel=3, stride=1),
    ),
    padding="same",
    epsilon=1e-3,
)

#: Every cut, in order: name → (how many times smaller than the image, channels).
CUTS = {INPUT: (1, 3), **_NETWORK.cuts}
#: The layers that are pooled by default: the last of each late stage, and the last of all.
LAYERS = ("block5", "block8", "block11", "block15", "block16", "last_relu")

#: What a state dict has beside the features: the classifier.
_LEFT_OUT = ("_fc.weight", "_fc.bias")


def arrays_of(state: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Return the weights of each Keras layer: layer → variable → array of float32.

    Parameters
    ----------
    state : mapping of str to ndarray
        A PyTorch state dict with the names of ``efficientnet_pytorch``: ``_blocks.0._bn1``.

    Raises
    ------
    CorruptError
        When an array is missing, unknown, of another shape, or not all finite numbers.
    """
    names = [("_conv_stem", "_bn0")]
    for number, part in enumerate(_NETWORK.parts[1:-1]):
        steps = (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2"))
        for convolution, norm in steps[-len(part.convolutions) :]:
            names.append((f"_blocks.{number}.{convolution}", f"_blocks.{number}.{norm}"))
    names.append(("_conv_head", "_bn1"))
    return _NETWORK.arrays_of(state, names, _LEFT_OUT)


#: How its layers are applied.
STEPS = Sliced(_NETWORK.build, by_name(CUTS), arrays_of)
