"""The files below a folder, through symbolic links to folders, each folder once."""

import os
from collections import deque
from collections.abc import Generator, Iterator
from pathlib import Path

from ..errors import InputError, printable

__all__ = ["Walk"]

#: Device and inode of a folder: equal for all names that it has.
_Identity = tuple[int, int]


class Walk:
    """A way through the folders below one.

    Links to folders are followed, inside the folder and out of it, after all real folders: what
    has a real name below the folder is listed under that. A link to a folder that is listed
    already, or that holds the folder itself, is passed over, so nothing is listed twice and no
    loop is endless. Folders are remembered, and files are not.

    Attributes
    ----------
    passed_over : list of (str, str)
        Links to folders that were not followed, and where they lead; whole after `files`.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.passed_over: list[tuple[str, str]] = []
        self._above = {_identity(above) for above in (root.resolve(), *root.resolve().parents)}
        self._seen = {_identity(root)}

    def files(self) -> Iterator[str]:
        """Yield the relative paths of all files that are not hidden, in no order.

        Raises
        ------
        InputError
            When a folder cannot be listed.
        """
        links = deque((yield from self._real(self._root, "")))
        while links:
            link = links.popleft()
            folder = self._root / link
            identity = _identity(folder)
            if identity in self._seen or identity in self._above:
                self.passed_over.append((link, os.path.realpath(folder)))
                continue
            self._seen.add(identity)
            links += yield from self._real(folder, os.path.join(link, ""))

    def _real(self, folder: Path, prefix: str) -> Generator[str, None, list[str]]:
        """Yield the files below a folder, not through links; return the links, in order."""
        links: list[str] = []
        waiting = [(os.fspath(folder), prefix)]
        while waiting:
            place, start = waiting.pop()
            names: list[str] = []
            yield from _entries(place, start, names)
            below = []
            for name in sorted(names):
                path = os.path.join(place, name)
                if os.path.islink(path):
                    links.append(start + name)
                    continue
                identity = _identity(Path(path))
                if identity in self._seen:  # it was reached through a link
                    self.passed_over.append((start + name, os.path.realpath(path)))
                    continue
                self._seen.add(identity)
                below.append((path, os.path.join(start + name, "")))
            waiting += reversed(below)
        return sorted(links)


def _entries(place: str, start: str, folders: list[str]) -> Iterator[str]:
    """Yield the files of one folder, and note the names of the folders in it."""
    try:
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if _is_folder(entry):
                    folders.append(entry.name)
                else:
                    yield start + entry.name
    except OSError as error:
        raise InputError(
            f"{printable(error.filename or place)} cannot be listed: {error.strerror}."
        ) from error


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads round
        return False


def _identity(folder: Path) -> _Identity:
    try:
        status = folder.stat()
    except OSError as error:
        raise InputError(f"{printable(folder)} cannot be listed: {error.strerror}.") from error
    return status.st_dev, status.st_ino
