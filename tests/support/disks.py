"""Disks in the place of `files.disk`: one that fails, one that keeps a record, one that kills."""

import os
import shutil
import signal
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from featx.storage.files import Disk

CALLS = ("open", "lock", "unlock", "write", "truncate", "sync", "replace", "remove",
         "make_folder", "remove_folder")  # fmt: skip


class Watched(Disk):
    """A disk that is asked before each call; the first call has the number 1."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def before(self, name: str, arguments: tuple[Any, ...]) -> None:
        """Called with the name of the call and its arguments; may raise."""


def _watched(name: str) -> Any:
    real = getattr(Disk, name)

    def call(self: Watched, *arguments: Any) -> Any:
        self.calls.append(name)
        self.before(name, arguments)
        return real(self, *arguments)

    return call


for _name in CALLS:
    setattr(Watched, _name, _watched(_name))


class Failing(Watched):
    """The n-th call fails, once or, from then on, every one."""

    def __init__(self, number: int, error: int, *, forever: bool = False) -> None:
        super().__init__()
        self._number = number
        self._error = error
        self._forever = forever

    def before(self, name: str, arguments: tuple[Any, ...]) -> None:
        count = len(self.calls)
        if count == self._number or (self._forever and count > self._number):
            raise OSError(self._error, os.strerror(self._error))


class Killing(Watched):
    """The process is killed before the n-th call of a name: ``replace:2``."""

    def __init__(self, point: str) -> None:
        super().__init__()
        self._name, _, number = point.partition(":")
        self._number = int(number)

    def before(self, name: str, arguments: tuple[Any, ...]) -> None:
        if name == self._name and self.calls.count(name) == self._number:
            os.kill(os.getpid(), signal.SIGKILL)


class Poor(Disk):
    """A disk whose file system does not offer some calls."""

    def __init__(self, error: int, *missing: str) -> None:
        self.error = error
        self.missing = missing

    def sync(self, descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        if kind in self.missing:
            raise OSError(self.error, os.strerror(self.error))
        super().sync(descriptor)

    def lock(self, descriptor: int, shared: bool = False) -> None:
        if "lock" in self.missing:
            raise OSError(self.error, os.strerror(self.error))
        super().lock(descriptor, shared)


# What a machine that loses its power can leave ------------------------------------------------


@dataclass
class _File:
    """The bytes of a file: those that are on the disk for sure, and what came after."""

    sure: bytearray = field(default_factory=bytearray)
    writes: list[tuple[int, bytes | None]] = field(default_factory=list)  # None: cut at the offset

    def after(self, how: str) -> bytes:
        """Return what a crash leaves: "none" or "all" of the writes since, or a "torn" half."""
        data = bytearray(self.sure)
        writes = {"none": 0, "all": len(self.writes), "torn": len(self.writes) // 2 + 1}[how]
        some = self.writes[:writes]
        if how == "torn" and some and some[-1][1]:
            offset, last = some[-1]
            some = [*some[:-1], (offset, last[: len(last) // 2])]
        for offset, chunk in some:
            if chunk is None:
                del data[offset:]
                data.extend(bytes(offset - len(data)))
            else:
                data.extend(bytes(max(0, offset - len(data))))
                data[offset : offset + len(chunk)] = chunk
        return bytes(data)


@dataclass
class _State:
    """What is known of a folder tree after some calls."""

    #: Names that are on the disk for sure, and changes since: folder → [(name, file or None)].
    sure: dict[Path, _File] = field(default_factory=dict)
    changes: dict[Path, list[tuple[Path, _File | None]]] = field(default_factory=dict)
    now: dict[Path, _File] = field(default_factory=dict)
    #: Folders that were made, and those of them that are there for sure.
    made: set[Path] = field(default_factory=set)
    folders: set[Path] = field(default_factory=set)

    def change(self, path: Path, file: _File | None) -> None:
        self.changes.setdefault(path.parent, []).append((path, file))
        if file is None:
            self.now.pop(path, None)
        else:
            self.now[path] = file

    def entries(self, share: float) -> dict[Path, _File]:
        """Return the names after a crash that loses all but a share of the changes of a folder."""
        found = dict(self.sure)
        for changes in self.changes.values():
            for path, file in changes[: round(share * len(changes))]:
                if file is None:
                    found.pop(path, None)
                else:
                    found[path] = file
        return found


class Recording(Disk):
    """A disk that keeps a record, and rebuilds what a crash at any moment could leave."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.calls: list[tuple[Any, ...]] = []
        self._before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
        self._paths: dict[int, Path] = {}

    def open(self, path: Path, flags: int) -> int:
        new = not path.exists()
        descriptor = super().open(path, flags)
        self._paths[descriptor] = path
        if new:
            self.calls.append(("create", path))
        return descriptor

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        offset = os.lseek(descriptor, 0, os.SEEK_CUR)
        count = super().write(descriptor, data)
        self.calls.append(("write", self._paths[descriptor], offset, bytes(data[:count])))
        return count

    def truncate(self, descriptor: int, size: int) -> None:
        super().truncate(descriptor, size)
        self.calls.append(("write", self._paths[descriptor], size, None))

    def sync(self, descriptor: int) -> None:
        super().sync(descriptor)
        self.calls.append(("sync", self._paths[descriptor]))

    def replace(self, old: Path, new: Path) -> None:
        super().replace(old, new)
        self.calls.append(("replace", old, new))

    def remove(self, path: Path) -> None:
        super().remove(path)
        self.calls.append(("remove", path))

    def make_folder(self, path: Path) -> None:
        super().make_folder(path)
        self.calls.append(("make_folder", path))

    def remove_folder(self, path: Path) -> None:
        super().remove_folder(path)
        self.calls.append(("remove_folder", path))

    def crashes(self) -> Iterator[tuple[int, dict[Path, bytes]]]:
        """Yield, for a crash after each call, every tree of files that it could leave."""
        state = _State(
            {path: _File(bytearray(data)) for path, data in self._before.items()},
            folders={path.parent for path in self._before},
        )
        state.now.update(state.sure)
        for number, call in enumerate(self.calls, start=1):
            self._apply(state, call)
            seen = set()
            for share in (0, 0.5, 1):
                for how in ("none", "torn", "all"):
                    tree = {
                        path: file.after(how)
                        for path, file in state.entries(share).items()
                        if path.parent == self.root or path.parent in state.folders
                    }
                    key = tuple(sorted((str(path), hash(data)) for path, data in tree.items()))
                    if key not in seen:
                        seen.add(key)
                        yield number, tree

    def _apply(self, state: _State, call: tuple[Any, ...]) -> None:
        name, path, *rest = call
        if name == "create":
            state.change(path, _File())
        elif name == "write":
            state.now[path].writes.append((rest[0], rest[1]))
        elif name == "sync" and path in state.now:
            file = state.now[path]
            file.sure[:] = file.after("all")
            file.writes.clear()
        elif name == "sync":  # a folder
            for changed, file in state.changes.pop(path, []):
                if file is None:
                    state.sure.pop(changed, None)
                else:
                    state.sure[changed] = file
            state.folders |= {folder for folder in state.made if folder.parent == path}
        elif name == "replace":
            file = state.now[path]
            state.change(rest[0], file)
            state.change(path, None)
        elif name == "remove":
            state.change(path, None)
        elif name == "make_folder":
            state.made.add(path)
        elif name == "remove_folder":
            state.made.discard(path)
            state.folders.discard(path)


def put(tree: dict[Path, bytes], old: Path, new: Path) -> None:
    """Write a tree of files that was recorded below `old` below `new`."""
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    for path, data in tree.items():
        there = new / path.relative_to(old)
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(data)
