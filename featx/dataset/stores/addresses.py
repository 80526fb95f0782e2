"""Addresses of images on a network, and what of them may be shown and kept."""

import os
import re
import threading
from pathlib import Path, PosixPath

from ...errors import redacted

__all__ = [
    "Address",
    "absolute_root",
    "address_of",
    "is_address",
    "joined",
    "known_by_name",
    "reveal",
    "root_of",
    "scheme_of",
]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_KNOWN = re.compile(r"(s3|gs|https?):/")
_COLLAPSED = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+):/+")

#: Addresses with what is needed to read them, by their names without it. They stay in the process
#: that was given them: never in a file, a message, or what is sent to another machine.
_full: dict[str, str] = {}
_noting = threading.Lock()


class Address(PosixPath):
    """The root of a catalog on a network, printed as an address and resolved by nobody."""

    def __str__(self) -> str:
        return _COLLAPSED.sub(r"\1://", super().__str__())

    def absolute(self) -> "Address":
        """Return the address: it is absolute."""
        return self

    def resolve(self, strict: bool = False) -> "Address":
        """Return the address: it has no links."""
        return self


def is_address(text: object) -> bool:
    """Tell whether something is an address such as https://host/a.jpg, and no local path."""
    return isinstance(text, str) and _SCHEME.match(text) is not None


def address_of(source: str | os.PathLike[str]) -> str:
    """Return what is meant as an address, "" of what is a path.

    `Path` makes one slash of two, so a path that is not there and begins as an address is one.

    Examples
    --------
    >>> address_of(Path("s3://bucket/photos")), address_of("photos/s3:/a.jpg")
    ('s3://bucket/photos', '')
    """
    text = os.fspath(source)
    if isinstance(text, str) and not is_address(text) and _KNOWN.match(text):
        text = text if os.path.lexists(text) else _COLLAPSED.sub(r"\1://", text)
    return text if is_address(text) else ""


def scheme_of(text: str) -> str:
    """Return what stands before ://, in lower case; "" where nothing does."""
    found = _SCHEME.match(text)
    return found[1].lower() if found else ""


def root_of(text: str) -> Path:
    """Return the root of a catalog, from what a file says of it."""
    return Address(text) if is_address(text) else Path(text)


def known_by_name(address: str) -> str:
    """Return an address without user, password and signature, and remember it for `reveal`."""
    name = redacted(address)
    if name != address:
        with _noting:
            _full[name] = address
    return name


def reveal(name: str) -> str:
    """Return the address that was given by this name, with all that is needed to read it."""
    return _full.get(name, name)


def absolute_root(root: Path) -> str:
    """Return the root of a catalog as a text that `root_of` takes in any working folder."""
    return str(root) if isinstance(root, Address) else os.path.abspath(root)


def joined(base: str, path: str) -> str:
    """Return the address of a path below a base; an address stays what it is."""
    return path if not base or is_address(path) else f"{base.rstrip('/')}/{path}"
