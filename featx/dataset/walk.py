"""The files below a folder, through symbolic links to folders, each folder once."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError, printable

__all__ = ["Walked", "walk"]

#: Device and inode of a folder: equal for all names that it has.
_Identity = tuple[int, int]


@dataclass(frozen=True)
class Walked:
    """What is below a folder.

    Attributes
    ----------
    files : list of str
        Relative paths of all files that are not hidden.
    passed_over : list of (str, str)
        Links to folders that were not followed, and where they lead.
    """

    files: list[str] = field(default_factory=list)
    passed_over: list[tuple[str, str]] = field(default_factory=list)

    def choose(self, is_wanted: Callable[[str], bool]) -> tuple[list[str], list[str]]:
        """Return the files whose names are wanted, and the others."""
        wanted: list[str] = []
        other: list[str] = []
        for path in self.files:
            (wanted if is_wanted(path) else other).append(path)
        return wanted, other


def walk(root: Path) -> Walked:
    """List the files below a folder.

    Links to folders are followed, inside the folder and out of it, after all real folders: what
    has a real name below `root` is listed under that. A link to a folder that is listed already,
    or that holds `root`, is passed over, so nothing is listed twice and no loop is endless.

    Raises
    ------
    InputError
        When a folder cannot be listed.
    """
    found = Walked()
    above = {_identity(folder) for folder in (root.resolve(), *root.resolve().parents)}
    seen: set[_Identity] = {_identity(root)}
    links = _real(root, "", found, seen)
    while links:
        link = links.pop(0)
        folder = root / link
        identity = _identity(folder)
        if identity in seen or identity in above:
            found.passed_over.append((link, os.path.realpath(folder)))
            continue
        seen.add(identity)
        links += _real(folder, os.path.join(link, ""), found, seen)
    return found


def _real(folder: Path, prefix: str, found: Walked, seen: set[_Identity]) -> list[str]:
    """Note the files below a folder, not through links; return the links to folders, in order."""

    def unreadable(error: OSError) -> None:
        raise InputError(f"{printable(error.filename)} cannot be listed: {error.strerror}.")

    links = []
    for place, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = os.path.relpath(place, folder)
        start = prefix if below == os.curdir else os.path.join(prefix, below, "")
        found.files.extend(start + name for name in names if not name.startswith("."))
        for name in list(folders):
            path = Path(place, name)
            if path.is_symlink():
                links.append(start + name)
                folders.remove(name)
                continue
            identity = _identity(path)
            if identity in seen:  # it was reached through a link
                folders.remove(name)
                found.passed_over.append((start + name, os.path.realpath(path)))
            seen.add(identity)
    return sorted(links)


def _identity(folder: Path) -> _Identity:
    try:
        status = folder.stat()
    except OSError as error:
        raise InputError(f"{printable(folder)} cannot be listed: {error.strerror}.") from error
    return status.st_dev, status.st_ino
