"""How pixels are normalised before the first layer. No other module knows."""

from typing import Any

import numpy as np

__all__ = ["PREPROCESSING", "normalization", "normalize"]

#: caffe: the original weights of VGG16 and ResNet50, which Keras ships. torch: torchvision's, and
#: those of many others. tf: -1 to 1. lite: EfficientNet-Lite's. none: 0 to 255 as they are.
PREPROCESSING = ("caffe", "torch", "tf", "lite", "none")

# Channel means of ImageNet. Caffe's are those of BGR in 0..255, torchvision's those of RGB in
# 0..1, with their deviations (keras.applications.imagenet_utils gives both).
_CAFFE_MEAN = (103.939, 116.779, 123.68)
_TORCH_MEAN = (0.485, 0.456, 0.406)
_TORCH_DEVIATION = (0.229, 0.224, 0.225)

#: The grey that becomes 0, and the difference from it that becomes 1, in 0..255.
_SHIFTED = {"tf": (127.5, 127.5), "lite": (127.0, 128.0), "none": (0.0, 1.0)}


def normalization(preprocessing: str) -> tuple[list[int], list[float], list[float]]:
    """Return how RGB in 0..255 is normalised, as plain numbers.

    Returns
    -------
    order, scale, offset : list
        The normalised image is ``scale * rgb + offset``, both a number a channel; `order` is for
        each RGB channel the input channel of the first kernel that it goes to.
    """
    order = [0, 1, 2]
    if preprocessing == "caffe":
        return order[::-1], [1.0] * 3, [-mean for mean in _CAFFE_MEAN[::-1]]
    if preprocessing in _SHIFTED:
        middle, deviation = _SHIFTED[preprocessing]
        return order, [1 / deviation] * 3, [-middle / deviation] * 3
    scale = [1 / (255 * deviation) for deviation in _TORCH_DEVIATION]
    shares = zip(_TORCH_MEAN, _TORCH_DEVIATION, strict=True)
    return order, scale, [-mean / deviation for mean, deviation in shares]


def normalize(pixels: Any, preprocessing: str) -> Any:
    """Return RGB float32 in 0..255 normalised as the weights were trained; also for a tensor."""
    if preprocessing == "caffe":
        return pixels[..., ::-1] - np.array(_CAFFE_MEAN, np.float32)
    if preprocessing in _SHIFTED:
        middle, deviation = _SHIFTED[preprocessing]
        return (pixels - np.float32(middle)) / np.float32(deviation)
    mean = 255 * np.array(_TORCH_MEAN, np.float32)
    deviations = 255 * np.array(_TORCH_DEVIATION, np.float32)
    return (pixels - mean) / deviations
