"""PyTorch's files of tensors, read without PyTorch, and nothing but tensors from them.

Such a file is a pickle beside raw numbers. A pickle is a program, and Python's own unpickler calls
what the file names, resizes its memo as the file says, and hashes whatever it is given. So a small
interpreter runs it here: it knows the instructions that PyTorch writes for tensors, and calls
nothing.
"""

import io
import math
import pickletools
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..errors import CorruptError, printable

__all__ = ["TORCH", "load_state_dict"]

#: What such files begin with: a zip, or the pickle of a long number.
TORCH = (b"PK\x03\x04", b"\x80\x02\x8a\n")

#: Bytes of all tensors together, and of all storages: some 20 times the networks of the table.
_LARGEST = 1 << 30
_LARGEST_PICKLE = 1 << 26
#: Instructions of one pickle: a network of 500 tensors needs some 20 000.
_MOST_INSTRUCTIONS = 1_000_000
_MOST_AXES = 8

#: What the formats before PyTorch 1.6 begin with.
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001

_DTYPES = {
    "torch DoubleStorage": "<f8",
    "torch FloatStorage": "<f4",
    "torch HalfStorage": "<f2",
    "torch LongStorage": "<i8",
    "torch IntStorage": "<i4",
    "torch ShortStorage": "<i2",
    "torch CharStorage": "|i1",
    "torch ByteStorage": "|u1",
    "torch BoolStorage": "|b1",
}
_DICT = "collections OrderedDict"
_TENSOR = "torch._utils _rebuild_tensor_v2"
_PARAMETER = "torch._utils _rebuild_parameter"


def load_state_dict(data: bytes) -> dict[str, np.ndarray]:
    """Read the tensors of a file that ``torch.save(model.state_dict(), …)`` wrote.

    Parameters
    ----------
    data : bytes
        The whole file: a zip, which PyTorch writes since 1.6, or pickles followed by numbers.

    Returns
    -------
    dict of str to ndarray
        In the order of the file. Each array has memory of its own, is contiguous and little-endian.

    Raises
    ------
    CorruptError
        When it is neither, is damaged, holds anything but tensors by name, or tensors of more than
        1 GiB or of numbers that numpy does not have.
    """
    try:
        return _from_zip(data) if data.startswith(b"PK\x03\x04") else _from_pickles(data)
    except CorruptError:
        raise
    except Exception as error:  # whatever foreign bytes lead to
        raise CorruptError(f"Not a file of PyTorch's tensors: {printable(error)}") from error


def _from_zip(data: bytes) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        members = {info.filename: info for info in file.infolist()}
        pickles = [name for name in members if name.endswith("/data.pkl")]
        if len(pickles) != 1 or len(members) != len(file.infolist()):
            raise CorruptError(
                f"The zip has {len(pickles)} members data.pkl among {len(file.infolist())}. "
                "Expected one, and no member twice."
            )
        folder = pickles[0].removesuffix("data.pkl")

        def read(name: str, expected: int) -> bytes:
            found = members[folder + name].file_size
            if found != expected:
                raise CorruptError(
                    f"The member {printable(name)} has {found} bytes; expected {expected}."
                )
            return file.read(folder + name)

        order = members.get(folder + "byteorder")
        if order and (order.file_size != 6 or file.read(order) != b"little"):
            raise CorruptError("The numbers are not little-endian.")
        size = members[pickles[0]].file_size
        _require_small(size, "its pickle", _LARGEST_PICKLE)
        tensors = _tensors(_run(io.BytesIO(read("data.pkl", size))))
        storages = _storages(tensors)
        return _arrays(
            tensors, {key: read(f"data/{key}", one.nbytes) for key, one in storages.items()}
        )


