"""Pictures read, decoded and copied ahead of the network, in threads."""

import collections
import os
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from . import augment, files, images

__all__ = ["Read", "Reader"]


@dataclass(frozen=True, eq=False)
class Read:
    """A picture that was read, or the reason why it could not be.

    Attributes
    ----------
    digest : str
        SHA-256 of the bytes that were decoded; "" when there are none.
    reason : str
        A key of `images.REASONS`, or "" when all is well.
    width, height : int
        Of the upright original, in pixels.
    pixels : ndarray of uint8, shape (1 + copies, size, size, 3)
        The original and its copies; empty with a reason, and for a known picture.
    """

    digest: str
    reason: str = ""
    width: int = 0
    height: int = 0
    pixels: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint8))


@dataclass(frozen=True)
class Reader:
    """How pictures are read.

    Attributes
    ----------
    size, resize
        See `images.decode`.
    policy, seed, copies
        See `augment.copies`.
    known : collection of str
        Digests of pictures whose pixels are not needed.
    """

    size: int
    resize: str
    policy: augment.Policy = augment.POLICIES["none"]
    seed: int = 0
    copies: int = 0
    known: Collection[str] = ()

    def read(self, path: Path) -> Read:
        """Read one picture; a bad one is a `Read` with a reason."""
        digest = ""
        try:
            data = images.read(path)
            digest = files.digest(data)
            if digest in self.known:
                return Read(digest)
            picture = images.decode(data, self.size, self.resize)
        except images.Rejected as rejected:
            return Read(digest, rejected.reason)
        pixels = augment.copies(picture.pixels, self.policy, self.seed, digest, self.copies)
        return Read(digest, "", picture.width, picture.height, pixels)

    def ahead(self, paths: Iterable[Path], window: int) -> Iterator[Read]:
        """Yield the pictures in order, while threads read at most `window` of them ahead."""
        pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="featx-reader")
        waiting: collections.deque[Future[Read]] = collections.deque()
        try:
            for path in paths:
                waiting.append(pool.submit(self.read, path))
                if len(waiting) >= window:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
