"""Read arrays from an untrusted HDF5 file: no external data, never more than the file's size."""

import io
from typing import Any

import numpy as np

from ..errors import CorruptError

__all__ = ["arrays", "check"]


def arrays(data: bytes, largest: int = 1 << 28) -> list[tuple[str, np.ndarray]]:
    """Return path and content of every dataset of numbers in a file.

    Parameters
    ----------
    data : bytes
        The whole file.
    largest : int
        Datasets with more numbers than this are skipped.

    Raises
    ------
    CorruptError
        When it is not an HDF5 file, has a dataset that `check` refuses, or would unpack to more
        bytes than the file has (a compressed file can claim any size).
    """
    import h5py

    found: list[tuple[str, np.ndarray]] = []
    left = len(data)

    def visit(path: str, item: Any) -> None:
        nonlocal left
        if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiu" or not item.shape:
            return
        if item.size <= largest:
            check(path, item)
            left -= item.nbytes
            if left < 0:
                raise ValueError(f"/{path} is larger than the file")
            found.append((path, item[()]))

    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            file.visititems(visit)  # follows neither soft nor external links
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, MemoryError) as error:
        raise CorruptError(f"Not a readable HDF5 file: {error}.") from error
    return found


def check(path: str, item: Any) -> None:
    """Refuse a dataset that reads other files or needs a filter other than gzip.

    Parameters
    ----------
    path : str
        For the message.
    item : h5py.Dataset

    Raises
    ------
    ValueError
    """
    import h5py

    if item.external or item.is_virtual:
        raise ValueError(f"/{path} keeps its data elsewhere")
    plist = item.id.get_create_plist()
    filters = [plist.get_filter(number)[0] for number in range(plist.get_nfilters())]
    if filters not in ([], [h5py.h5z.FILTER_DEFLATE]):
        raise ValueError(f"/{path} has a filter that is not gzip")
