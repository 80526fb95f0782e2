"""In the process of a network of the user's own: it answers until the other side is gone.

Nothing heavy is imported at the top: the process gives up its rights before it has threads.
"""

import json
import os
import signal
import struct
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ..errors import CorruptError, FeatxError, InputError
from .confinement import confine

if TYPE_CHECKING:
    import numpy as np

    from .own_runtimes import Loaded

__all__ = ["serve"]

_LENGTH = struct.Struct("<Q")


def serve(described: str) -> None:
    """Load the network, and answer questions about it.

    Parameters
    ----------
    described : str
        As JSON: ``runtime`` is a key of `own_runtimes.LOADERS`, ``path`` that of a file, ``memory``
        in bytes at most, and ``seconds`` after which the process ends if it is still at work.
    """
    job = json.loads(described)
    come, go = (os.fdopen(os.dup(pipe), mode) for pipe, mode in ((0, "rb"), (1, "wb")))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for pipe in (0, 1):  # what libraries print must not come between
        os.dup2(nowhere, pipe)
    tempfile.tempdir = os.getcwd()  # looking for one, Python writes a file, which is not allowed
    confine(job["memory"], Path.cwd())
    network: Loaded | FeatxError | None = None
    while True:
        length = come.read(_LENGTH.size)
        if len(length) < _LENGTH.size:
            return
        question = json.loads(come.read(_LENGTH.unpack(length)[0]))
        data = come.read(question["count"] * question["size"] ** 2 * 3)
        # The other side ends this one sooner, unless it is gone.
        signal.alarm(int(job["seconds"]) + 10)
        if network is None:
            network = _load(job)
        answer(go, network, question, data)
        signal.alarm(0)


def _load(job: dict[str, Any]) -> "Loaded | FeatxError":
    from ..storage import files
    from .own_runtimes import LOADERS

    path = Path(job["path"])
    try:
        return LOADERS[job["runtime"]](path)
    except FeatxError as error:
        return error
    finally:
        files.remove(path)  # so that nothing large is left where both processes are killed


def answer(
    go: IO[bytes], network: "Loaded | FeatxError", question: dict[str, Any], data: bytes
) -> None:
    """Write the features of some images, or why there are none."""
    from .own_runtimes import features

    found: np.ndarray | None = None
    try:
        if isinstance(network, FeatxError):
            raise network
        found = features(network, data, **question)
        head: dict[str, Any] = {"shape": found.shape[1:]}
    except CorruptError as error:
        head = {"corrupt": str(error)[:2000]}
    except InputError as error:
        head = {"input": str(error)[:2000]}
    text = json.dumps(head).encode()
    go.write(_LENGTH.pack(len(text)) + text)
    if found is not None:
        go.write(found.data.cast("B"))
    go.flush()
