"""Paths as people write them into lists, made paths of this machine where that is clear."""

import os
import re

from ..errors import InputError, printable

__all__ = ["local_path", "refuse_address"]

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def local_path(text: str, folder: str | os.PathLike[str], where: str) -> str:
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
        When it is an address on the web, a path of Windows with a drive, or no path at all.
    """
    refuse_address(text, f"{where}: ")
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


def refuse_address(text: str, where: str = "") -> None:
    """Raise an `InputError` when a text is an address such as https:// or s3://, and no path."""
    if _ADDRESS.match(text):
        raise InputError(
            f"{where}{printable(text)} is an address on a network, and featx reads files. "
            "Download the images, and list the files."
        )


def _exists(folder: str | os.PathLike[str], path: str) -> bool:
    return os.path.lexists(os.path.join(folder, path))
