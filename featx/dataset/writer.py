"""Images, one after the other, → the bytes of a catalog."""

import hashlib
import itertools
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, printable
from . import blocks

__all__ = ["START", "CatalogWriter"]

#: The first bytes of a file.
START = b"featx-catalog 1\n"


class CatalogWriter:
    """What takes images in the order of the bytes of their paths, and writes blocks of them.

    Parameters
    ----------
    write : callable
        Takes bytes, and adds them to a file.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._rows: list[tuple[str, str | None, str, str]] = []
        self._last: bytes | None = None
        self._labels: dict[str, int] = {}
        self._counts: Counter[int] = Counter()
        self._splits: Counter[str] = Counter(dict.fromkeys(("", "train", "val", "test"), 0))
        self._has_groups = False
        self._first_unsplit = ""
        self._blocks: list[tuple[int, str, str]] = []
        self._size = len(START)
        write(START)

    @property
    def labels(self) -> Sequence[str]:
        """The labels that came, in the order in which they came."""
        return tuple(self._labels)

    def add(self, path: str, label: str | None, split: str, group: str) -> None:
        """Take the next image.

        Raises
        ------
        InputError
            When an image is listed twice, is not in order, or cannot be written.
        StorageError
            When the disk is full, or another call failed.
        """
        self._rows.append((path, label, split, group))
        if len(self._rows) == blocks.BLOCK:
            self._flush()

    def require_splits(self) -> None:
        """Check that all images have a split, or none, when all were added.

        Raises
        ------
        InputError
        """
        self._flush()
        missing, images = self._splits[""], sum(self._splits.values())
        if 0 < missing < images:
            raise InputError(
                f"{missing} of {images} images have no split while others have one, for example "
                f"{printable(self._first_unsplit)}. Give every image a split, or none."
            )

    def finish(
        self, root: Path, classes: Sequence[str], ignored: int, store: dict[str, Any] | None
    ) -> None:
        """Write what follows the last block.

        Parameters
        ----------
        root, classes, ignored
            See `Catalog`; every label that came is one of `classes`.
        store : dict, optional
            See `blocks.Index`.

        Raises
        ------
        InputError
            When there are too many classes to be written.
        """
        self._flush()
        place = {name: index for index, name in enumerate(classes)}
        index = blocks.Index(
            os.fspath(root),
            ignored,
            list(classes),
            [place[name] for name in self._labels],
            [self._counts[code] for code in self._labels.values()],
            dict(self._splits),
            self._has_groups,
            sum(self._splits.values()),
            self._blocks,
            store,
        )
        data = _encoded(index)
        self._write(data)
        self._write(blocks.footer(self._size, data))

    def _flush(self) -> None:
        if not self._rows:
            return
        paths, names, splits, groups = (list(column) for column in zip(*self._rows, strict=True))
        self._rows.clear()
        self._check_order(paths)
        codes = [-1 if name is None else self._code(name) for name in names]
        self._counts.update(codes)
        self._splits.update(splits)
        self._has_groups |= any(groups)
        if not self._first_unsplit and "" in splits:
            self._first_unsplit = paths[splits.index("")]
        data = _encoded(blocks.Columns(paths, np.array(codes, np.int32), splits, groups))
        self._write(data)
        self._size += len(data)
        self._blocks.append((len(data), hashlib.sha256(data).hexdigest(), paths[0]))

    def _code(self, name: str) -> int:
        return self._labels.setdefault(name, len(self._labels))

    def _check_order(self, paths: list[str]) -> None:
        keys = [] if self._last is None else [self._last]
        keys += map(os.fsencode, paths)
        for one, two in itertools.pairwise(keys):
            if one >= two:
                name = printable(os.fsdecode(two))
                if one == two:
                    raise InputError(f"{name} is listed twice. List every image once.")
                raise InputError(f"{name} is not in the order of the bytes of the paths.")
        self._last = keys[-1]


def _encoded(part: blocks.Columns | blocks.Index) -> bytes:
    try:
        return part.encode()
    except blocks.Damaged as error:
        raise InputError(f"The list of images cannot be written: {error}.") from error
