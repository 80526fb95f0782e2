"""MobileNetV2 (Sandler et al. 2018), as PyTorch's implementations of it have it."""

from collections.abc import Mapping

import numpy as np

from .blocks import InvertedResiduals, Stage
from .sliced import Sliced, by_name
from .steps import INPUT

__all__ = ["CUTS", "LAYERS", "STEPS", "arrays_of"]

_NETWORK = InvertedResiduals(
    "mobilenet_v2",
    (
        Stage(1, 16, expansion=1, kernel=3, stride=1),
        Stage(2, 24, expansion=6, kernel=3, stride=2),
        Stage(3, 32, expansion=6, kernel=3, stride=2),
        Stage(4, 64, expansion=6, kernel=3, stride=2),
        Stage(3, 96, expansion=6, kernel=3, stride=1),
        Stage(3, 160, expansion=6, kernel=3, stride=2),
        Stage(1, 320, expansion=6, kernel=3, stride=1),
    ),
    padding="symmetric",
    epsilon=1e-5,
)

#: Every cut, in order: name → (how many times smaller than the image, channels).
CUTS = {INPUT: (1, 3), **_NETWORK.cuts}
#: The layers that are pooled by default: the last of each late stage, and the last of all.
LAYERS = ("block6", "block10", "block13", "block16", "block17", "last_relu")

#: What a state dict has beside the features: the classifier.
_LEFT_OUT = ("classifier.1.weight", "classifier.1.bias")


def arrays_of(state: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Return the weights of each Keras layer: layer → variable → array of float32.

    Parameters
    ----------
    state : mapping of str to ndarray
        A PyTorch state dict with the names of Tonylins's implementation: ``features.1.conv.0``.

    Raises
    ------
    CorruptError
        When an array is missing, unknown, of another shape, or not all finite numbers.
    """
    names = []
    for number, part in enumerate(_NETWORK.parts):
        place = f"features.{number}"
        if len(part.convolutions) > 1:
            place += ".conv"
        # Each convolution is followed by its normalization and a rectifier: 0, 1, 2, 3 …
        for at in range(0, 3 * len(part.convolutions), 3):
            names.append((f"{place}.{at}", f"{place}.{at + 1}"))
    return _NETWORK.arrays_of(state, names, _LEFT_OUT)


#: How its layers are applied.
STEPS = Sliced(_NETWORK.build, by_name(CUTS), arrays_of)
