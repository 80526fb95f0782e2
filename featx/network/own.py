"""A network from a file of the user's own, ``.keras`` or ``.onnx``, in a process of its own.

Such a file can hold code, and what reads it are large libraries that trust it. Nothing of it is
read in featx's process, which checks its SHA-256, hands a private copy to a process that has given
up what it does not need (`confinement`), and takes plain numbers from it.
"""

import importlib.util
import math
import os
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..errors import CorruptError, FeatxError, InputError, printable, require_one_of
from ..storage import files
from .downloads import verified
from .own_process import OwnProcess, ProcessDied
from .preprocessing import PREPROCESSING

__all__ = ["MAX_SECONDS", "OwnNetwork", "runtime_of"]

#: For the start, and for every batch.
MAX_SECONDS = 600.0
_MAX_ANSWER = 2 << 30  # bytes of the features of a batch
_MAX_REASON = 400


def runtime_of(path: Path) -> str:
    """Return what runs a file: "keras", "onnxruntime", or "openvino" where that is not installed.

    Raises
    ------
    InputError
        When it is neither a ``.keras`` nor an ``.onnx`` file, or nothing here runs it.
    """
    ending = path.suffix.lower()
    if ending == ".keras":
        return "keras"
    if ending != ".onnx":
        raise InputError(
            f"{printable(path)} is no network that featx reads. Expected a .keras or an .onnx file."
        )
    for name in ("onnxruntime", "openvino"):
        if importlib.util.find_spec(name) is not None:
            return name
    raise InputError(
        f"{printable(path)} needs ONNX Runtime, which is not installed. Install it with: pip "
        "install 'featx[onnx]'."
    )


class OwnNetwork:
    """A network from a file, run by a process that starts when it is first needed.

    It is for one thread. It can be pickled, without the process. A process that died is not
    started again.

    Parameters
    ----------
    path : Path
    digest : str
        SHA-256 that the file must have.
    runtime : str, optional
        "keras", "onnxruntime" or "openvino"; by default what `runtime_of` says.
    seconds : float
        How long the start may take, and every batch.
    """

    def __init__(
        self,
        path: Path,
        digest: str,
        *,
        runtime: str | None = None,
        seconds: float = MAX_SECONDS,
    ) -> None:
        self.path = path
        self.digest = digest
        self.runtime = runtime or runtime_of(path)
        self.seconds = seconds
        self._process: OwnProcess | None = None
        self._end: Callable[[], Any] | None = None
        self._failure: str | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the process out of a pickle: another one is started where it is needed."""
        return {**vars(self), "_process": None, "_end": None, "_failure": None}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, and delete the copy of the file; another use starts one again."""
        if self._end:
            self._end()
        self._process = self._end = None

    def describe(self, size: int) -> tuple[int, int, int]:
        """Return the shape of the features of one image: (height, width, channels).

        The network is run on a black image. A vector of c numbers has the shape (1, 1, c).

        Parameters
        ----------
        size : int
            Pixels a side.

        Raises
        ------
        CorruptError
            When the file is damaged, or is not the one with this digest.
        InputError
            When the file cannot be run without code of its own, does not take RGB images of this
            size, or gives what are no features.
        FeatxError
            When the process ended over it.
        StorageError
            When the file cannot be read, or not be copied.
        """
        black = np.zeros((1, size, size, 3), np.uint8)
        height, width, channels = self._run(black, "none").shape[1:]
        return height, width, channels

    def compile(
        self, size: int, preprocessing: str, batch: int
    ) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """Return the network from pixels to features and no pools: a `runtime.Network`.

        Parameters
        ----------
        size : int
            Pixels a side.
        preprocessing : str
            A member of `preprocessing.PREPROCESSING`.
        batch : int
            Images in a batch.

        Returns
        -------
        callable
            From uint8 (batch, size, size, 3) to float32 (batch, height, width, channels), which
            need not be finite, and float32 (batch, 0). It raises what `describe` does.

        Raises
        ------
        InputError
            When there is no such preprocessing; else see `describe`.
        """
        require_one_of("preprocessing", preprocessing, PREPROCESSING)
        expected = (batch, *self.describe(size))

        def network(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            if block.shape != (batch, size, size, 3) or block.dtype != np.uint8:
                raise AssertionError(f"pixels of {block.shape}, {block.dtype}")
            found = self._run(block, preprocessing)
            if found.shape != expected:
                raise CorruptError(
                    f"{printable(self.path)} gave features of {found.shape[1:]} for an image, and "
                    f"of {expected[1:]} before. featx needs a network that gives as many for all."
                )
            return found, np.zeros((batch, 0), np.float32)

        return network

    def _run(self, pixels: np.ndarray, preprocessing: str) -> np.ndarray:
        """Return the features of some images, float32 (n, height, width, channels)."""
        if self._failure:
            raise FeatxError(self._failure)
        count, size = len(pixels), pixels.shape[1]
        question = {"count": count, "size": size, "preprocessing": preprocessing}
        process = self._process or self._start()
        try:
            head = process.ask(question, np.ascontiguousarray(pixels).data.cast("B"))
            shape = _shape(head.get("shape", [1, 1, 1]), count)
            data = process.receive(4 * math.prod(shape)) if "shape" in head else b""
        except ProcessDied as death:
            self.close()
            self._failure = (
                f"{printable(self.path)}: the process that runs this network is gone: {death}. Run "
                "the command again; if it ends anew, use smaller images, or a machine with more "
                "memory."
            )
            raise FeatxError(self._failure) from death
        except BaseException:
            self.close()
            raise
        if "shape" not in head:
            raise self._told(head)
        return np.frombuffer(data, np.float32).reshape(shape)

    def _start(self) -> OwnProcess:
        data = verified(files.read_bytes(self.path), self.digest, self.path)
        folder = tempfile.TemporaryDirectory(prefix="featx-")
        copy = Path(folder.name) / f"network{self.path.suffix.lower()}"
        try:
            with files.storage_errors(copy):
                copy.write_bytes(data)
            job = {
                "path": str(copy),
                "runtime": self.runtime,
                "seconds": self.seconds,
                "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            }
            process = OwnProcess(job, Path(folder.name), self.seconds)
        except BaseException:
            folder.cleanup()
            raise
        self._process, self._end = process, weakref.finalize(self, _end, process, folder)
        return process

    def _told(self, head: dict[str, Any]) -> FeatxError:
        """Return the error that the process tells of, as text of which nothing is believed."""
        kinds: dict[str, type[FeatxError]] = {"corrupt": CorruptError, "input": InputError}
        found = [(kinds[name], text) for name, text in head.items() if name in kinds]
        kind, text = found[0] if found else (CorruptError, "The answer is none.")
        words = printable(" ".join(str(text).split()))
        if len(words) > _MAX_REASON:
            words = f"{words[:_MAX_REASON]} …"
        return kind(f"{printable(self.path)}: {words}")


def _end(process: OwnProcess, folder: "tempfile.TemporaryDirectory[str]") -> None:
    process.close()
    folder.cleanup()


def _shape(told: object, count: int) -> tuple[int, int, int, int]:
    """Return the shape of the features of some images, if it can be one."""
    if isinstance(told, list) and len(told) == 3 and all(type(one) is int for one in told):
        height, width, channels = told
        shape = count, height, width, channels
        if min(shape) > 0 and 4 * math.prod(shape) <= _MAX_ANSWER:
            return shape
    raise CorruptError(f"The network gives features of the shape {printable(told)[:100]}.")
