"""Objects in buckets, through fsspec."""

import functools
import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ...errors import InputError, StorageError, printable
from .addresses import scheme_of
from .patience import Unreachable, patient
from .store import NotRead

__all__ = ["PROTOCOLS", "fetch", "file_system", "names_below"]


class Protocol(NamedTuple):
    """How objects of one kind of address are had.

    Attributes
    ----------
    module : str
        What has to be installed.
    install : str
        How that is done.
    options : mapping
        For its file system. Credentials are not among them: those of the environment count.
    """

    module: str
    install: str
    options: Mapping[str, Any]


# The library tries a few times by itself; a server that is down should be noticed within seconds.
_PATIENT = {
    "config_kwargs": {
        "connect_timeout": 10,
        "read_timeout": 60,
        "retries": {"max_attempts": 2},
        "max_pool_connections": 32,
    }
}
#: Scheme → how its objects are had.
PROTOCOLS: Mapping[str, Protocol] = {
    "s3": Protocol("s3fs", "pip install 'featx[cloud]'", _PATIENT),
    "gs": Protocol("gcsfs", "pip install 'featx[cloud]' gcsfs", {}),
}
#: What servers say when it is the credentials that they refuse, and not one object.
_REFUSED = (
    *("ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken"),
    *("RequestTimeTooSkewed", "NoCredentials", "Unable to locate credentials"),
)
#: What servers say when the beginning of an object is asked for that has no bytes.
_NOTHING = ("InvalidRange", "Requested Range Not Satisfiable", "not satisfiable")


@functools.lru_cache(maxsize=8)
def file_system(scheme: str, process: int) -> Any:
    """Return the file system of fsspec, one for all threads of a process, and none of another."""
    protocol = PROTOCOLS[scheme]
    try:
        import fsspec

        found = fsspec.filesystem(
            scheme, use_listings_cache=False, skip_instance_cache=True, **protocol.options
        )
    except ImportError as error:
        raise InputError(
            f"Addresses with {scheme}:// are read by {protocol.module}. Install it with: "
            f"{protocol.install}"
        ) from error
    if hasattr(found, "retries"):
        found.retries = 2
    return found


def fetch(address: str, most: int) -> bytes:
    """Return an object.

    Raises
    ------
    NotRead
        ``vanished``, ``unreadable``, ``too_large``.
    Unreachable
        When the connection fails, or the server says that it fails.
    StorageError
        When it refuses the credentials.
    """

    def get(system: Any) -> bytes:
        try:
            return system.cat_file(address, start=0, end=most + 1)
        except Exception as error:
            if any(word in str(error) for word in _NOTHING):
                return b""
            raise

    found = _asked(address, get)
    if len(found) > most:
        raise NotRead("too_large", f"more than {most:,} bytes")
    return bytes(found)


def names_below(address: str) -> Iterator[str]:
    """Yield the names of all objects below an address, relative to it, folder by folder.

    Raises
    ------
    NotRead, Unreachable, StorageError
        See `fetch`.
    """
    scheme = scheme_of(address)
    base = address.partition("://")[2].strip("/")
    waiting = [base]
    while waiting:
        folder = waiting.pop()
        for entry in patient(functools.partial(_entries, scheme, folder)):
            name = str(entry["name"]).strip("/")
            if entry.get("type") == "directory":
                if name != folder:
                    waiting.append(name)
            elif name != folder and not str(entry["name"]).endswith("/"):
                yield name[len(base) + 1 :] if name.startswith(f"{base}/") else name


def _entries(scheme: str, folder: str) -> list[dict[str, Any]]:
    return _asked(f"{scheme}://{folder}", lambda system: system.ls(folder, detail=True))


def _asked(address: str, ask: Any) -> Any:
    """Return what a file system answers; its many errors get their names."""
    try:
        return ask(file_system(scheme_of(address), os.getpid()))
    except (InputError, MemoryError):
        raise
    except FileNotFoundError as error:
        if "specified bucket" in str(error).lower():
            raise StorageError(
                f"{printable(address)}: {_words(error)}. Expected a bucket that there is."
            ) from error
        raise NotRead("vanished", "there is no such object") from error
    except IsADirectoryError as error:
        raise NotRead("unreadable", "this is a folder") from error
    except Exception as error:  # OSError, and the errors of each library below
        words = _words(error)
        told = f"{type(error).__name__} {error} {error.__cause__}"
        if any(word in told for word in _REFUSED):
            raise StorageError(
                f"{printable(address)}: the credentials are refused: {words}. Expected those of "
                "the environment, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, to be right."
            ) from error
        if isinstance(error, PermissionError):
            raise NotRead("unreadable", f"it is not allowed to be read: {words}") from error
        raise Unreachable(words) from error


def _words(error: Exception) -> str:
    return printable(str(error) or type(error).__name__)[:200].rstrip(".")
