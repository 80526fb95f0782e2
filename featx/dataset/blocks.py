"""A catalog as bytes: blocks of images, and the index that has the digest of each."""

import hashlib
import itertools
import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

__all__ = ["BLOCK", "FOOTER", "Columns", "Damaged", "Index", "footer", "read_footer"]

#: Images of a block; the last block of a catalog may have fewer.
BLOCK = 4096

#: Bytes that are read into memory at most, whatever a file says.
_MOST_BLOCK = 64 << 20
_MOST_INDEX = 64 << 20

#: Splits by their code in a block.
_SPLITS = ("", "train", "val", "test")

_TAG = "featx-catalog 1"
#: Bytes of the footer, the last of a file.
FOOTER = len(f"{_TAG} {0:016d} {0:016d} {'0' * 64}\n")
_FOOTER = re.compile(rf"{_TAG} (\d{{16}}) (\d{{16}}) ([0-9a-f]{{64}})\n".encode())


class Damaged(ValueError):
    """Bytes that are no part of a catalog; the message says what is wrong with them."""


@dataclass(frozen=True)
class Columns:
    """The images of a block.

    Attributes
    ----------
    paths : list of str
        In the order of their bytes.
    labels : ndarray of int32, shape (n,)
        Index into the labels of the catalog in the order in which they came; −1 is none.
    splits : list of str
    groups : list of str
    """

    paths: list[str]
    labels: np.ndarray
    splits: list[str]
    groups: list[str]

    def encode(self) -> bytes:
        """Return the block as bytes, which are the same for the same images.

        Raises
        ------
        Damaged
            When it cannot be written: a NUL in a text, or too many bytes.
        """
        paths = _join(map(os.fsencode, self.paths))
        table = {name: code for code, name in enumerate(dict.fromkeys(self.groups))}
        if set(table) == {""}:
            table = {}
        names = _join(name.encode("utf-8", "surrogateescape") for name in table)
        if paths.count(b"\0") != len(self.paths) or names.count(b"\0") != len(table):
            raise Damaged("a path or a group has a NUL character in it")
        codes = [table[group] for group in self.groups] if table else []
        data = b"".join(
            (
                np.array([len(self.paths), len(paths), len(table), len(names)], "<u4").tobytes(),
                self.labels.astype("<i4").tobytes(),
                bytes(map(_SPLITS.index, self.splits)),
                np.array(codes, "<u4").tobytes(),
                names,
                paths,
            )
        )
        if len(data) > _MOST_BLOCK:
            raise Damaged(f"{BLOCK} images take {len(data):,} bytes, more than is allowed")
        return data

    @staticmethod
    def decode(data: bytes, labels: int) -> "Columns":
        """Return a block from its bytes, of which nothing is believed.

        Parameters
        ----------
        data : bytes
        labels : int
            Labels that the catalog has.

        Raises
        ------
        Damaged
        """
        if len(data) < 16:
            raise Damaged("a block is too short")
        n, path_bytes, groups, group_bytes = np.frombuffer(data, "<u4", 4).tolist()
        ends = list(
            itertools.accumulate((16, 4 * n, n, 4 * n if groups else 0, group_bytes, path_bytes))
        )
        if not 0 < n <= BLOCK or ends[-1] != len(data):
            raise Damaged("a block has other sizes than it says")
        found = np.frombuffer(data, "<i4", n, ends[0]).astype(np.int32)
        splits = data[ends[1] : ends[2]]
        codes = np.frombuffer(data, "<u4", n if groups else 0, ends[2])
        if found.min() < -1 or found.max() >= labels or max(splits) >= len(_SPLITS):
            raise Damaged("a block has a label or a split that there is not")
        if groups and codes.max() >= groups:
            raise Damaged("a block has a group that there is not")
        names = _split(data[ends[3] : ends[4]], groups)
        paths = _split(data[ends[4] :], n)
        if not all(one < two for one, two in itertools.pairwise(paths)) or not paths[0]:
            raise Damaged("the paths of a block are not in order")
        known = [name.decode("utf-8", "surrogateescape") for name in names]
        return Columns(
            list(map(os.fsdecode, paths)),
            found,
            [_SPLITS[code] for code in splits],
            [known[code] for code in codes.tolist()] if groups else [""] * n,
        )


