"""What the processor and the devices of this machine can do."""

import functools
import os
import sys
from pathlib import Path

from .. import backend

__all__ = ["cpu_flags", "gpu_has_bfloat16", "has_bfloat16", "has_gpu", "has_int8"]

#: What Linux has where a GPU is: by NVIDIA's driver, by AMD's, in Windows's subsystem.
_GPU_DEVICES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")


def cpu_flags() -> frozenset[str]:
    """Return the processor's features as Linux names them ("avx2", …); none where it is unknown.

    The environment variable ``FEATX_CPU_FLAGS`` has featx report others, separated by blanks: to
    try what it would choose on another processor. What that processor computes natively and this
    one does not is emulated then, slowly.
    """
    told = os.environ.get("FEATX_CPU_FLAGS")
    return _own_flags() if told is None else frozenset(told.split())


@functools.cache
def _own_flags() -> frozenset[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.partition(":")[2].split())


def has_bfloat16() -> bool:
    """Return whether the processor multiplies bfloat16 natively."""
    return not cpu_flags().isdisjoint({"avx512_bf16", "amx_bf16"})


def has_int8() -> bool:
    """Return whether the processor adds up products of 8-bit integers natively (VNNI)."""
    return not cpu_flags().isdisjoint({"avx512_vnni", "avx_vnni", "amx_int8"})


def has_gpu() -> bool:
    """Return whether TensorFlow sees a GPU. It is not asked where Linux has none."""
    if sys.platform == "linux" and not any(map(os.path.exists, _GPU_DEVICES)):
        return False
    return bool(backend.tensorflow().config.list_physical_devices("GPU"))


def gpu_has_bfloat16() -> bool:
    """Return whether a GPU is there that multiplies bfloat16 natively."""
    if not has_gpu():
        return False
    config = backend.tensorflow().config
    for gpu in config.list_physical_devices("GPU"):
        details = config.experimental.get_device_details(gpu)
        if details.get("compute_capability", (0, 0)) >= (8, 0):
            return True
    return False
