"""VGG16 from pixels to the cut, frozen: the only place that knows how pixels are normalised."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from . import backend, vgg16
from .errors import InputError
from .fingerprint import TrunkFingerprint
from .weights import Weights

__all__ = ["BATCH", "PRECISIONS", "Trunk", "normalization", "precision"]

PRECISIONS = ("auto", "float32", "bfloat16")

#: Pictures in a batch. Always as many: the last bits of features depend on it.
BATCH = 16

# Channel means of ImageNet. Caffe's are those of BGR in 0..255, torchvision's those of RGB in
# 0..1, with their deviations (keras.applications.imagenet_utils gives both).
_CAFFE_MEAN = (103.939, 116.779, 123.68)
_TORCH_MEAN = (0.485, 0.456, 0.406)
_TORCH_DEVIATION = (0.229, 0.224, 0.225)


def precision(wanted: str) -> str:
    """Return "float32" or "bfloat16"; "auto" is bfloat16 where the hardware has it natively.

    Raises
    ------
    InputError
        When `wanted` is none of `PRECISIONS`.
    """
    if wanted not in PRECISIONS:
        raise InputError(f"Unknown precision {wanted!r}. Expected one of {', '.join(PRECISIONS)}.")
    if wanted != "auto":
        return wanted
    return "bfloat16" if _cpu_has_bfloat16() or _gpu_has_bfloat16() else "float32"


def _cpu_has_bfloat16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _gpu_has_bfloat16() -> bool:
    config = backend.tensorflow().config
    for gpu in config.list_physical_devices("GPU"):
        details = config.experimental.get_device_details(gpu)
        if details.get("compute_capability", (0, 0)) >= (8, 0):
            return True
    return False


class Trunk:
    """The frozen network. Nothing is loaded before the first call of `features`.

    Parameters
    ----------
    weights : Weights
    fingerprint : TrunkFingerprint
    precision : {"float32", "bfloat16"}
        In which the network computes.
    dtype : {"float16", "float32"}
        Of the features that come out.
    batch : int
        Pictures in a batch.
    """

    def __init__(
        self,
        weights: Weights,
        fingerprint: TrunkFingerprint,
        *,
        precision: str = "float32",
        dtype: str = "float16",
        batch: int = BATCH,
    ) -> None:
        self.weights = weights
        self.fingerprint = fingerprint
        self.precision = precision
        self.dtype = dtype
        self.batch = batch

    @functools.cached_property
    def _compiled(self) -> Callable[[np.ndarray], tuple[Any, Any]]:
        """One function of uint8 (batch, size, size, 3) → features, whether each is finite."""
        tf = backend.tensorflow()
        model = _model(self.weights.arrays(), self.fingerprint, self.precision)
        size = self.fingerprint.size

        @tf.function(input_signature=[tf.TensorSpec((self.batch, size, size, 3), tf.uint8)])
        def features(pixels: Any) -> tuple[Any, Any]:
            out = tf.cast(model(pixels, training=False), tf.float32)
            return tf.cast(out, self.dtype), tf.reduce_all(tf.math.is_finite(out), axis=(1, 2, 3))

        return features

    def features(self, pixels: np.ndarray) -> np.ndarray:
        """Return the features of pictures at the cut.

        Parameters
        ----------
        pixels : ndarray of uint8, shape (n, size, size, 3)
            Upright RGB, as `images.decode` makes it. Any n; the last batch is padded.

        Returns
        -------
        ndarray of float16 or float32, shape (n, *fingerprint.shape)
            A picture whose features are not finite (only odd weights do that) has none finite.

        Raises
        ------
        CorruptError
            When the weights are not VGG16's.
        InputError
            When features are too large for float16.
        """
        found = np.empty((len(pixels), *self.fingerprint.shape), self.dtype)
        for start in range(0, len(pixels), self.batch):
            block = pixels[start : start + self.batch]
            padding = self.batch - len(block)
            if padding:
                block = np.concatenate([block, np.zeros((padding, *block.shape[1:]), np.uint8)])
            out, finite = (array.numpy() for array in self._compiled(block))
            stop = start + self.batch - padding
            found[start:stop] = out[: stop - start]
            fits = np.isfinite(found[start:stop]).all(axis=(1, 2, 3))
            if (finite[: stop - start] & ~fits).any():
                raise InputError(
                    f"Features at {self.fingerprint.cut} are beyond float16's 65,504. "
                    "Use --dtype float32."
                )
        return found


def _model(arrays: vgg16.Arrays, fingerprint: TrunkFingerprint, precision: str) -> Any:
    """Build the Keras model from uint8 pixels to the cut."""
    keras = backend.keras()
    pixels = keras.Input((fingerprint.size, fingerprint.size, 3), dtype="uint8")
    x = _preprocess(keras.ops.cast(pixels, "float32"), fingerprint.preprocessing)
    names = vgg16.layers_between(vgg16.INPUT, fingerprint.cut)
    x = vgg16.connected(keras.ops.cast(x, precision), names, arrays, precision)
    return keras.Model(pixels, x, trainable=False)


def _preprocess(pixels: Any, preprocessing: str) -> Any:
    """Normalise RGB float32 in 0..255 as the weights were trained."""
    if preprocessing == "caffe":
        return pixels[..., ::-1] - np.array(_CAFFE_MEAN, np.float32)
    mean = 255 * np.array(_TORCH_MEAN, np.float32)
    deviation = 255 * np.array(_TORCH_DEVIATION, np.float32)
    return (pixels - mean) / deviation


def normalization(preprocessing: str) -> tuple[list[int], list[float], list[float]]:
    """Return how RGB in 0..255 is normalised, as plain numbers.

    Returns
    -------
    order, scale, offset : list
        The normalised picture is ``scale * rgb + offset``, both a number a channel; `order` is for
        each RGB channel the input channel of the first kernel that it goes to.
    """
    if preprocessing == "caffe":
        return [2, 1, 0], [1.0] * 3, [-mean for mean in _CAFFE_MEAN[::-1]]
    scale = [1 / (255 * deviation) for deviation in _TORCH_DEVIATION]
    shares = zip(_TORCH_MEAN, _TORCH_DEVIATION, strict=True)
    return [0, 1, 2], scale, [-mean / deviation for mean, deviation in shares]
