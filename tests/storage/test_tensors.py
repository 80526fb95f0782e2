"""Safetensors files, whole and damaged."""

from pathlib import Path

import numpy as np
import pytest

from featx.storage.tensors import load_tensors, read_tensors, save_tensors, tensor_errors

ARRAYS = {"matrix": np.arange(6, dtype=np.float32).reshape(2, 3).T, "number": np.array(3)}


def test_arrays_of_any_order_and_shape_come_back(tmp_path: Path) -> None:
    data = save_tensors(ARRAYS, {"about": "text"})
    (tmp_path / "x.safetensors").write_bytes(data)
    read, about = read_tensors(tmp_path / "x.safetensors")
    assert about == {"about": "text"}
    for loaded in (load_tensors(data), read):
        assert set(loaded) == set(ARRAYS)
        for name, array in ARRAYS.items():
            assert loaded[name].shape == array.shape and loaded[name].dtype == array.dtype
            assert np.array_equal(loaded[name], array)


@pytest.mark.parametrize("length", [0, 7, 30, -1])
def test_damaged_bytes_are_a_value_error(tmp_path: Path, length: int) -> None:
    data = save_tensors(ARRAYS)[:length]
    with pytest.raises(ValueError, match=r"\w"):
        load_tensors(data)
    (tmp_path / "x.safetensors").write_bytes(data)
    with pytest.raises((ValueError, OSError)):
        read_tensors(tmp_path / "x.safetensors")


def test_an_unknown_type_of_number_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="F99"), tensor_errors():
        raise KeyError("F99")
