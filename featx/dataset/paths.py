"""Paths as people write them into lists, made paths of this machine where that is clear."""

import os
import re

from ..errors import InputError, printable
from .stores.addresses import is_address, known_by_name
from .stores.remote import require_known

__all__ = ["listed_path"]

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def listed_path(text: str, folder: str | os.PathLike[str], where: str) -> str:
    """Return what a list names: a path of this machine, or an address on a network.

    Of an address, user, password and signature are left out; `addresses.reveal` knows them.

    Raises
    ------
    InputError
        When it is neither.
    """
    if not is_address(text):
        return _local_path(text, folder, where)
    text = text.strip()
    if not text.isprintable():
        raise InputError(f"{where}: {printable(text)} is no address: it has a sign that none has.")
    try:
        require_known(text)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return known_by_name(text)


def _local_path(text: str, folder: str | os.PathLike[str], where: str) -> str:
    r"""Return a path of a list as a path of this machine.

    A carriage return at the end, of a list with the line ends of Windows, is taken off, and
    backslashes are read as slashes, where only the path without them exists.

    Parameters
    ----------
    text : str
    folder : path
        The folder that relative paths are relative to.
    where : str
        The place in the list, for messages.

    Raises
    ------
    InputError
        When it is a path of Windows with a drive, or no path at all.
    """
    if not text.strip() or "\0" in text:
        raise InputError(f"{where}: there is no path. Every image needs one.")
    if _DRIVE.match(text) and not _exists(folder, text):
        _refuse_drive(text, where)
    if ("\\" not in text and "\r" not in text) or _exists(folder, text):
        return text
    plain = text.removesuffix("\r")
    if "\\" in plain and not _exists(folder, plain):
        if plain.startswith("\\\\"):
            _refuse_drive(plain, where)
        slashed = plain.replace("\\", "/")
        return slashed if _exists(folder, slashed) else plain
    return plain


def _refuse_drive(path: str, where: str) -> None:
    raise InputError(
        f"{where}: {printable(path)} is a path of Windows. Write the path that the file has on "
        "this machine, or a path relative to the list."
    )


def _exists(folder: str | os.PathLike[str], path: str) -> bool:
    return os.path.lexists(os.path.join(folder, path))
