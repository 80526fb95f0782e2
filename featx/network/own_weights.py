"""Networks from files of the user's own: found by their path, or by the SHA-256 of one seen before.

A file that features were made with is kept in featx's cache folder under its SHA-256, so that
scoring finds the very same one, wherever the user's file has gone.
"""

import logging
from dataclasses import replace
from pathlib import Path

from ..errors import IncompatibleError, InputError, printable
from ..storage import files
from . import downloads
from .fingerprint import Fingerprint
from .networks import FILE
from .own import OwnNetwork, runtime_of
from .runtime import Network
from .weights import Weights

__all__ = ["compile_own", "describe", "find_own", "is_file_of_network"]

log = logging.getLogger("featx")

_ENDINGS = (".keras", ".onnx")


def is_file_of_network(name: str) -> bool:
    """Tell whether what was given for a network is a file, by its name."""
    return Path(name).suffix.lower() in _ENDINGS


def find_own(
    name: str, preprocessing: str | None, wanted: str | None = None, *, weights: str = "auto"
) -> Weights:
    """Return the network of a file, not yet described.

    Parameters
    ----------
    name : str
        The path of a ``.keras`` or ``.onnx`` file, or "file" for one that was seen before.
    preprocessing : str, optional
        A member of `preprocessing.PREPROCESSING`.
    wanted : str, optional
        SHA-256 that an existing cache or model names.
    weights : str
        Another place of the file, where `name` is "file".

    Raises
    ------
    InputError
        When there is no such file, or its preprocessing is not given.
    IncompatibleError
        When the wanted file is not on this machine.
    """
    if name != FILE and weights != "auto":
        raise InputError(
            f"{printable(name)} has its own weights, and --weights {printable(weights)} was given. "
            "Leave --weights out."
        )
    if name == FILE and weights != "auto":
        name = weights
    path = Path(name) if name != FILE else _kept(wanted)
    if not path.is_file():
        raise InputError(f"The network {printable(path)} is not there. Expected a file.")
    if preprocessing is None:
        raise InputError(
            f"{printable(path)}: which preprocessing this network wants is not known. Add "
            "--preprocessing none (pixels from 0 to 255), torch, tf, caffe or lite."
        )
    runtime = runtime_of(path)
    log.info("Network: %s, computed by %s in a process of its own", printable(path), runtime)
    return Weights("file", path, files.file_digest(path), preprocessing, FILE, runtime=runtime)


def describe(found: Weights, size: int) -> Weights:
    """Return the network of a file with the shape of what it gives for images of a size."""
    with OwnNetwork(_path(found), found.digest, runtime=found.runtime) as network:
        return replace(found, features=network.describe(size))


def compile_own(found: Weights, fingerprint: Fingerprint, batch: int) -> Network:
    """Return the network of a file for batches of one size; see `runtime.compile_network`."""
    trunk = fingerprint.trunk
    network = OwnNetwork(_path(found), found.digest, runtime=fingerprint.runtime)
    return network.compile(trunk.size, trunk.preprocessing, batch)


def _path(found: Weights) -> Path:
    if found.path is None:
        raise AssertionError("the network of a file has no path")
    return found.path


def _kept(wanted: str | None) -> Path:
    found = downloads.find_kept(wanted or "")
    if found is None:
        raise IncompatibleError(
            f"The network's file with the SHA-256 {wanted} is needed, and is not on this machine. "
            "Give it with --weights PATH."
        )
    return found
