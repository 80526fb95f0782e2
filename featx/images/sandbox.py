"""A decoder in a process of its own: one that hangs or crashes costs one image.

Decoders are C libraries that meet bytes from anywhere. The process has limits of time and memory
that the kernel keeps, and what it answers is plain bytes, never a pickle. It is not a worker of
`multiprocessing`, which would run the caller's script again, and unpickle what it answers.
"""

import json
import math
import os
import resource
import signal
import struct
import subprocess
import sys
import warnings
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import IO, NamedTuple

import numpy as np

from . import augment, decode

__all__ = ["MAX_MEMORY", "MAX_SECONDS", "Decoded", "Decoder", "Job", "serve"]

MAX_SECONDS = 60  # for an image with its copies
MAX_MEMORY = 1 << 30  # bytes

_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from featx.images.sandbox import serve; serve(sys.argv[1])"
)
_LENGTH = struct.Struct("<Q")
_DIGEST = 32


@dataclass(frozen=True)
class Job:
    """What the decoder makes of every image.

    Attributes
    ----------
    size, resize, bits
        See `decode.decode`.
    policy, seed, copies
        See `augment.augmented_copies`.
    more_sizes : tuple of int
        Further sizes at which every image is made, after the first.
    """

    size: int
    resize: str
    policy: augment.Policy = augment.POLICIES["none"]
    seed: int = 0
    copies: int = 0
    bits: int = 16
    more_sizes: tuple[int, ...] = ()

    @property
    def sizes(self) -> tuple[int, ...]:
        """All sizes, in order."""
        return (self.size, *self.more_sizes)

    def split(self, data: bytes) -> list[np.ndarray]:
        """Return the original and its copies at each size, uint8 (1 + copies, size, size, 3)."""
        shapes = [(1 + self.copies, size, size, 3) for size in self.sizes]
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        parts = np.split(np.frombuffer(data, np.uint8), ends[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


class Decoded(NamedTuple):
    """Original and copies at each size, see `Job.split`; upright size in pixels; darkness."""

    pixels: list[np.ndarray]
    width: int
    height: int
    is_dark: bool


class Decoder:
    """A process that decodes, started when it is first needed, for one thread.

    Parameters
    ----------
    job : Job
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._process: subprocess.Popen[bytes] | None = None
        self._is_closed = False
        self._has_read = False  # the process has all of the last question

    def decode(self, data: bytes, digest: str) -> Decoded:
        """Decode an image and make its copies.

        Parameters
        ----------
        data : bytes
        digest : str
            Its SHA-256, for `augment.augmented_copies`.

        Raises
        ------
        decode.Rejected
            See `decode.decode`; ``unsupported`` when the decoder crashes or takes too long on it,
            ``too_large`` when it takes too much memory.
        """
        question = _LENGTH.pack(len(data)) + bytes.fromhex(digest)
        answer = self._ask(question, data)
        if answer is None and not self._has_read:
            # It died before it had this image, which so far is not the fault of the image.
            self._death()
            answer = self._ask(question, data)
        if answer is None:
            raise decode.Rejected("unsupported", self._death())
        head, pixels = answer
        if "reason" in head:
            raise decode.Rejected(head["reason"], head["detail"])
        return Decoded(
            self._job.split(pixels),
            head["width"],
            head["height"],
            head["is_dark"],
        )

    def _ask(self, question: bytes, data: bytes) -> "tuple[dict, bytes] | None":
        """Return what the process answers, or None when it dies over it."""
        if self._is_closed:
            return None
        process = self._process = self._process or _start(self._job)
        to, back = process.stdin, process.stdout
        if to is None or back is None:
            raise AssertionError("the decoder has no pipes")
        try:
            to.write(question)
            to.write(data)
            to.flush()
        except BrokenPipeError:
            self._has_read = False
            return None
        self._has_read = True
        head = _receive(back)
        pixels = _receive(back) if head else None
        return (json.loads(head), pixels) if head and pixels is not None else None

    def _death(self) -> str:
        """Forget the process that died, and return why."""
        process, self._process = self._process, None
        code = process.wait() if process else 0
        if code == -signal.SIGALRM:
            return f"decoding takes more than {MAX_SECONDS} seconds"
        return f"the decoder crashed on it ({code})"

    def close(self) -> None:
        """End the process, from any thread."""
        self._is_closed = True
        if process := self._process:
            process.kill()
            process.wait()


def _start(job: Job) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", _PROGRAM, json.dumps(asdict(job)), *sys.path]
    return subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # libtiff and others write there by themselves
        start_new_session=True,  # Ctrl-C is for the parent; without it, this one reads an end
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )


def _receive(stream: IO[bytes]) -> bytes | None:
    """Return the next message, or None when the other side is gone."""
    length = stream.read(_LENGTH.size)
    if len(length) < _LENGTH.size:
        return None
    (count,) = _LENGTH.unpack(length)
    data = stream.read(count)
    return data if len(data) == count else None


# In the process -----------------------------------------------------------------------------


def serve(described: str) -> None:
    """Answer until the other side is gone.

    Parameters
    ----------
    described : str
        The job, as JSON.
    """
    fields = json.loads(described)
    policy = fields["policy"]
    policy["zoom"] = tuple(policy["zoom"])
    fields |= {"policy": augment.Policy(**policy), "more_sizes": tuple(fields["more_sizes"])}
    job = Job(**fields)
    with suppress(ValueError, OSError):  # a lower limit, or a system without this one, is fine
        resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY, MAX_MEMORY))
    # Pillow warns of large images and broken EXIF, which `decode` deals with; under
    # PYTHONWARNINGS=error a warning would reject the image. The filter stands here and not in
    # `decode`, since `catch_warnings` is not thread-safe: this process has one thread.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while _answered(job):
            pass


def _answered(job: Job) -> bool:
    """Answer one question; return False when the other side is gone."""
    come, go = sys.stdin.buffer, sys.stdout.buffer
    length = come.read(_LENGTH.size)
    if len(length) < _LENGTH.size:
        return False
    digest = come.read(_DIGEST).hex()
    data = come.read(_LENGTH.unpack(length)[0])
    signal.alarm(MAX_SECONDS)  # its default action ends the process, C code or not
    head, pixels = _answer(job, data, digest)
    signal.alarm(0)
    for message in (json.dumps(head).encode(), pixels):
        go.write(_LENGTH.pack(len(message)))
        go.write(message)
    go.flush()
    return True


def _answer(job: Job, data: bytes, digest: str) -> tuple[dict[str, object], bytes]:
    try:
        images = [decode.decode(data, size, job.resize, job.bits) for size in job.sizes]
        pixels = b"".join(
            augment.augmented_copies(
                image.pixels, job.policy, job.seed, digest, job.copies
            ).tobytes()
            for image in images
        )
    except decode.Rejected as rejected:
        return {"reason": rejected.reason, "detail": rejected.detail}, b""
    except MemoryError:
        detail = f"decoding it takes more than {MAX_MEMORY:,} bytes"
        return {"reason": "too_large", "detail": detail}, b""
    image = images[0]
    head: dict[str, object] = {"width": image.width, "height": image.height}
    return {**head, "is_dark": bool(image.is_dark)}, pixels
