"""TIFF files of kinds that Pillow does not write, made of numbers by the specification."""

import struct

import numpy as np

_SHORT, _LONG = 3, 4


def tiff(
    pixels: np.ndarray,
    *,
    bits: int = 8,
    order: str = "<",
    planar: int = 1,
    photometric: int = 1,
) -> bytes:
    """Return an uncompressed TIFF (TIFF 6.0) of one strip a plane.

    Parameters
    ----------
    pixels : ndarray of int, shape (height, width, samples)
    bits : {8, 12, 16}
        Of each sample; 12 are packed, two samples in three bytes, most significant bits first.
    order : {"<", ">"}
        Byte order.
    planar : {1, 2}
        Samples side by side, or each in a plane of its own.
    photometric : int
        0 white is zero, 1 black is zero, 2 RGB, 5 CMYK.
    """
    height, width, samples = pixels.shape
    planes = [pixels] if planar == 1 else [pixels[..., n] for n in range(samples)]
    strips = [_packed(plane.ravel(), bits, order) for plane in planes]
    offsets, at = [], 8
    for strip in strips:
        offsets.append(at)
        at += len(strip)
    tags: list[tuple[int, int, list[int]]] = [
        (256, _LONG, [width]),
        (257, _LONG, [height]),
        (258, _SHORT, [bits] * samples),
        (259, _SHORT, [1]),
        (262, _SHORT, [photometric]),
        (273, _LONG, offsets),
        (277, _SHORT, [samples]),
        (278, _LONG, [height]),
        (279, _LONG, [len(strip) for strip in strips]),
        (284, _SHORT, [planar]),
    ]
    if samples == 4 and photometric == 2:
        tags.append((338, _SHORT, [2]))  # the fourth sample is transparency
    more_at = at + 2 + 12 * len(tags) + 4
    entries, more = b"", b""
    for number, kind, values in tags:
        data = struct.pack(f"{order}{len(values)}{'H' if kind == _SHORT else 'I'}", *values)
        if len(data) > 4:
            field = struct.pack(f"{order}I", more_at + len(more))
            more += data
        else:
            field = data.ljust(4, b"\0")
        entries += struct.pack(f"{order}HHI", number, kind, len(values)) + field
    mark = b"II" if order == "<" else b"MM"
    head = mark + struct.pack(f"{order}HI", 42, at)
    folder = struct.pack(f"{order}H", len(tags)) + entries + bytes(4)
    return head + b"".join(strips) + folder + more


def _packed(values: np.ndarray, bits: int, order: str) -> bytes:
    if bits == 8:
        return values.astype(np.uint8).tobytes()
    if bits == 16:
        return values.astype(f"{order}u2").tobytes()
    one, two = values.reshape(-1, 2).T.astype(np.uint32)
    return np.stack([one >> 4, (one & 15) << 4 | two >> 8, two & 255], 1).astype(np.uint8).tobytes()