def _from_pickles(data: bytes) -> dict[str, np.ndarray]:
    file = io.BytesIO(data)
    if _run(file) != _MAGIC or _run(file) != _PROTOCOL:
        raise CorruptError("Not a file of PyTorch's tensors: its first numbers are others.")
    if _run(file)["little_endian"] is not True:
        raise CorruptError("The numbers are not little-endian.")
    tensors = _tensors(_run(file))
    storages = _storages(tensors)
    keys = _run(file)
    if not all(type(key) is str for key in keys) or sorted(keys) != sorted(storages):
        raise CorruptError("The storages that follow are not those of the tensors.")
    found = {}
    for key in keys:
        (numbers,) = struct.unpack("<q", file.read(8))
        found[key] = file.read(storages[key].nbytes)
        if numbers != storages[key].numbers or len(found[key]) != storages[key].nbytes:
            raise CorruptError(
                f"The storage {printable(key)} has {numbers} numbers and {len(found[key])} bytes; "
                f"expected {storages[key].numbers} and {storages[key].nbytes}."
            )
    if file.read(1):
        raise CorruptError("The file goes on after its last tensor.")
    return _arrays(tensors, found)


@dataclass(frozen=True)
class _Name:
    """A function or class that a pickle names; it is never looked up."""

    name: str


class _Storage(NamedTuple):
    """Numbers in a row, which are elsewhere in the file."""

    key: str
    dtype: str
    numbers: int

    @property
    def nbytes(self) -> int:
        return self.numbers * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, eq=False)
