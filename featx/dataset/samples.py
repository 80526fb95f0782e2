"""Samples of WebDataset archives: members that share a name, one of which says the class."""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..errors import InputError, printable
from .catalog import Entry
from .columns import ROLES, plain_name
from .manifest import make_entry

__all__ = ["has_classes", "sample_entries", "says_class"]

#: How members beside an image end, and which counts first: the class as text or a number; an
#: object with it; a text that is the class where it is one short line.
_CLASS, _OBJECT, _TEXT = "cls", "json", "txt"
_LONGEST = 64  # characters of a text that is a class

#: Returns the bytes of a member.
Read = Callable[[str], bytes]


def has_classes(names: Sequence[str]) -> bool:
    """Tell whether there are members that say a class and nothing else."""
    return any(_split(name)[1] == _CLASS for name in names)


def says_class(name: str) -> bool:
    """Tell whether a member may say something of the image beside it."""
    return _split(name)[1] in (_CLASS, _OBJECT, _TEXT)


def sample_entries(
    names: Sequence[str],
    is_image: Callable[[str], bool],
    read: Read,
    given: Mapping[str, str],
    where: str,
) -> Iterator[Entry]:
    """Yield the images among the members of an archive, with what members beside them say.

    Parameters
    ----------
    names : sequence of str
        In the order of the archive, in which the members of a sample follow one another.
    is_image : callable
    read : callable
        Returns the bytes of a member.
    given : mapping
        Role → the key of an object (.json) that has it; by default the usual ones.
    where : str
        The archive, for messages.

    Raises
    ------
    InputError
        When a class cannot be read.
    """
    for _, members in itertools.groupby(names, lambda name: _split(name)[0]):
        sample = list(members)
        images = [name for name in sample if is_image(name)]
        if not images:
            continue
        beside = {_split(name)[1]: name for name in sample if name not in images}
        row = _row(beside, read, given, where)
        for name in images:
            yield make_entry({**row, "path": name}, f"{where}, {printable(name)}")


def _split(name: str) -> tuple[str, str]:
    """Return the key of a sample, up to the first dot of the file's name, and what follows it."""
    folder, slash, file = name.rpartition("/")
    stem, _, kind = file.partition(".")
    return folder + slash + stem, kind.lower()


def _row(
    beside: Mapping[str, str], read: Read, given: Mapping[str, str], where: str
) -> dict[str, Any]:
    """Return the label, the split and the group of a sample, by role."""
    row: dict[str, Any] = {}
    if _OBJECT in beside:
        row = _roles(read(beside[_OBJECT]), given, f"{where}, {printable(beside[_OBJECT])}")
    if _CLASS in beside:
        row["label"] = _line(read(beside[_CLASS]), f"{where}, {printable(beside[_CLASS])}")
    elif _TEXT in beside and "label" not in row:
        text = read(beside[_TEXT]).decode("utf-8", "replace").strip()
        if text and len(text) <= _LONGEST and text.isprintable():
            row["label"] = text
    return row


def _line(data: bytes, where: str) -> str:
    try:
        text = data.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: the class is not UTF-8. Expected text or a number.") from error
    if not text.isprintable():
        raise InputError(f"{where}: the class has several lines. Expected text or a number.")
    return text


def _roles(data: bytes, given: Mapping[str, str], where: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON: {error}.") from error
    if not isinstance(found, dict):
        return {}
    row = {}
    for role, usual in ROLES.items():
        names = [given[role]] if role in given else [n for n in found if plain_name(n) in usual]
        if role != "path" and names and names[0] in found:
            row[role] = found[names[0]]
    return row
