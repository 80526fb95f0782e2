"""Eight bits for the frozen network: ranges of what goes into each convolution, rounded kernels.

An activation x of channel c becomes the integer round(255 x / range[c]), at most 255. The ranges of
a layer's channels go part of the way from one range for all of them to one for each: what is gained
in the activations is lost in the kernel, whose columns they scale, and half of the way was the best
that was measured (docs/decisions/0018-int8.md). So equalisation (Nagel et al. 2019) costs nothing.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from .ranges import QUANTIZED, Ranges

__all__ = ["find_ranges", "quantize_kernel"]

#: Steps from 0 to the range of an activation, and from 0 to the largest weight of a filter.
ACTIVATION_STEPS, WEIGHT_STEPS = 255, 127

#: How many positions of each image are looked at: of larger maps, a regular grid.
_POSITIONS = 28 * 28
#: How far the channels' own ranges are followed, and how much larger all are made: measured.
_EQUALIZATION, _ROOM = 0.5, 1.1
_SHARES = np.linspace(0.15, 1, 35)


def find_ranges(inputs: Iterable[Mapping[str, np.ndarray]]) -> Ranges:
    """Return the ranges with the least squared error over the activations of some images.

    Parameters
    ----------
    inputs : iterable of mapping
        For some images at a time: layer → what goes into it, float32 (n, channels, height, width).
    """
    seen: dict[str, list[np.ndarray]] = {name: [] for name in QUANTIZED}
    for some in inputs:
        for name, x in some.items():
            step = max(1, int(np.sqrt(x.shape[2] * x.shape[3] / _POSITIONS)))
            grid = x[:, :, ::step, ::step]
            seen[name].append(grid.transpose(1, 0, 2, 3).reshape(x.shape[1], -1))
    return Ranges.of({name: _ranges(np.concatenate(found, 1)) for name, found in seen.items()})


def _ranges(x: np.ndarray) -> np.ndarray:
    """Return the range of each channel of activations, float32 (channels, positions)."""
    if not np.isfinite(x).all():
        return np.full(len(x), np.inf)
    own = np.array([_best_range(channel) for channel in x])
    own = np.maximum(own, 0.01 * own.max()) if own.max() > 0 else np.ones_like(own)
    relative = (own / np.exp(np.log(own).mean())) ** _EQUALIZATION
    scaled = (x / relative[:, np.newaxis].astype(np.float32)).ravel()
    common = _best_range(scaled[:: max(1, len(scaled) // (1 << 20))])
    return (common or 1.0) * _ROOM * relative


def _best_range(x: np.ndarray) -> float:
    """Return the range that rounds some activations with the least squared error; 0 for zeros."""
    x = x[x > 0]
    if not len(x):
        return 0.0
    largest = float(x.max())
    relative, errors = x / np.float32(largest), []
    for share in _SHARES:
        step = np.float32(share / ACTIVATION_STEPS)
        rounded = np.minimum(np.rint(relative / step), ACTIVATION_STEPS) * step
        errors.append(float(np.square(rounded - relative).mean()))
    return largest * float(_SHARES[int(np.argmin(errors))])


def quantize_kernel(kernel: np.ndarray, ranges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a kernel in integers, for inputs that are shares of their ranges.

    Each weight is rounded, and then in each 3 × 3 patch the weights nearest to a half are rounded
    the other way until the patch's errors add up to at most a half: neighbouring positions of a
    channel are alike, so errors that add up to nothing do little (the kernel-wise step of SQuant,
    Guo et al. 2022).

    Parameters
    ----------
    kernel : ndarray of float32, shape (3, 3, in, out)
    ranges : ndarray of float32, shape (in,)

    Returns
    -------
    ndarray of int8, shape (3, 3, in, out)
        -127 to 127.
    ndarray of float32, shape (out,)
        What a step of each filter is worth.
    """
    scaled = kernel * ranges[:, np.newaxis]
    step = np.maximum(np.abs(scaled).max((0, 1, 2)), np.float32(1e-30)) / WEIGHT_STEPS
    exact = (scaled / step).reshape(9, -1)
    rounded = np.rint(exact)
    error = rounded - exact
    total = error.sum(0)
    while len(patches := np.flatnonzero(np.abs(total) > 0.5)):
        sign = np.sign(total[patches])
        at = (error[:, patches] * sign).argmax(0)
        for array in (error, rounded):
            array[at, patches] -= sign
        total[patches] -= sign
    whole = np.clip(rounded, -WEIGHT_STEPS, WEIGHT_STEPS).astype(np.int8)
    return whole.reshape(kernel.shape), step.astype(np.float32)
