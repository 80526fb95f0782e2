"""Which runtime computes the frozen network, and in which precision."""

import math
from collections.abc import Callable

import numpy as np

from ..errors import InputError, one_of, require_one_of
from . import hardware
from .fingerprint import Fingerprint
from .function import FEATURES, POOLS, build_function
from .networks import DEFAULT, FILE
from .openvino import compile_by_openvino, require_openvino
from .openvino import has_bfloat16 as openvino_has_bfloat16
from .openvino import is_installed as openvino_is_installed
from .steps import Arrays
from .winograd import compile_by_winograd

__all__ = [
    "PRECISIONS",
    "RUNTIMES",
    "choose_here",
    "choose_precision",
    "choose_runtime",
    "compile_network",
    "require_here",
]

RUNTIMES = ("auto", "tensorflow", "winograd", "openvino")
PRECISIONS = ("auto", "float32", "bfloat16", "int8")

#: uint8 (batch, size, size, 3) → float32 features at the cut (batch, height, width, channels), and
#: float32 layer pools (batch, columns).
Network = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def choose_runtime(
    wanted: str,
    before: str | None = None,
    *,
    precision: str = "float32",
    size: int = 224,
    images: float = math.inf,
    network: str = DEFAULT,
) -> str:
    """Return "tensorflow", "winograd" or "openvino".

    "auto" is what was used before. Else it is OpenVINO in int8; Winograd's algorithm where it was
    measured to be the quickest: in float32 on a processor with AVX2 and no GPU, for images of 128
    and more pixels a side, of which there are 64, or 192 with AVX-512, since fewer do not pay for
    compiling; and TensorFlow for the rest. Other networks than VGG16, which have no other
    algorithm here, are quickest by OpenVINO, wherever it is installed and there is no GPU.

    Parameters
    ----------
    wanted : str
        One of `RUNTIMES`.
    before : str, optional
    precision : {"float32", "bfloat16", "int8"}
    size : int
        Side of the images in pixels.
    images : float
        How many there are.
    network : str
        A key of `networks.NETWORKS`.

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
    if precision == "int8" or (network != DEFAULT and _openvino_suits(precision)):
        return "openvino"
    flags = hardware.cpu_flags()
    least = 192 if "avx512f" in flags else 64
    pays = (network, precision) == (DEFAULT, "float32") and size >= 128 and images >= least
    return "winograd" if "avx2" in flags and pays and not hardware.has_gpu() else "tensorflow"


def choose_precision(
    wanted: str,
    runtime: str = "auto",
    made_in: str | None = None,
    *,
    calibrated: bool = False,
    has_half: bool = True,
) -> str:
    """Return the precision to compute in, "float32", "bfloat16" or "int8".

    "auto" is `made_in` where the hardware multiplies it natively, else float32: a processor
    emulates what it lacks, several times slower. For new features it is the quickest that was
    measured to be as accurate, if it is native: int8 where featx knows the weights and there is no
    GPU, then bfloat16, then float32 (docs/decisions/0018-int8.md). OpenVINO runs on the processor,
    so a GPU does not count for it, and it is asked itself; Winograd's algorithm is always float32.

    Parameters
    ----------
    wanted : {"auto", "float32", "bfloat16", "int8"}
    runtime : {"auto", "tensorflow", "winograd", "openvino"}
    made_in : {"float32", "bfloat16", "int8"}, optional
        The precision of the features that exist.
    calibrated : bool
        Whether featx has the ranges that int8 needs for the weights; see `ranges.known_ranges`.
    has_half : bool
        See `networks.Network`.

    Raises
    ------
    InputError
        When `wanted` is none of `PRECISIONS`.
    """
    require_one_of("precision", wanted, PRECISIONS)
    if wanted != "auto":
        return wanted
    new = ["bfloat16"] if has_half else []
    if calibrated and not hardware.has_gpu():
        new = ["int8", *new]
    preferred = [made_in] if made_in else new
    return next((one for one in preferred if _is_native(one, runtime)), "float32")


def choose_here(
    made_by: str,
    made_in: str,
    *,
    runtime: str = "auto",
    precision: str = "auto",
    size: int = 224,
    network: str = DEFAULT,
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
    network : str
        A key of `networks.NETWORKS`.
    """
    if network == FILE:
        return made_by, made_in
    chosen = choose_precision(precision, made_by if runtime == "auto" else runtime, made_in)
    before = made_by if chosen == made_in else None
    found = choose_runtime(runtime, before, precision=chosen, size=size, network=network)
    return found, chosen


