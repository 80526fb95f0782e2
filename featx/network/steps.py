"""What a network is made of: layers one after the other, at each of which it can be cut."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from .. import backend
from ..errors import InputError

__all__ = ["INPUT", "WHOLE", "Arrays", "NoSteps", "Steps", "pool_channels", "random_array"]

#: The weights of layers: layer → its arrays, in the order of `Steps.variables`.
Arrays = dict[str, tuple[np.ndarray, ...]]

#: Normalised pixels: what stands before the first layer.
INPUT = "input"


#: Why nothing is done with single layers of a file.
WHOLE = (
    "The network is a file of your own, whose layers featx does not know: it gives features, and "
    "is neither fine-tuned nor exported. Take a network of the table for that."
)


class Steps(Protocol):
    """How the layers of a network are applied, and which weights they have.

    A layer here is what lies between two cuts: one of Keras's layers, or a block of them.
    """

    def variables(self, name: str) -> Mapping[str, tuple[int, ...]]:
        """Return the weights of a layer, in order: name → shape; none for a layer without."""
        ...

    def outputs(self, x: Any, names: Iterable[str], arrays: Arrays, dtype: Any) -> dict[str, Any]:
        """Send a Keras tensor through layers with these weights, and return what each gives.

        The tensor itself is there too, as `INPUT`: a cut can be before the first layer.

        Parameters
        ----------
        x : KerasTensor, shape (batch, height, width, channels)
        names : iterable of str
            Layers that follow one another.
        arrays : Arrays
        dtype : str or keras.DTypePolicy
            Precision of the layers.
        """
        ...

    def from_file(self, data: bytes) -> Arrays:
        """Read all weights from the bytes of a file.

        Raises
        ------
        CorruptError
            When they are not those of this network.
        """
        ...

    def random_arrays(self, seed: int) -> Arrays:
        """Return random weights, the same for the same seed."""
        ...


class NoSteps:
    """Of a network that is computed elsewhere, as a whole: it has no layers to speak of."""

    def variables(self, name: str) -> Mapping[str, tuple[int, ...]]:
        """Return that a layer has no weights that are known."""
        return {}

    def outputs(self, x: Any, names: Iterable[str], arrays: Arrays, dtype: Any) -> dict[str, Any]:
        """Refuse: its layers are not known."""
        raise InputError(WHOLE)

    def from_file(self, data: bytes) -> Arrays:
        """Refuse, as `outputs` does."""
        raise InputError(WHOLE)

    def random_arrays(self, seed: int) -> Arrays:
        """Refuse, as `outputs` does."""
        raise InputError(WHOLE)


def random_array(
    random: np.random.Generator, variable: str, shape: tuple[int, ...], inputs: int
) -> np.ndarray:
    """Return a random kernel, a factor of 1, or an offset of 0, float32.

    A kernel that sums up `inputs` numbers is normal with the variance 2 / inputs (He et al. 2015).
    """
    last = variable.rpartition("/")[2]
    if last == "kernel":
        kernel = random.standard_normal(shape, dtype=np.float32)
        return kernel * np.float32(math.sqrt(2 / inputs))
    return np.full(shape, last in ("gamma", "moving_variance"), np.float32)


def pool_channels(outputs: Mapping[str, Any], names: Sequence[str], batch: int) -> Any:
    """Return mean and maximum of each channel over the positions, layer by layer, side by side.

    Parameters
    ----------
    outputs : mapping of str to Tensor, shape (batch, height, width, channels)
        In any precision; sums are float32.
    names : sequence of str
        Which of them are pooled, in order.
    batch : int

    Returns
    -------
    Tensor of float32, shape (batch, columns)
    """
    tf = backend.tensorflow()
    pools = [
        reduce(tf.cast(outputs[name], tf.float32), (1, 2))
        for name in names
        for reduce in (tf.reduce_mean, tf.reduce_max)
    ]
    return tf.concat(pools, 1) if pools else tf.zeros((batch, 0))
