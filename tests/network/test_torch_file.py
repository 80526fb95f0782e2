"""PyTorch's files of tensors: both formats, views of storages, and files that are refused."""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from featx.errors import CorruptError
from featx.network.torch_file import load_state_dict

NUMBERS = np.arange(24, dtype="<f4")


class Named:
    """A function or class that is pickled by a name, whether it can be imported or not."""

    def __init__(self, module: str, name: str) -> None:
        self.place = f"{module}\n{name}\n".encode()


class Storage:
    def __init__(self, key: str, numbers: np.ndarray, told: int | None = None) -> None:
        self.key, self.numbers = key, numbers
        self.told = len(numbers) if told is None else told


class Call:
    def __init__(self, called: Named, *arguments: object) -> None:
        self.called, self.arguments = called, arguments


class TorchPickler(pickle._Pickler):  # type: ignore[misc, name-defined]  # the one in Python
    """A pickler that writes names that cannot be imported, and storages by their numbers."""

    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, Storage):
            return None
        kinds = {"f4": "Float", "i8": "Long"}
        kind = Named("torch", f"{kinds[obj.numbers.dtype.str[1:]]}Storage")
        return ("storage", kind, obj.key, "cpu", obj.told)

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, Named):
            self.write(pickle.GLOBAL + obj.place)
        elif isinstance(obj, Call):
            self.save(obj.called)
            self.save(obj.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


def pickled(value: object) -> bytes:
    file = io.BytesIO()
    TorchPickler(file, 2).dump(value)
    return file.getvalue()


def tensor(storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Call:
    rebuild = Named("torch._utils", "_rebuild_tensor_v2")
    return Call(rebuild, storage, offset, shape, strides, False, OrderedDict())


def zipped(value: object, *storages: Storage, compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("net/data.pkl", pickled(value))
        archive.writestr("net/byteorder", "little")
        for one in storages:
            archive.writestr(f"net/data/{one.key}", one.numbers.tobytes())
    return file.getvalue()


def legacy(value: object, *storages: Storage) -> bytes:
    head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, value]
    data = b"".join(pickled(one) for one in [*head, [one.key for one in storages]])
    for one in storages:
        data += struct.pack("<q", len(one.numbers)) + one.numbers.tobytes()
    return data


both = pytest.mark.parametrize("write", [zipped, legacy])
Write = Callable[..., bytes]


@both
def test_tensors_are_views_of_storages(write: Write) -> None:
    some = Storage("7", NUMBERS)
    count = Storage("8", np.array([5], "<i8"))
    parameter = Call(
        Named("torch._utils", "_rebuild_parameter"),
        tensor(some, 0, (2, 3), (3, 1)), True, OrderedDict(),
    )  # fmt: skip
    state = OrderedDict(
        plain=tensor(some, 0, (4, 6), (6, 1)),
        turned=tensor(some, 0, (6, 4), (1, 6)),
        later=tensor(some, 5, (2, 3), (7, 2)),
        repeated=tensor(some, 3, (2, 2), (0, 1)),
        parameter=parameter,
        empty=tensor(some, 0, (0, 3), (3, 1)),
        count=tensor(count, 0, (), ()),
    )
    found = load_state_dict(write(state, some, count))
    square = NUMBERS.reshape(4, 6)
    expected = {
        "plain": square,
        "turned": square.T,
        "later": np.array([[5, 7, 9], [12, 14, 16]], np.float32),
        "repeated": np.array([[3, 4], [3, 4]], np.float32),
        "parameter": NUMBERS[:6].reshape(2, 3),
        "empty": np.empty((0, 3), np.float32),
        "count": np.array(5),
    }
    assert list(found) == list(expected)
    for name, array in found.items():
        assert np.array_equal(array, expected[name]) and array.dtype == expected[name].dtype
        assert array.flags.c_contiguous and array.flags.owndata


def test_a_deflated_zip() -> None:
    some = Storage("0", NUMBERS)
    data = zipped({"a": tensor(some, 0, (24,), (1,))}, some, compression=zipfile.ZIP_DEFLATED)
    assert np.array_equal(load_state_dict(data)["a"], NUMBERS)


@both
@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (25,), (1,)),
        (1, (24,), (1,)),
        (0, (4, 6), (7, 1)),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (-2,), (1,)),
        (0, (2, 2), (1,)),
        (24, (), ()),
        (0, (2**62,), (1,)),
        (0, (True,), (1,)),
        (0, (1,) * 9, (1,) * 9),
        (0, (2**15, 2**15), (0, 0)),  # 4 GiB of a single number
    ],
)
def test_no_view_leaves_its_storage(
    write: Write, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    some = Storage("0", NUMBERS)
    with pytest.raises(CorruptError):
        load_state_dict(write({"a": tensor(some, offset, shape, strides)}, some))


@both
@pytest.mark.parametrize("told", [23, 25, 2**29, 2**62, -1])
def test_a_storage_of_another_size(write: Write, told: int) -> None:
    some = Storage("0", NUMBERS, told)
    with pytest.raises(CorruptError):
        load_state_dict(write({"a": tensor(some, 0, (2,), (1,))}, some))


@both
@pytest.mark.parametrize(
    "called", [("os", "system"), ("builtins", "eval"), ("torch", "load"), ("posix", "system")]
)
def test_nothing_else_is_named(write: Write, called: tuple[str, str]) -> None:
    with pytest.raises(CorruptError, match=r"asks for .*, which is not admitted"):
        load_state_dict(write({"a": Call(Named(*called), "exit 1")}))


@both
@pytest.mark.parametrize("value", [[1, 2], {"state_dict": {}}, {"a": 1}, {1: 2}, None])
def test_only_tensors_by_name(write: Write, value: object) -> None:
    with pytest.raises(CorruptError):
        load_state_dict(write(value))


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x02Q.",  # a storage, from an empty stack
        b"\x80\x02X\x01\x00\x00\x00aQ.",  # a storage that is a text
        b"\x80\x02h\x05.",  # out of a memo without it
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7fa.",  # a text of 2^63 bytes
        b"\x80\x02X\xff\xff\xff\x7fa.",  # a text of 2^31 bytes
        b"\x80\x02ccollections\nOrderedDict\n(K\x01tR.",  # a dict of something
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",  # a tensor of nothing
        b"\x80\x02ccollections\nOrderedDict\n)\x81.",  # a new object
        b"\x80\x02c" + b"torch\nFloatStorage\n}b.",  # attributes of a class
        b"\x80\x02}" + b")" + b"q\x000h\x00h\x00\x86" * 40 + b"K\x01s.",  # a key of tuples
        b"\x80\x02" + b"(" * 5000 + b"t" * 5000 + b".",  # tuples in tuples
        b"\x80\x02}",  # no end
        b"",
    ],
)
def test_programs_that_are_refused(program: bytes) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("net/data.pkl", program)
    with pytest.raises(CorruptError):
        load_state_dict(file.getvalue())
    head = b"".join(map(pickled, [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]))
    with pytest.raises(CorruptError):
        load_state_dict(head + program)


@both
def test_every_truncated_file_is_refused(write: Write) -> None:
    some = Storage("0", NUMBERS)
    data = write({"a": tensor(some, 0, (24,), (1,))}, some)
    for end in range(len(data)):
        with pytest.raises(CorruptError):
            load_state_dict(data[:end])


def test_what_follows_the_last_storage() -> None:
    some = Storage("0", NUMBERS)
    data = legacy({"a": tensor(some, 0, (24,), (1,))}, some)
    with pytest.raises(CorruptError, match="goes on after its last tensor"):
        load_state_dict(data + b"\0")


@both
def test_one_storage_of_two_sizes(write: Write) -> None:
    some, same = Storage("0", NUMBERS), Storage("0", NUMBERS, 12)
    state = {"a": tensor(some, 0, (2,), (1,)), "b": tensor(same, 0, (2,), (1,))}
    with pytest.raises(CorruptError, match="described twice"):
        load_state_dict(write(state, some))


def test_a_memo_is_as_long_as_what_is_in_it() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("net/data.pkl", b"\x80\x02}r\xff\xff\xff\x7f.")  # place 2^31 - 1
    assert load_state_dict(file.getvalue()) == {}