class _Tensor:
    """A view of a storage: where it begins, and its shape and steps in numbers."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        for value in (self.offset, *self.shape, *self.strides):
            _require_number(value)
        if len(self.shape) != len(self.strides) or len(self.shape) > _MOST_AXES:
            raise CorruptError("A tensor has not one step for each of its up to 8 axes.")
        steps = zip(self.shape, self.strides, strict=True)
        end = self.offset + sum((size - 1) * stride for size, stride in steps) + 1
        if self.count and end > self.storage.numbers:
            raise CorruptError(
                f"A tensor ends at number {end} of its storage, which has {self.storage.numbers}."
            )

    @property
    def count(self) -> int:
        return math.prod(self.shape)

    def view(self, raw: bytes) -> np.ndarray:
        if not self.count:
            return np.empty(self.shape, self.storage.dtype)
        row = np.frombuffer(raw, self.storage.dtype)
        strides = [stride * row.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(row[self.offset :], self.shape, strides)


def _require_number(value: object) -> None:
    if type(value) is not int or not 0 <= value <= _LARGEST:
        raise CorruptError(f"An extent in the file is not a whole number from 0 to {_LARGEST}.")


def _require_small(nbytes: int, what: str, most: int = _LARGEST) -> None:
    if nbytes > most:
        raise CorruptError(f"The file wants {nbytes} bytes for {what}; at most {most} are read.")


def _tensors(found: Any) -> dict[str, _Tensor]:
    """Return what a pickle gave, if it is tensors by name."""
    if not isinstance(found, dict) or not all(isinstance(one, _Tensor) for one in found.values()):
        raise CorruptError(
            "The file holds something else than tensors by name. Save model.state_dict() alone."
        )
    nbytes = sum(one.count * np.dtype(one.storage.dtype).itemsize for one in found.values())
    _require_small(nbytes, "its tensors")
    return found


def _storages(tensors: Mapping[str, _Tensor]) -> dict[str, _Storage]:
    found: dict[str, _Storage] = {}
    for one in tensors.values():
        if found.setdefault(one.storage.key, one.storage) != one.storage:
            raise CorruptError(f"The storage {printable(one.storage.key)} is described twice.")
    _require_small(sum(one.nbytes for one in found.values()), "its storages")
    return found


def _arrays(tensors: Mapping[str, _Tensor], raw: Mapping[str, bytes]) -> dict[str, np.ndarray]:
    return {name: one.view(raw[one.storage.key]).copy("C") for name, one in tensors.items()}


def _run(file: io.BytesIO) -> Any:
    """Run the pickle at the position of a file, and return what it leaves on its stack."""
    machine = _Machine()
    for count, (instruction, argument, _) in enumerate(pickletools.genops(file)):
        name = instruction.name
        if name == "STOP":
            return machine.stack.pop()
        if count == _MOST_INSTRUCTIONS or name not in _INSTRUCTIONS:
            raise CorruptError(
                f"The pickle has the instruction {name} at {count}. Expected those of tensors, "
                f"and up to {_MOST_INSTRUCTIONS}."
            )
        _INSTRUCTIONS[name](machine, argument)
    raise CorruptError("The pickle has no end.")


#: What a tensor is made of, before what matters to training alone.
_ARGUMENTS = [_Storage, int, tuple, tuple]


class _Machine:
    """The stack of a pickle's program, the stacks below marks, and its memo."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def mark(self, _: Any) -> None:
        self.below.append(self.stack)
        self.stack = []

    def pop_to_mark(self) -> list[Any]:
        above, self.stack = self.stack, self.below.pop()
        return above

    def put(self, at: int) -> None:
        self.memo[at] = self.stack[-1]

    def get(self, at: int) -> None:
        self.push(self.memo[at])

    def make_tuple(self, count: int) -> None:
        if len(self.stack) < count:
            raise CorruptError("The pickle takes from an empty stack.")
        values = tuple(self.stack[len(self.stack) - count :])
        del self.stack[len(self.stack) - count :]
        self.push(values)

    def extend(self, values: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise CorruptError("The pickle appends to what is no list.")
        self.stack[-1].extend(values)

    def set_items(self, values: list[Any]) -> None:
        for key, value in zip(values[::2], values[1::2], strict=True):
            # Nothing else is a key: the hash of tuples in tuples would take for ever.
            if type(key) is not str or type(self.stack[-1]) is not dict or key in self.stack[-1]:
                raise CorruptError("The pickle sets an item that has no name, or has it twice.")
            self.stack[-1][key] = value

    def build(self, _: Any) -> None:
        """Drop the attributes of a dict: PyTorch keeps the versions of layers there."""
        self.stack.pop()
        if type(self.stack[-1]) is not dict:
            raise CorruptError("The pickle sets attributes of what is no dict.")

    def take_name(self, argument: str) -> None:
        if argument not in (_DICT, _TENSOR, _PARAMETER, *_DTYPES):
            raise CorruptError(
                f"The pickle asks for {printable(argument.replace(' ', '.'))}, which is not "
                "admitted. Expected tensors alone."
            )
        self.push(_Name(argument))

    def reduce(self, _: Any) -> None:
        """Do what the call of one of the three admitted functions would do."""
        arguments, called = self.stack.pop(), self.stack.pop()
        if called == _Name(_DICT) and arguments == ():
            self.push({})
        elif called == _Name(_PARAMETER) and type(arguments[0]) is _Tensor:
            self.push(arguments[0])
        elif called == _Name(_TENSOR) and [*map(type, arguments[:4])] == _ARGUMENTS:
            self.push(_Tensor(*arguments[:4]))
        else:
            raise CorruptError("The pickle calls what makes no tensor of a storage.")

    def find_storage(self, _: Any) -> None:
        """Replace the description of a storage by the storage."""
        kind, of, key, _place, numbers, *further = self.stack.pop()
        _require_number(numbers)
        is_plain = kind == "storage" and type(key) is str and further in ([], [None])
        if not is_plain or type(of) is not _Name or of.name not in _DTYPES:
            raise CorruptError("The pickle refers to something else than a storage of numbers.")
        self.push(_Storage(key, _DTYPES[of.name], numbers))


#: The instructions that PyTorch writes: name → what each does with its argument.
_INSTRUCTIONS: Mapping[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda machine, _: None,
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "BININT": _Machine.push,
    "BININT1": _Machine.push,
    "BININT2": _Machine.push,
    "LONG1": _Machine.push,
    "BINUNICODE": _Machine.push,
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "MARK": _Machine.mark,
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_to_mark())),
    "TUPLE1": lambda machine, _: machine.make_tuple(1),
    "TUPLE2": lambda machine, _: machine.make_tuple(2),
    "TUPLE3": lambda machine, _: machine.make_tuple(3),
    "APPEND": lambda machine, _: machine.extend([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.pop_to_mark()),
    "SETITEM": lambda machine, _: machine.set_items([machine.stack.pop(-2), machine.stack.pop()]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.pop_to_mark()),
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "GLOBAL": _Machine.take_name,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.find_storage,
}
