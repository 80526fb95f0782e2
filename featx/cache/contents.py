"""Where the features of each content are: an index by digest that takes 60 bytes an image."""

from collections.abc import Sequence

import numpy as np

__all__ = ["Contents", "as_bytes", "as_texts", "nothing"]

_BLOCK = 1 << 16  # digests that are looked up at a time


def as_bytes(digests: Sequence[str] | np.ndarray) -> np.ndarray:
    """Return digests in hexadecimal as bytes: uint8, shape (n, 32)."""
    return np.frombuffer(bytes.fromhex("".join(digests)), np.uint8).reshape(-1, 32)


def as_texts(digests: np.ndarray) -> np.ndarray:
    """Return digests of 32 bytes as texts in hexadecimal: object, shape (n,)."""
    text = np.ascontiguousarray(digests).tobytes().hex()
    found = [text[start : start + 64] for start in range(0, len(text), 64)]
    return np.array(found, dtype=object)


class Contents:
    """An index of contents by their SHA-256.

    Parameters
    ----------
    digests : ndarray of uint8, shape (n, 32)
        One that is there twice is found at its first place.
    places : ndarray of int64, shape (n,)
        Where the features of each are; what the numbers mean is up to whoever made it.
    sizes : ndarray of int32, shape (n, 2)
        Width and height of each upright image, in pixels.
    """

    def __init__(self, digests: np.ndarray, places: np.ndarray, sizes: np.ndarray) -> None:
        self.digests = np.ascontiguousarray(digests)
        self.places = places
        self.sizes = sizes
        starts = _starts(self.digests)
        self._order = np.argsort(starts, kind="stable").astype(np.int32)
        self._starts = starts[self._order]

    @classmethod
    def joined(cls, some: Sequence["Contents"]) -> "Contents":
        """Return one index of all; the first that has a content says where it is."""
        filled = [one for one in some if len(one)]
        if len(filled) == 1:
            return filled[0]
        if not filled:
            return nothing()
        return cls(
            np.concatenate([one.digests for one in filled]),
            np.concatenate([one.places for one in filled]),
            np.concatenate([one.sizes for one in filled]),
        )

    def __len__(self) -> int:
        return len(self.digests)

    def __contains__(self, digest: object) -> bool:
        """Tell whether a content is there, by its digest in hexadecimal."""
        return isinstance(digest, str) and bool(digest) and self.find(as_bytes([digest]))[0] >= 0

    def find(self, digests: np.ndarray) -> np.ndarray:
        """Return the position of each digest (m, 32) in `places`, int64 (m,); −1 where missing."""
        found = np.full(len(digests), -1, np.int64)
        if len(self):
            for start in range(0, len(digests), _BLOCK):
                some = np.ascontiguousarray(digests[start : start + _BLOCK])
                found[start : start + len(some)] = self._find(some)
        return found

    def _find(self, digests: np.ndarray) -> np.ndarray:
        found = np.full(len(digests), -1, np.int64)
        starts = _starts(digests)
        left = np.arange(len(digests))
        at = np.searchsorted(self._starts, starts)
        while len(left):  # a second round is for two digests that begin alike
            fits = at < len(self)
            fits[fits] = self._starts[at[fits]] == starts[left[fits]]
            left, at = left[fits], at[fits]
            there = self._order[at].astype(np.int64)
            equal = (self.digests[there] == digests[left]).all(axis=1)
            found[left[equal]] = there[equal]
            left, at = left[~equal], at[~equal] + 1
        return found

    def counts(self) -> np.ndarray:
        """Return how often each digest is there, at its first position; 0 at the others."""
        return np.bincount(self.find(self.digests), minlength=len(self))


def nothing() -> Contents:
    """Return the index of no content."""
    return Contents(np.empty((0, 32), np.uint8), np.empty(0, np.int64), np.empty((0, 2), np.int32))


def _starts(digests: np.ndarray) -> np.ndarray:
    """Return the first eight bytes of digests as numbers."""
    return np.ascontiguousarray(digests[:, :8]).view(np.uint64).reshape(len(digests))
