"""Rows in the order of their bytes: sorted in memory, or in runs on the disk that are merged."""

import heapq
import itertools
import os
from collections.abc import Iterator
from functools import lru_cache

from ..errors import StorageError
from ..storage.scratch import Scratch

__all__ = ["IN_MEMORY", "Row", "Runs", "as_bytes", "as_text"]

#: Rows, and images of a catalog, that are held in memory at most.
IN_MEMORY = 1 << 19

_CHUNK = 1024  # rows that are read at once of each run

#: Texts as bytes, none of which is a NUL.
Row = tuple[bytes, ...]


class Runs:
    """Rows that are added in any order and come out sorted, in bounded memory.

    Parameters
    ----------
    fields : int
        Values of a row, 1 or more.
    limit : int, optional
        Rows in memory at most; by default `IN_MEMORY`.
    """

    def __init__(self, fields: int, limit: int | None = None) -> None:
        self._fields = fields
        self._limit = IN_MEMORY if limit is None else limit
        self._rows: list[Row] = []
        self._file: Scratch | None = None
        self._runs: list[list[tuple[int, int]]] = []  # where the chunks of each run are
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, row: Row) -> None:
        """Take a row.

        Raises
        ------
        StorageError
            When the folder for temporary files is full.
        """
        self._rows.append(row)
        self._count += 1
        if len(self._rows) > self._limit:
            self._spill()

    def __iter__(self) -> Iterator[Row]:
        """Yield all rows, sorted; the first value counts most."""
        if self._file is None:
            self._rows.sort()
            return iter(self._rows)
        if self._rows:
            self._spill()
        file = self._file
        return heapq.merge(*(self._run(file, chunks) for chunks in self._runs))

    def _spill(self) -> None:
        self._rows.sort()
        file = self._file = self._file or Scratch()
        chunks = []
        for start in range(0, len(self._rows), _CHUNK):
            some = self._rows[start : start + _CHUNK]
            data = b"\0".join(itertools.chain.from_iterable(some))
            chunks.append((file.append(data), len(data)))
        self._runs.append(chunks)
        self._rows.clear()

    def _run(self, file: Scratch, chunks: list[tuple[int, int]]) -> Iterator[Row]:
        for offset, size in chunks:
            data = os.pread(file.fileno(), size, offset)
            if len(data) != size:
                raise StorageError("A temporary file is shorter than what was written to it.")
            values = iter(data.split(b"\0"))
            yield from zip(*[values] * self._fields, strict=True)


@lru_cache(1 << 14)
def as_bytes(text: str) -> bytes:
    """Return a text of few that there are, such as a label, as a value of a row."""
    return text.encode("utf-8", "surrogateescape")


@lru_cache(1 << 14)
def as_text(value: bytes) -> str:
    """Return what `as_bytes` was given: the same object for equal values, mostly."""
    return value.decode("utf-8", "surrogateescape")
