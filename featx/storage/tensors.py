"""Named arrays as safetensors, of which a damaged one raises a builtin error.

The library has an error of its own, and raises `KeyError` for some headers. Here both become a
`ValueError` with the reason, so that a caller says which file it is and what to do about it.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

__all__ = ["load_tensors", "read_tensors", "save_tensors", "tensor_errors"]


@contextlib.contextmanager
def tensor_errors() -> Iterator[None]:
    """Turn what safetensors raises on damaged bytes into a `ValueError`.

    Raises
    ------
    ValueError
        In place of a `SafetensorError` or a `KeyError` of the block.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (SafetensorError, KeyError) as error:
        raise ValueError(str(error)) from error


def save_tensors(arrays: Mapping[str, np.ndarray], about: Mapping[str, str] | None = None) -> bytes:
    """Return arrays as the bytes of a safetensors file, the same for the same arrays.

    Parameters
    ----------
    arrays : mapping of ndarray
        Each array may have any shape and memory order; it is stored in C order.
    about : mapping of str, optional
        Texts for the file's metadata.
    """
    from safetensors.numpy import save

    # `ascontiguousarray` would give a single number a dimension.
    stored = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    return save(stored, dict(about) if about else None)


def load_tensors(data: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of a safetensors file by their names.

    Raises
    ------
    ValueError
        When the bytes are not such a file.
    """
    from safetensors.numpy import load

    with tensor_errors():
        return load(data)


def read_tensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the arrays of a safetensors file on the disk, and the texts of its metadata.

    Raises
    ------
    OSError
        When the file cannot be read.
    ValueError
        When it is damaged.
    """
    from safetensors import safe_open

    with tensor_errors(), safe_open(path, framework="numpy") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return arrays, dict(file.metadata() or {})
