"""Images read, decoded and copied ahead of the network."""

import collections
import os
import threading
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..storage import files
from . import decode
from .sandbox import Decoder, Job

__all__ = ["Read", "Reader"]

_MOST_THREADS = 32


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
        Of the upright original, in pixels.
    stamp : files.Stamp, optional
        See `decode.read`.
    pixels : ndarray of uint8, shape (1 + copies, size, size, 3)
        The original and its copies; empty with a reason, and for a known image.
    """

    digest: str
    reason: str = ""
    width: int = 0
    height: int = 0
    stamp: files.Stamp | None = None
    pixels: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint8))


@dataclass(frozen=True)
class Reader:
    """How images are read.

    Attributes
    ----------
    job : Job
        What is made of every image.
    known : collection of str
        Digests of images whose pixels are not needed.
    """

    job: Job
    known: Collection[str] = ()

    def _read(self, path: Path, decoder: Decoder) -> Read:
        """Read one image; a bad one is a `Read` with a reason."""
        digest = ""
        try:
            data, stamp = decode.read(path)
            digest = files.digest(data)
            if digest in self.known:
                return Read(digest, stamp=stamp)
            decoded = decoder.decode(data, digest)
        except decode.Rejected as rejected:
            return Read(digest, rejected.reason)
        return Read(digest, "", decoded.width, decoded.height, stamp, decoded.pixels)

    def ahead(self, paths: Iterable[Path], window: int) -> Iterator[Read]:
        """Yield the images in order, while threads read at most `window` of them ahead.

        Each thread has a process that decodes for it.
        """
        mine = threading.local()
        decoders: list[Decoder] = []

        def begin() -> None:
            mine.decoder = Decoder(self.job)
            decoders.append(mine.decoder)

        pool = ThreadPoolExecutor(
            min(os.cpu_count() or 1, _MOST_THREADS), "featx-reader", initializer=begin
        )
        waiting: collections.deque[Future[Read]] = collections.deque()
        try:
            for path in paths:
                waiting.append(pool.submit(lambda path: self._read(path, mine.decoder), path))
                if len(waiting) >= window:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for decoder in decoders:
                decoder.close()