def _openvino_suits(precision: str) -> bool:
    """Tell whether OpenVINO is the runtime to take for a network that is not VGG16."""
    if hardware.has_gpu() or not openvino_is_installed():
        return False
    return precision == "float32" or openvino_has_bfloat16()


def _is_native(precision: str, runtime: str) -> bool:
    if precision == "float32":
        return True
    if precision == "int8":
        return runtime in ("auto", "openvino") and hardware.has_int8() and openvino_is_installed()
    if runtime == "winograd":
        return False
    if runtime == "openvino":
        return openvino_has_bfloat16()
    return hardware.has_bfloat16() or hardware.gpu_has_bfloat16()


def require_here(runtime: str, precision: str, network: str = DEFAULT) -> None:
    """Check that this machine computes a network in a precision by a runtime.

    Raises
    ------
    InputError
        When it does not; the message says what to do.
    """
    if network == FILE:
        return  # the process that computes it says what is missing
    if network != DEFAULT and (precision == "int8" or runtime == "winograd"):
        what = "int8 is" if precision == "int8" else "The runtime winograd is"
        raise InputError(
            f"{what} for {DEFAULT} alone, and the network is {network}. Leave --runtime out, and "
            "use --precision float32 or bfloat16."
        )
    if precision == "int8" and runtime != "openvino":
        raise InputError(
            f"The runtime {runtime} does not compute in int8. Leave --runtime out, or use "
            "--precision bfloat16 or float32."
        )
    if runtime == "winograd" and precision != "float32":
        raise InputError(
            f"The runtime winograd computes in float32 and not in {precision}. Leave --runtime "
            "out, or use --precision float32."
        )
    if precision == "int8" and not hardware.has_int8():
        raise InputError(
            "int8 needs a processor with VNNI (avx512_vnni or avx_vnni), and this one has none: "
            "its sums of 8-bit products overflow. Use --precision float32."
        )
    if runtime == "openvino":
        require_openvino()
        if precision == "bfloat16" and not openvino_has_bfloat16():
            raise InputError(
                "OpenVINO computes in bfloat16 only on processors that have it, and this one has "
                "not. Use --runtime tensorflow, which emulates it, or --precision float32."
            )


def compile_network(arrays: Arrays, fingerprint: Fingerprint, batch: int) -> Network:
    """Return the network from pixels to the cut and the layer pools, for batches of one size.

    Parameters
    ----------
    arrays : Arrays
        The weights of the convolutions.
    fingerprint : Fingerprint
        The runtime, the precision, the cut, and the layers whose channels are pooled, be they
        before the cut or after it. The size is that of its trunk. Means over positions are summed
        in float32 whatever the precision.
    batch : int

    Raises
    ------
    InputError
        When the runtime is not installed, or does not compute in that precision on this machine.
    """
    require_here(fingerprint.runtime, fingerprint.precision, fingerprint.trunk.network)
    makers = {
        "tensorflow": _compile_by_tensorflow,
        "winograd": compile_by_winograd,
        "openvino": compile_by_openvino,
    }
    return one_of("runtime", fingerprint.runtime, makers)(arrays, fingerprint, batch)


def _compile_by_tensorflow(arrays: Arrays, fingerprint: Fingerprint, batch: int) -> Network:
    function = build_function(arrays, fingerprint, batch)
    empty = np.zeros((batch, 0), np.float32)

    def network(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = function(block)
        return found[FEATURES].numpy(), found[POOLS].numpy() if POOLS in found else empty

    return network
