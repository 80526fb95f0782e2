"""A reader: threads read, decode and augment images ahead of the network."""

import collections
import os
import threading
from collections.abc import Callable, Container, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..storage import files
from . import decode
from .sandbox import Decoder, Job

__all__ = ["Elsewhere", "InMemory", "Read", "Reader"]

_MOST_THREADS = 32
_NO_PIXELS = np.empty(0, np.uint8)


@dataclass(frozen=True, eq=False)
class Read:
    """An image that was read, or the reason why it could not be.

    Attributes
    ----------
    digest : str
        SHA-256 of the bytes that were decoded; "" when there are none.
    reason : str
        A key of `decode.REASONS`, or "" when all is well.
    width, height : int
        Size of the upright original, in pixels.
    stamp : files.Stamp, optional
        See `decode.read`.
    pixels : ndarray of uint8, shape (1 + copies, size, size, 3)
        The original and its copies; empty with a reason, and for a known image.
    more_pixels : tuple of ndarray
        The same at further sizes, if any.
    detail : str
        A sentence about the reason; "" without one.
    path : Path or str, optional
        The file, or what an image that is no file is called in messages.
    is_dark : bool
        See `decode.UprightImage`.
    """

    digest: str
    reason: str = ""
    width: int = 0
    height: int = 0
    stamp: files.Stamp | None = None
    pixels: np.ndarray = field(default_factory=lambda: _NO_PIXELS)
    detail: str = ""
    path: Path | str | None = None
    is_dark: bool = False
    more_pixels: tuple[np.ndarray, ...] = ()

    def require_usable(self) -> None:
        """Raise `decode.Rejected`, which names the file, when the image cannot be used."""
        if self.reason:
            raise decode.Rejected(self.reason, self.detail, self.path)


@dataclass(frozen=True)
class InMemory:
    """The bytes of an image file, and what it is called in messages."""

    data: bytes
    name: str


@dataclass(frozen=True)
class Elsewhere:
    """An image that is no file: what gives its bytes, and what it is called in messages."""

    load: Callable[[], decode.File]
    name: str


@dataclass(frozen=True)
class Reader:
    """How images are read.

    Attributes
    ----------
    job : Job
        What the decoder makes of every image.
    known : container of str
        Digests of images whose pixels are not needed.
    keeps : bool
        Whether processes that decode stay for the next call with the same job, as suits one that
        does a part after another.
    """

    job: Job
    known: Container[str] = ()
    keeps: bool = False

    def _read(self, image: Path | InMemory | Elsewhere, decoder: Decoder) -> Read:
        """Read one image; a bad one is a `Read` with a reason."""
        digest, path = "", image if isinstance(image, Path) else image.name
        try:
            if isinstance(image, InMemory):
                data, stamp = decode.check_size(image.data), None
            elif isinstance(image, Elsewhere):
                data, stamp = image.load()
            else:
                data, stamp = decode.read(image)
            digest = files.digest(data)
            if digest in self.known:
                return Read(digest, stamp=stamp, path=path)
            decoded = decoder.decode(data, digest)
        except decode.Rejected as rejected:
            return Read(digest, rejected.reason, detail=rejected.detail, path=path)
        return Read(
            digest,
            "",
            decoded.width,
            decoded.height,
            stamp,
            decoded.pixels[0],
            path=path,
            is_dark=decoded.is_dark,
            more_pixels=tuple(decoded.pixels[1:]),
        )

    def ahead(
        self, images: Iterable[Path | InMemory | Elsewhere | Read], window: int
    ) -> Generator[Read, None, None]:
        """Yield images in order, while threads read at most `window` of them ahead.

        Each thread has a process that decodes for it. The threads and processes end when the
        generator ends or is closed; with `keeps`, the processes stay when it ends.

        Parameters
        ----------
        images : iterable of Path, InMemory, Elsewhere or Read
            A `Read` needs no reading and is yielded as it is when its turn comes.
        window : int

        Yields
        ------
        Read
        """
        mine = threading.local()
        decoders: list[Decoder] = []

        def begin() -> None:
            mine.decoder = _spare_decoder(self.job) or Decoder(self.job)
            decoders.append(mine.decoder)

        pool = ThreadPoolExecutor(
            min(os.cpu_count() or 1, _MOST_THREADS), "featx-reader", initializer=begin
        )
        waiting: collections.deque[Future[Read] | Read] = collections.deque()

        def first() -> Read:
            image = waiting.popleft()
            return image if isinstance(image, Read) else image.result()

        try:
            for image in images:
                if not isinstance(image, Read):
                    waiting.append(pool.submit(lambda one: self._read(one, mine.decoder), image))
                elif waiting:
                    waiting.append(image)
                else:
                    yield image
                if len(waiting) >= window:
                    yield first()
            while waiting:
                yield first()
            if self.keeps:
                pool.shutdown()
                _spare[self.job] = _spare.get(self.job, []) + decoders
                decoders = []
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for decoder in decoders:
                decoder.close()


#: Decoders that wait for the next call, by their job.
_spare: dict[Job, list[Decoder]] = {}


def _spare_decoder(job: Job) -> Decoder | None:
    """Return a decoder that waits for this job, and end those for others."""
    for other in set(_spare) - {job}:
        for decoder in _spare.pop(other, []):
            decoder.close()
    try:
        return _spare[job].pop()
    except LookupError:  # there is none, or another thread was quicker
        return None
