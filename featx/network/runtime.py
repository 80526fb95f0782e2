"""Which runtime computes the frozen network, and in which precision."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import backend
from ..errors import one_of, require_one_of
from . import hardware
from .fingerprint import TrunkFingerprint
from .layers import INPUT, Arrays, deepest, layer_outputs, layers_between, pool_channels
from .openvino import compile_by_openvino
from .openvino import has_bfloat16 as openvino_has_bfloat16
from .preprocessing import normalize
from .winograd import compile_by_winograd

__all__ = [
    "PRECISIONS",
    "RUNTIMES",
    "choose_here",
    "choose_precision",
    "choose_runtime",
    "compile_network",
]

RUNTIMES = ("auto", "tensorflow", "winograd", "openvino")
PRECISIONS = ("auto", "float32", "bfloat16")

#: uint8 (batch, size, size, 3) → float32 features at the cut (batch, height, width, channels), and
#: float32 layer pools (batch, columns).
Network = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def choose_runtime(
    wanted: str,
    before: str | None = None,
    *,
    precision: str = "auto",
    size: int = 224,
    images: float = math.inf,
) -> str:
    """Return "tensorflow", "winograd" or "openvino".

    "auto" is what was used before. Else it is Winograd's algorithm where it was measured to be the
    quickest: in float32 on a processor with AVX2, but without AVX-512 and a GPU, for 64 and more
    images of 128 and more pixels a side; fewer do not pay for compiling. Else it is TensorFlow.

    Parameters
    ----------
    wanted : str
        One of `RUNTIMES`.
    before : str, optional
    precision : {"auto", "float32", "bfloat16"}
    size : int
        Side of the images in pixels.
    images : float
        How many there are.

    Raises
    ------
    InputError
        When `wanted` is none of `RUNTIMES`.
    """
    require_one_of("runtime", wanted, RUNTIMES)
    if wanted != "auto":
        return wanted
    if before:
        return before
    flags = hardware.cpu_flags()
    plain = "avx2" in flags and "avx512f" not in flags
    pays = precision != "bfloat16" and size >= 128 and images >= 64
    return "winograd" if plain and pays and not hardware.has_gpu() else "tensorflow"


def choose_precision(wanted: str, runtime: str = "tensorflow", made_in: str = "bfloat16") -> str:
    """Return the precision to compute in, "float32" or "bfloat16".

    "auto" is `made_in` where the hardware multiplies it natively, else float32: a processor without
    bfloat16 emulates it, several times slower. OpenVINO runs on the processor, so a GPU does not
    count for it, and it is asked itself; Winograd's algorithm is always float32.

    Parameters
    ----------
    wanted : {"auto", "float32", "bfloat16"}
    runtime : {"auto", "tensorflow", "winograd", "openvino"}
    made_in : {"float32", "bfloat16"}
        The precision of the features that exist; for new ones, the one to prefer.

    Raises
    ------
    InputError
        When `wanted` is none of `PRECISIONS`.
    """
    require_one_of("precision", wanted, PRECISIONS)
    if wanted != "auto":
        return wanted
    return made_in if _is_native(made_in, runtime) else "float32"


def choose_here(
    made_by: str, made_in: str, *, runtime: str = "auto", precision: str = "auto", size: int = 224
) -> tuple[str, str]:
    """Return runtime and precision in which this machine computes what was made on another.

    Parameters
    ----------
    made_by, made_in : str
        Runtime and precision of the features that exist.
    runtime, precision : str
        What is asked for; "auto" keeps what it was made with, where that is native here.
    size : int
        Pixels a side.
    """
    chosen = choose_precision(precision, made_by if runtime == "auto" else runtime, made_in)
    before = made_by if chosen == made_in else None
    return choose_runtime(runtime, before, precision=chosen, size=size), chosen


def _is_native(precision: str, runtime: str) -> bool:
    if precision == "float32":
        return True
    if runtime == "winograd":
        return False
    if runtime == "openvino":
        return openvino_has_bfloat16()
    return hardware.has_bfloat16() or hardware.gpu_has_bfloat16()


def compile_network(
    chosen: str,
    arrays: Arrays,
    fingerprint: TrunkFingerprint,
    precision: str,
    batch: int,
    pooled: Sequence[str] = (),
) -> Network:
    """Return the network from pixels to the cut and the layer pools, for batches of one size.

    Parameters
    ----------
    chosen : {"tensorflow", "winograd", "openvino"}
    arrays : Arrays
        The weights of the convolutions.
    fingerprint : TrunkFingerprint
    precision : {"float32", "bfloat16"}
        Precision of the network. Means over positions are summed in float32 all the same.
    batch : int
    pooled : sequence of str
        Layers whose channels are pooled, before the cut or after it; see
        `activations.PooledLayers`.

    Raises
    ------
    InputError
        When the runtime is not installed, or does not compute in that precision on this machine.
    """
    makers = {
        "tensorflow": _compile_by_tensorflow,
        "winograd": compile_by_winograd,
        "openvino": compile_by_openvino,
    }
    return one_of("runtime", chosen, makers)(arrays, fingerprint, precision, batch, pooled)


def _compile_by_tensorflow(
    arrays: Arrays,
    fingerprint: TrunkFingerprint,
    precision: str,
    batch: int,
    pooled: Sequence[str],
) -> Network:
    tf, keras = backend.tensorflow(), backend.keras()
    size = fingerprint.size
    pixels = keras.Input((size, size, 3), dtype="uint8")
    x = normalize(keras.ops.cast(pixels, "float32"), fingerprint.preprocessing)
    names = layers_between(INPUT, deepest(fingerprint.cut, *pooled))
    outputs = layer_outputs(keras.ops.cast(x, precision), names, arrays, precision)
    wanted = {name: outputs[name] for name in (fingerprint.cut, *pooled)}
    model = keras.Model(pixels, wanted, trainable=False)

    @tf.function(input_signature=[tf.TensorSpec((batch, size, size, 3), tf.uint8)])
    def activations(block: Any) -> Any:
        found = model(block, training=False)
        features = tf.cast(found[fingerprint.cut], tf.float32)
        return features, pool_channels(found, pooled, batch)

    def network(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        features, pools = activations(block)
        return features.numpy(), pools.numpy()

    return network
