"""Images in tar and zip archives."""

import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ...storage import files
from ..extensions import is_image
from .store import NotRead, Store, stamp_of_file
from .tars import Tar
from .zips import Zip

__all__ = ["SUFFIXES", "Archives", "is_archive", "listed_names", "open_archive", "split_path"]

#: How the names of archives end, in lower case.
SUFFIXES = (".tar", ".tar.gz", ".tgz", ".zip")
#: Of members beside images, those of up to so many bytes can be read: lists, and labels.
MOST_BESIDE = 64 << 20
#: Larger images are not unpacked from compressed archives; they are not decoded either.
_MOST_IMAGE = 1 << 30

#: Members of compressed archives beside images that can be read.
_BESIDE = (".cls", ".json", ".txt", ".csv", ".tsv", ".jsonl")
_MOST_OPEN = 64

_opening = threading.Lock()
_open: OrderedDict[str, tuple[files.Stamp, Tar | Zip]] = OrderedDict()


def is_archive(path: str | os.PathLike[str]) -> bool:
    """Tell by its name whether a file is an archive."""
    return os.fspath(path).lower().endswith(SUFFIXES)


@dataclass(frozen=True)
class Archives(Store):
    """Images that are members of archives.

    Attributes
    ----------
    root : str
        An archive, in which paths are the names of members; or a folder, and then paths are
        archives in it with the names of their members: ``train-0001.tar/000123.jpg``.
    """

    kind: ClassVar[str] = "archives"
    root: str = ""

    def read(self, path: str, most: int) -> bytes:
        """Return the bytes of an image; see `Store.read`."""
        archive, member = split_path(self.root, path)
        return open_archive(archive).read(member, most)

    def stamp(self, path: str) -> files.Stamp | None:
        """Return the stamp of the archive: while it is as it was, its members are."""
        try:
            return stamp_of_file(split_path(self.root, path)[0])
        except NotRead:
            return None


def split_path(root: str, path: str) -> tuple[str, str]:
    """Return an archive, and the member of it that a path names.

    Raises
    ------
    NotRead
        When no part of the path is an archive.
    """
    if is_archive(root) and not os.path.isdir(root):
        return root, path
    parts = path.split("/")
    for count in range(1, len(parts)):
        if is_archive(parts[count - 1]):
            archive = os.path.join(root, *parts[:count])
            if not os.path.isdir(archive):
                return archive, "/".join(parts[count:])
    raise NotRead("vanished", "no archive has this name")


def open_archive(path: str) -> Tar | Zip:
    """Return an archive of this process, which is opened once for all threads while it stays.

    Raises
    ------
    CorruptError
        When it is damaged, or not what it should be.
    StorageError
        When it cannot be opened.
    """
    path = os.path.abspath(path)
    with files.storage_errors(Path(path)):
        now = files.stamp(os.stat(path))
    with _opening:
        before, found = _open.pop(path, (None, None))
        if found is None or before != now:
            found = Zip(path) if path.lower().endswith(".zip") else Tar(path, _is_wanted)
        _open[path] = now, found
        while len(_open) > _MOST_OPEN:
            _open.popitem(last=False)
        return found


def listed_names(path: str) -> list[str]:
    """Return the names of all members of an archive, in its order; see `open_archive`."""
    found = open_archive(path)
    names, found.names = found.names, []  # the index is enough to read by
    if not names:
        with _opening:
            _open.pop(os.path.abspath(path), None)
        found = open_archive(path)
        names, found.names = found.names, []
    return names


def _is_wanted(name: str, size: int) -> bool:
    """Tell whether a member of a compressed archive is unpacked."""
    if is_image(name):
        return size <= _MOST_IMAGE
    return size <= MOST_BESIDE and name.lower().endswith(_BESIDE)
