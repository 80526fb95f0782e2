"""Tar archives: one pass over the headers, then members by their place."""

import contextlib
import gzip
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ...errors import CorruptError, printable
from ...storage import files
from ...storage.scratch import Scratch
from .members import Index, check_name, require_once
from .store import NotRead

__all__ = ["Tar"]

# Long names are members of their own; no honest one is longer than this.
_MOST_HEADER = 1 << 20
_BLOCK = 1 << 20
#: A compressed archive that grows by more than this, beyond the first bytes, is no archive of
#: images, which are compressed already.
_MOST_GROWTH, _ALWAYS = 200, 1 << 28
# Sizes of members that have no bytes: links and devices, and what was not unpacked.
_LINK, _LEFT_OUT = -1, -2


class _Member(NamedTuple):
    """A member: its name, where its bytes are, how many; and what it links to, or ""."""

    name: str
    offset: int
    size: int
    target: str = ""


class Tar:
    """An open tar archive.

    A plain one is read by seeking. A compressed one cannot be: the members that are wanted are
    unpacked once, into a temporary file without a name that goes with the process.

    Parameters
    ----------
    path : str
    is_wanted : callable
        Whether a member is of use, by its name and its size in bytes.
    """

    def __init__(self, path: str, is_wanted: Callable[[str, int], bool]) -> None:
        self._path = path
        self._index = Index()
        self._links: list[tuple[str, str]] = []
        self.names: list[str] = []
        with _refusals(path):
            file = open(path, "rb")  # noqa: SIM115
            is_packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            self._file: BinaryIO | Scratch = file
            if is_packed:
                with file:
                    self._file = self._unpack(file, is_wanted)
            else:
                for member in _members(path, _Headers(file)):
                    self._note(member)
        # A hard link is the member that it names, wherever that is.
        found = [(name, self._index.find(target)) for name, target in self._links]
        for name, place in found:
            self._index.add(name, *(place or (0, _LINK)))
        self._index.close()
        require_once(path, self._index, self.names)

    def _note(self, member: _Member) -> None:
        self.names.append(member.name)
        if member.target:
            self._links.append((member.name, member.target))
        else:
            self._index.add(member.name, member.offset, member.size)

    def _unpack(self, packed: BinaryIO, is_wanted: Callable[[str, int], bool]) -> Scratch:
        """Copy the members that are wanted, without their headers, one after another."""
        spool = Scratch()
        with gzip.GzipFile(fileobj=packed) as unpacked:
            stream = _Forward(self._path, unpacked, packed)
            end = 0
            for member in _members(self._path, stream):
                if member.target or member.size < 0:
                    self._note(member)
                    continue
                if not is_wanted(member.name, member.size):
                    self._note(member._replace(size=_LEFT_OUT))
                    continue
                stream.copy(member.offset, member.size, spool)
                self._note(member._replace(offset=end))
                end += member.size
            stream.drain()
        return spool

    def read(self, name: str, most: int) -> bytes:
        """Return the bytes of a member; see `Store.read`."""
        found = self._index.find(name)
        if found is None:
            raise NotRead("vanished", "the archive has no such member")
        offset, size = found
        if size == _LINK:
            raise NotRead("unreadable", "a link or a device in the archive, and no file")
        if size < 0 or size > most:
            raise NotRead("too_large", f"more than {most:,} bytes")
        with files.storage_errors(Path(self._path)):
            data = os.pread(self._file.fileno(), size, offset)
            while len(data) < size:
                more = os.pread(self._file.fileno(), size - len(data), offset + len(data))
                if not more:
                    raise CorruptError(f"{printable(self._path)} ends within {printable(name)}.")
                data += more
        return data


class _Headers:
    """A file as `tarfile` sees it, that reads no header of absurd length into memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.tell, self.seek = file.tell, file.seek
        self.header = b""  # what was read last

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MOST_HEADER:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        self.header = self._file.read(size)
        return self.header


class _Forward:
    """A compressed stream as `tarfile` sees it: it goes forward, and one byte back."""

    def __init__(self, path: str, unpacked: gzip.GzipFile, packed: BinaryIO) -> None:
        self._path, self._unpacked, self._packed = path, unpacked, packed
        self._at, self._end, self._last = 0, 0, b""
        self.header = b""  # what was read last

    def tell(self) -> int:
        return self._at

    def seek(self, position: int) -> None:
        if position < self._end - 1:
            raise tarfile.ReadError("a member that lies before another one's end")
        while self._end < position:
            if not self._take(min(_BLOCK, position - self._end)):
                break
        self._at = position

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MOST_HEADER:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        if self._at > self._end or not size:
            return b""
        back = self._last if self._at == self._end - 1 else b""
        data = back + self._take(size - len(back)) if size > len(back) else back
        self._at += len(data)
        self.header = data
        return data

    def copy(self, offset: int, size: int, target: Scratch) -> None:
        """Add the bytes of a member that comes next."""
        self.seek(offset)
        left = size
        while left:
            data = self._take(min(left, _BLOCK))
            if not data:
                raise tarfile.ReadError("unexpected end of data")
            target.append(data)
            left -= len(data)
        self._at = self._end

    def drain(self) -> None:
        """Read what is left, as the checksum comes last."""
        while self._take(_BLOCK):
            pass

    def _take(self, size: int) -> bytes:
        data = self._unpacked.read(size)
        self._end += len(data)
        self._last = data[-1:] or self._last
        if self._end > _ALWAYS and self._end > _MOST_GROWTH * self._packed.tell():
            raise CorruptError(
                f"{printable(self._path)} grows to more than {_MOST_GROWTH} times its size when it "
                "is unpacked, which no archive of images does. It is refused."
            )
        return data


def _members(path: str, file: "_Headers | _Forward") -> Iterator[_Member]:
    """Yield the members of an archive in its order, and check that it has its end.

    Links, and devices, have the size `_LINK`.
    """
    seen: Any = file  # it has what `tarfile` calls
    with tarfile.open(fileobj=seen, encoding="utf-8", errors="surrogateescape", mode="r:") as tar:
        while (member := tar.next()) is not None:
            vars(tar)["members"] = []  # it would keep them all
            if member.isdir():
                continue
            name = check_name(path, member.name)
            if member.size < 0:
                raise tarfile.ReadError(f"a member of {member.size} bytes")
            if member.islnk():
                yield _Member(name, 0, _LINK, check_name(path, member.linkname))
            elif not member.isreg() or member.issparse():
                yield _Member(name, 0, _LINK)
            else:
                yield _Member(name, member.offset_data, member.size)
        # `tarfile` takes whatever is no header for the end.
        if file.header != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("it has no end, as a copy that was cut off")


@contextlib.contextmanager
def _refusals(path: str) -> Iterator[None]:
    """Give the errors of damaged archives their names."""
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CorruptError(
            f"{printable(path)} is damaged, or is no tar archive: {printable(error)}. Make or "
            "copy it again."
        ) from error
    except FileNotFoundError as error:
        raise CorruptError(f"{printable(path)} is not there any more.") from error
    except OSError as error:
        if hasattr(error, "exit_code"):
            raise
        with files.storage_errors(Path(path)):
            raise
