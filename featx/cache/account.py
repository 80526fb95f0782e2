"""What became of the images of a part: features, or a reason why there are none."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from ..images.reader import Read

__all__ = ["NO_KEY", "Account", "stamp_key"]

#: The key of an image whose file is read again at the next run.
NO_KEY = bytes(16)


def stamp_key(path: str, stamp: Sequence[int] | None) -> bytes:
    """Return 16 bytes that change when a file has another path, size, time or inode.

    Parameters
    ----------
    path : str
        As it is listed.
    stamp : files.Stamp, optional
        Without one the result is `NO_KEY`.
    """
    if stamp is None:
        return NO_KEY
    told = f"{path}\0{stamp[0]} {stamp[1]} {stamp[2]} {stamp[3]}"
    return hashlib.blake2b(told.encode("utf-8", "surrogateescape"), digest_size=16).digest()


@dataclass(frozen=True, eq=False)
class Account:
    """What became of some images, in their order.

    Attributes
    ----------
    digests : ndarray of uint8, shape (n, 32)
        SHA-256 of each file; zeros where it could not be read.
    sizes : ndarray of int32, shape (n, 2)
        Width and height in pixels; zeros where the image was not decoded.
    keys : ndarray of uint8, shape (n, 16)
        See `stamp_key`.
    skipped : dict
        Position → (reason, a sentence about it), of each image without features.
    dark : tuple of int
        Positions of images that are nearly black; see `reader.Read.is_dark`.
    """

    digests: np.ndarray
    sizes: np.ndarray
    keys: np.ndarray
    skipped: dict[int, tuple[str, str]] = field(default_factory=dict)
    dark: tuple[int, ...] = ()

    @classmethod
    def of(cls, paths: Sequence[str], reads: Sequence[Read], nonfinite: set[str]) -> Self:
        """Return the account of images that were read.

        Parameters
        ----------
        paths : sequence of str
        reads : sequence of Read
        nonfinite : set of str
            Digests of images whose features are no finite numbers.
        """
        skipped = {}
        for position, read in enumerate(reads):
            if read.reason or read.digest in nonfinite:
                skipped[position] = (read.reason or "nonfinite", read.detail)
        keys = [
            NO_KEY if position in skipped else stamp_key(path, read.stamp)
            for position, (path, read) in enumerate(zip(paths, reads, strict=True))
        ]
        digests = b"".join(bytes.fromhex(read.digest) or bytes(32) for read in reads)
        return cls(
            np.frombuffer(digests, np.uint8).reshape(-1, 32),
            np.array([(read.width, read.height) for read in reads], np.int32).reshape(-1, 2),
            np.frombuffer(b"".join(keys), np.uint8).reshape(-1, 16),
            skipped,
            tuple(position for position, read in enumerate(reads) if read.is_dark),
        )

    def __len__(self) -> int:
        return len(self.digests)

    @property
    def is_row(self) -> np.ndarray:
        """Which images have features, bool (n,)."""
        found = np.ones(len(self), bool)
        found[list(self.skipped)] = False
        return found

    def as_json(self) -> str:
        """Return what is no array as JSON."""
        return json.dumps({"skipped": list(self.skipped.items()), "dark": self.dark})

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by their names."""
        return {"digests": self.digests, "sizes": self.sizes, "keys": self.keys}

    @classmethod
    def from_parts(cls, arrays: Mapping[str, np.ndarray], text: str) -> Self:
        """Return the account that `arrays` and `as_json` are of.

        Raises
        ------
        LookupError, ValueError, TypeError
            When they do not fit one another.
        """
        found = json.loads(text)
        skipped = {
            int(position): (str(reason), str(detail))
            for position, (reason, detail) in found["skipped"]
        }
        digests, sizes, keys = (arrays[name] for name in ("digests", "sizes", "keys"))
        account = cls(digests, sizes, keys, skipped, tuple(map(int, found["dark"])))
        count, shapes = len(account), [column.shape for column in (digests, sizes, keys)]
        if shapes != [(count, 32), (count, 2), (count, 16)]:
            raise ValueError(f"its account has the shapes {shapes}")
        if not all(0 <= position < count for position in (*skipped, *account.dark)):
            raise ValueError("its account names images that it has not")
        return account