def _join(texts: Any) -> bytes:
    return b"".join(text + b"\0" for text in texts)


def _split(data: bytes, count: int) -> list[bytes]:
    """Return texts that each end in a NUL."""
    if data.count(b"\0") != count or (count and data[-1]) or (data and not count):
        raise Damaged("a block has another number of texts than it says")
    return data.split(b"\0")[:-1]


@dataclass(frozen=True)
class Index:
    """What the index of a catalog says.

    Attributes
    ----------
    root : str
    ignored : int
    classes : sequence of str
    labels : sequence of int
        For each label of the blocks, its class.
    counts : sequence of int
        For each label of the blocks, its images.
    splits : mapping of str to int
        Images of each split; ``""`` is none.
    has_groups : bool
    images : int
    blocks : sequence of (int, str, str)
        Bytes of each block, its SHA-256, and its first path.
    store : mapping, optional
        Where the images are, if they are no files below the root; see `stores`.
    """

    root: str
    ignored: int
    classes: Sequence[str]
    labels: Sequence[int]
    counts: Sequence[int]
    splits: dict[str, int]
    has_groups: bool
    images: int
    blocks: Sequence[tuple[int, str, str]]
    store: dict[str, Any] | None = None

    def encode(self) -> bytes:
        """Return the index as bytes, which are the same for the same catalog.

        Raises
        ------
        Damaged
            When there are too many.
        """
        data = json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()
        if len(data) > _MOST_INDEX:
            raise Damaged(f"its index has {len(data):,} bytes: it has too many classes")
        return data

    @staticmethod
    def decode(data: bytes) -> "Index":
        """Return an index from its bytes, of which nothing is believed.

        Raises
        ------
        Damaged
        """
        try:
            read = json.loads(data)
            found = Index(**{**read, "blocks": [_block(*block) for block in read["blocks"]]})
            found._check()
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise Damaged("its index is not as it should be") from error
        return found

    def _check(self) -> None:
        """Raise a `ValueError` where the parts do not fit one another."""
        numbers = [self.ignored, self.images, *self.counts, *self.splits.values(), *self.labels]
        texts = [self.root, *self.classes]
        lists = [self.classes, self.labels, self.counts]
        least = BLOCK * (len(self.blocks) - 1) + 1 if self.blocks else 0
        firsts = [os.fsencode(first) for *_, first in self.blocks]
        if not (
            all(type(some) is list for some in lists)
            and all(type(number) is int and number >= 0 for number in numbers)
            and all(type(text) is str and "\0" not in text for text in texts)
            and least <= self.images <= BLOCK * len(self.blocks)
            and len(set(self.classes)) == len(self.classes)
            and len(set(self.labels)) == len(self.labels) == len(self.counts)
            and all(label < len(self.classes) for label in self.labels)
            and set(self.splits) == set(_SPLITS)
            and sum(self.splits.values()) == self.images >= sum(self.counts)
            and all(one < two for one, two in itertools.pairwise(firsts))
            and type(self.has_groups) is bool
            and (self.store is None or type(self.store) is dict)
        ):
            raise ValueError


def _block(size: Any, digest: Any, first: Any) -> tuple[int, str, str]:
    if type(size) is not int or not 0 < size <= _MOST_BLOCK:
        raise ValueError
    if type(digest) is not str or len(digest) != 64 or type(first) is not str:
        raise ValueError
    return size, digest, first


def footer(offset: int, index: bytes) -> bytes:
    """Return the last bytes of a file: where the index is, and its SHA-256."""
    digest = hashlib.sha256(index).hexdigest()
    return f"{_TAG} {offset:016d} {len(index):016d} {digest}\n".encode()


def read_footer(data: bytes, size: int) -> tuple[int, int, str]:
    """Return offset, bytes and SHA-256 of the index from the last bytes of a file.

    Parameters
    ----------
    data : bytes, `FOOTER` of them
    size : int
        Bytes of the whole file.

    Raises
    ------
    Damaged
    """
    found = _FOOTER.fullmatch(data)
    if not found:
        raise Damaged("it is no catalog, or its end is missing")
    offset, length = int(found[1]), int(found[2])
    if length > _MOST_INDEX or offset + length + FOOTER != size:
        raise Damaged("it has another size than it says")
    return offset, length, found[3].decode()
