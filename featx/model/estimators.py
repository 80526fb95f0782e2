"""Estimators of scikit-learn as bytes by skops: no type is read but those that a head needs."""

import io
import math
import zipfile
from typing import Any

import numpy as np

from .. import backend
from ..errors import CorruptError, printable
from ..heads import registry

__all__ = ["PACKED", "SMALL", "from_bytes", "to_bytes"]

#: A member above `SMALL` bytes may be so many times as large as its compressed bytes: weights and
#: features compress less, and a larger ratio is an attack.
PACKED = 20
SMALL = 32 << 20


def to_bytes(estimator: Any) -> bytes:
    """Return a fitted estimator as bytes."""
    return _skops().dumps(estimator)


def _skops() -> Any:
    """Import `skops.io`, and so all of scikit-learn, but not PyTorch, CuPy and Dask with it."""
    arrays = "sklearn.externals.array_api_compat"
    with backend.block_imports(f"{arrays}.torch", f"{arrays}.cupy", f"{arrays}.dask"):
        import skops.io
    return skops.io


def from_bytes(name: str, data: bytes, refused: str) -> Any:
    """Return the estimator of a head from its bytes, with no other type than the head needs.

    Parameters
    ----------
    name : str
        A key of `registry.HEADS`.
    data : bytes
    refused : str
        How a message about a damaged file begins.

    Raises
    ------
    CorruptError
        When it is too large, or holds other types.
    """
    skops = _skops()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(info.file_size for info in archive.infolist()) > max(SMALL, PACKED * len(data)):
            raise CorruptError(f"{refused}: its head is too large.")
        for info in archive.infolist():
            if info.filename.endswith(".npy"):
                _check_array(archive, info)
    admitted = registry.HEADS[name].types
    foreign = set(skops.get_untrusted_types(data=data)) - set(admitted)
    if foreign:
        raise CorruptError(
            f"{refused}: its head holds types that {name} has no use for: "
            f"{', '.join(map(printable, sorted(foreign)))}."
        )
    return skops.loads(data, trusted=list(admitted))


def _check_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    """Check that an array has as many bytes as its header says, before numpy allocates them."""
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        read = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
        shape, _, dtype = read(file)
        if dtype.hasobject or math.prod(shape) * dtype.itemsize != info.file_size - file.tell():
            raise ValueError(f"{info.filename} is not the array that it says it is")
