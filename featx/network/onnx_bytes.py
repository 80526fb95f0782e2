"""Whether an ``.onnx`` file is whole by itself, read from its bytes alone.

A tensor of an ONNX file can lie in another file, whose path it names, or in the memory of the
process, whose address it names. Runtimes read both, and no digest of the file says what they read.
"""

from collections.abc import Iterator

from ..errors import CorruptError, InputError

__all__ = ["require_self_contained"]

#: Of each message that can hold a tensor: the fields that can, and what they are. Numbers are those
#: of onnx.proto.
_FIELDS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_GRAPH = 7


def require_self_contained(data: bytes) -> None:
    """Check that a file is a protobuf message with a graph whose tensors all lie in it.

    Parameters
    ----------
    data : bytes
        The whole file.

    Raises
    ------
    CorruptError
        When it is no such message, or ends too soon.
    InputError
        When a tensor lies elsewhere.
    """
    has_graph = False
    waiting = [("model", memoryview(data))]
    while waiting:
        kind, message = waiting.pop()
        for number, value in _fields(message):
            if kind == "model" and number == _GRAPH:
                has_graph = True
            if kind == "tensor" and number in (_EXTERNAL_DATA, _DATA_LOCATION) and value != 0:
                raise InputError(
                    "Some of its weights lie in another file (external data), which its SHA-256 "
                    "does not cover. Save it as one file: onnx.save(onnx.load(PATH), NEW)."
                )
            if number in _FIELDS[kind] and isinstance(value, memoryview):
                waiting.append((_FIELDS[kind][number], value))
    if not has_graph:
        raise CorruptError("It is not an ONNX file: it holds no graph.")


def _fields(message: memoryview) -> Iterator[tuple[int, "int | memoryview | None"]]:
    """Yield number and value of each field; None for numbers of a fixed size."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if tag >= 1 << 32 or not number:
            raise CorruptError(_BROKEN)
        value: int | memoryview | None = None
        if kind == _VARINT:
            value, at = _varint(message, at)
        elif kind == _BYTES:
            length, start = _varint(message, at)
            at = start + length
            value = message[start:at]
        elif kind in (_FIXED64, _FIXED32):
            at += 8 if kind == _FIXED64 else 4
        else:
            raise CorruptError(_BROKEN)
        if at > len(message):
            raise CorruptError(_BROKEN)
        yield number, value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return a number of up to ten bytes, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at == len(message):
            break
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise CorruptError(_BROKEN)


_BROKEN = "It is not a whole ONNX file."
