"""Names as HDF5 columns of bytes, and back; quick where all are ASCII."""

import os
from collections.abc import Sequence

import h5py
import numpy as np

__all__ = ["as_column", "as_hexadecimal", "as_names", "longest"]


def longest(names: np.ndarray | Sequence[str]) -> int:
    """Return the bytes of the longest name, at least 1."""
    some = set(names)
    if not "".join(some).isascii():
        some = {os.fsencode(name) for name in some}
    return max(map(len, some), default=0) or 1


def as_column(names: np.ndarray | Sequence[str], width: int) -> np.ndarray:
    """Return names as UTF-8 of fixed length, as HDF5 keeps them."""
    listed = list(names)
    kind = h5py.string_dtype("utf-8", width)
    if "".join(listed).isascii():
        return np.array(listed, kind)
    return np.array([os.fsencode(name) for name in listed], kind)


def as_names(column: np.ndarray) -> np.ndarray:
    """Return a column of bytes as names, object (n,)."""
    if column.size and np.ascontiguousarray(column).view(np.uint8).max() < 128:
        return column.astype(f"U{column.dtype.itemsize}").astype(object)
    return np.array([os.fsdecode(value) for value in column.tolist()], dtype=object)


def as_hexadecimal(digests: np.ndarray) -> np.ndarray:
    """Return digests, uint8 (n, 32), as a column of 64 hexadecimal digits each."""
    text = np.ascontiguousarray(digests).tobytes().hex().encode()
    return np.frombuffer(text, h5py.string_dtype("utf-8", 64))
