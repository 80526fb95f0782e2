"""Networks of inverted residual blocks (Sandler et al. 2018): built, cut, and given weights.

A block widens its input by a convolution of 1 x 1, convolves each channel by itself, and narrows
the result again; where that has the shape of the input, the input is added. Convolutions have no
biases, and each has a batch normalization.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from .. import backend
from ..errors import CorruptError, printable

__all__ = ["InvertedResiduals", "Stage"]

_STEM, _LAST = "stem", "last"
#: Channels after the first convolution, and after the last.
_FIRST_CHANNELS, _LAST_CHANNELS = 32, 1280


class Stage(NamedTuple):
    """Blocks in a row, of which the first has the stride.

    Attributes
    ----------
    repeats : int
    channels : int
        Of what each block gives.
    expansion : int
        How many times wider a block is inside.
    kernel : int
        Side of the kernels in pixels.
    stride : int
    """

    repeats: int
    channels: int
    expansion: int
    kernel: int
    stride: int


class _Convolution(NamedTuple):
    """A convolution, its batch normalization, and ReLU6 where that has a name."""

    name: str
    norm: str
    activation: str
    before: int
    after: int
    kernel: int = 1
    stride: int = 1
    is_depthwise: bool = False

    @property
    def torch_shape(self) -> tuple[int, int, int, int]:
        """Shape of the kernel in PyTorch: (out, in, height, width)."""
        before = 1 if self.is_depthwise else self.before
        return self.after, before, self.kernel, self.kernel


class _Part(NamedTuple):
    """What lies between two cuts: convolutions, and whether their input is added at the end."""

    name: str
    scale: int
    convolutions: tuple[_Convolution, ...]
    is_residual: bool = False


@dataclass(frozen=True)
class InvertedResiduals:
    """A network of such blocks, from normalised pixels to its last features.

    Attributes
    ----------
    name : str
    stages : tuple of Stage
    padding : {"symmetric", "same"}
        Of convolutions with a stride: as many zeros on all sides, as PyTorch pads, or more of them
        at the bottom and on the right, as TensorFlow does.
    epsilon : float
        Of batch normalizations.
    """

    name: str
    stages: tuple[Stage, ...]
    padding: Literal["symmetric", "same"]
    epsilon: float

    @functools.cached_property
    def parts(self) -> tuple[_Part, ...]:
        """All parts in order: "stem", "block1" and so on, "last_relu"."""
        stem = _Convolution(f"{_STEM}_conv", f"{_STEM}_bn", _STEM, 3, _FIRST_CHANNELS, 3, 2)
        parts = [_Part(_STEM, 2, (stem,)), *self._blocks()]
        before = parts[-1].convolutions[-1].after
        last = _Convolution(f"{_LAST}_conv", f"{_LAST}_bn", f"{_LAST}_relu", before, _LAST_CHANNELS)
        return (*parts, _Part(last.activation, parts[-1].scale, (last,)))

    def _blocks(self) -> Iterator[_Part]:
        number, before, scale = 0, _FIRST_CHANNELS, 2
        for stage in self.stages:
            for position in range(stage.repeats):
                number += 1
                stride = stage.stride if position == 0 else 1
                scale *= stride
                yield _block(f"block{number}", stage, before, stride, scale)
                before = stage.channels

    @property
    def cuts(self) -> dict[str, tuple[int, int]]:
        """Every layer where it can be cut: name → (how many times smaller, channels)."""
        return {part.name: (part.scale, part.convolutions[-1].after) for part in self.parts}

    @property
    def gmac(self) -> float:
        """Multiplications of convolutions for an image of 224 pixels, in 1e9."""
        total = 0
        for before, part in zip((self.parts[0], *self.parts), self.parts, strict=False):
            scale = 1 if part.name == _STEM else before.scale
            for one in part.convolutions:
                scale *= one.stride
                total += (224 // scale) ** 2 * int(np.prod(one.torch_shape))
        return total / 1e9

    def build(self) -> Any:
        """Return a new Keras model of images (batch, height, width, 3), in Keras's precision."""
        keras = backend.keras()
        x = inputs = keras.Input((None, None, 3), name="input")
        for part in self.parts:
            start = x
            for one in part.convolutions:
                x = self._apply(one, x)
            if part.is_residual:
                x = keras.layers.Add(name=part.name)([start, x])
        return keras.Model(inputs, x, name=self.name)

    def _apply(self, one: _Convolution, x: Any) -> Any:
        layers = backend.keras().layers
        padding = "same"
        if one.stride > 1 and self.padding == "symmetric":
            x = layers.ZeroPadding2D(one.kernel // 2, name=f"{one.name}_pad")(x)
            padding = "valid"
        shared = {
            "kernel_size": one.kernel, "strides": one.stride, "padding": padding,
            "use_bias": False, "name": one.name,
        }  # fmt: skip
        if one.is_depthwise:
            x = layers.DepthwiseConv2D(**shared)(x)
        else:
            x = layers.Conv2D(one.after, **shared)(x)
        x = layers.BatchNormalization(epsilon=self.epsilon, name=one.norm)(x)
        return layers.ReLU(6.0, name=one.activation)(x) if one.activation else x

    def arrays_of(
        self,
        state: Mapping[str, np.ndarray],
        names: Sequence[tuple[str, str]],
        left_out: Sequence[str],
    ) -> dict[str, dict[str, np.ndarray]]:
        """Return the weights of each Keras layer from a PyTorch state dict.

        Parameters
        ----------
        state : mapping of str to ndarray
        names : sequence of (str, str)
            What the state dict calls each convolution and its batch normalization, in order.
        left_out : sequence of str
            Arrays that may be there and are not wanted: of a classifier.

        Returns
        -------
        dict of str to dict
            Layer → variable → array of float32.

        Raises
        ------
        CorruptError
            When an array is missing, unknown, of another shape, or not all finite numbers.
        """
        rest, found = dict(state), {}
        convolutions = [one for part in self.parts for one in part.convolutions]
        for one, (kernel_of, norm_of) in zip(convolutions, names, strict=True):
            kernel = _take(rest, f"{kernel_of}.weight", one.torch_shape)
            axes = (2, 3, 0, 1) if one.is_depthwise else (2, 3, 1, 0)
            found[one.name] = {"kernel": np.ascontiguousarray(kernel.transpose(axes))}
            found[one.norm] = {
                variable: _take(rest, f"{norm_of}.{called}", (one.after,))
                for variable, called in _NORM.items()
            }
            rest.pop(f"{norm_of}.num_batches_tracked", None)
        if unknown := sorted(set(rest) - set(left_out)):
            raise CorruptError(
                f"The file of weights has {printable(unknown[0])!r}, which {self.name} has not, "
                f"and {len(unknown) - 1} further arrays of that kind."
            )
        return found


#: Keras's name → PyTorch's.
_NORM = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def _block(name: str, stage: Stage, before: int, stride: int, scale: int) -> _Part:
    inside = before * stage.expansion
    is_residual = stride == 1 and before == stage.channels
    found = [
        _Convolution(
            f"{name}_depthwise", f"{name}_depthwise_bn", f"{name}_depthwise_relu",
            inside, inside, stage.kernel, stride, True,
        ),
        _Convolution(
            f"{name}_project", f"{name}_project_bn" if is_residual else name, "",
            inside, stage.channels,
        ),
    ]  # fmt: skip
    if stage.expansion > 1:
        widen = f"{name}_expand"
        found.insert(0, _Convolution(widen, f"{widen}_bn", f"{widen}_relu", before, inside))
    return _Part(name, scale, tuple(found), is_residual)


def _take(rest: dict[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Take an array out of a state dict, as float32."""
    if name not in rest:
        raise CorruptError(f"The file of weights has no array {name!r}. Expected {shape}.")
    array = rest.pop(name)
    if array.shape != shape:
        raise CorruptError(f"The array {name!r} has the shape {array.shape}; expected {shape}.")
    if array.dtype.kind != "f" or not np.isfinite(array).all():
        raise CorruptError(f"The array {name!r} is not all finite numbers.")
    return array.astype(np.float32)
