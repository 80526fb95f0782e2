"""How pixels are normalised before the first layer. No other module knows."""

from typing import Any

import numpy as np

__all__ = ["PREPROCESSING", "normalization", "normalize"]

#: The original weights of VGG16, which Keras ships, and torchvision's.
PREPROCESSING = ("caffe", "torch")

# Channel means of ImageNet. Caffe's are those of BGR in 0..255, torchvision's those of RGB in
# 0..1, with their deviations (keras.applications.imagenet_utils gives both).
_CAFFE_MEAN = (103.939, 116.779, 123.68)
_TORCH_MEAN = (0.485, 0.456, 0.406)
_TORCH_DEVIATION = (0.229, 0.224, 0.225)


def normalization(preprocessing: str) -> tuple[list[int], list[float], list[float]]:
    """Return how RGB in 0..255 is normalised, as plain numbers.

    Returns
    -------
    order, scale, offset : list
        The normalised image is ``scale * rgb + offset``, both a number a channel; `order` is for
        each RGB channel the input channel of the first kernel that it goes to.
    """
    if preprocessing == "caffe":
        return [2, 1, 0], [1.0] * 3, [-mean for mean in _CAFFE_MEAN[::-1]]
    scale = [1 / (255 * deviation) for deviation in _TORCH_DEVIATION]
    shares = zip(_TORCH_MEAN, _TORCH_DEVIATION, strict=True)
    return [0, 1, 2], scale, [-mean / deviation for mean, deviation in shares]


def normalize(pixels: Any, preprocessing: str) -> Any:
    """Return RGB float32 in 0..255 normalised as the weights were trained; also for a tensor."""
    if preprocessing == "caffe":
        return pixels[..., ::-1] - np.array(_CAFFE_MEAN, np.float32)
    mean = 255 * np.array(_TORCH_MEAN, np.float32)
    deviation = 255 * np.array(_TORCH_DEVIATION, np.float32)
    return (pixels - mean) / deviation
