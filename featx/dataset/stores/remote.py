"""Images at addresses: in buckets, and on the web."""

import threading
from dataclasses import dataclass
from typing import ClassVar

from ...errors import InputError, printable
from . import cloud, web
from .addresses import joined, reveal, scheme_of
from .patience import Unreachable, patient, unreachable
from .store import NotRead, Store

__all__ = ["Remote", "require_known"]

#: How many images in a row may fail for the network, where they are on servers of their own,
#: before that is taken for a failure of all.
_IN_A_ROW = 20

_FETCH = {"https": web.fetch, "http": web.fetch, **dict.fromkeys(cloud.PROTOCOLS, cloud.fetch)}


@dataclass(frozen=True)
class Remote(Store):
    """Images at addresses.

    Attributes
    ----------
    base : str
        What paths are relative to; "" where they are whole addresses.
    """

    kind: ClassVar[str] = "remote"
    is_remote: ClassVar[bool] = True
    base: str = ""

    def read(self, path: str, most: int) -> bytes:
        """Return the bytes of an image; see `Store.read`."""
        name = joined(self.base, path)
        fetch = _FETCH.get(scheme_of(name))
        if fetch is None:
            raise NotRead("unreadable", "no such address can be read")
        try:
            full = reveal(name) if reveal(name) != name else joined(reveal(self.base), path)
            found = patient(lambda: fetch(full, most))
        except Unreachable as error:
            _failures.note(self, name, error)
            raise NotRead("unreadable", f"its server cannot be reached: {error}") from error
        _failures.forget(self)
        return found


class _Failures:
    """How often in a row the network failed, by store: one bad server is not all of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[Remote, int] = {}

    def note(self, store: Remote, name: str, error: Exception) -> None:
        """Note a failure.

        Raises
        ------
        StorageError
            When it is one too many: nothing is to be had from there.
        """
        with self._lock:
            count = self._counts[store] = self._counts.get(store, 0) + 1
        if store.base or count >= _IN_A_ROW:
            raise unreachable(name, error) from error

    def forget(self, store: Remote) -> None:
        """Note a success."""
        if store in self._counts:
            with self._lock:
                self._counts.pop(store, None)


_failures = _Failures()


def require_known(address: str) -> None:
    """Raise an `InputError` when addresses of this kind cannot be read."""
    if scheme_of(address) not in _FETCH:
        raise InputError(
            f"{printable(address)} is an address of a kind that featx does not read. Expected "
            f"{', '.join(f'{name}://' for name in _FETCH)}, or a path. Otherwise download the "
            "images, and list the files."
        )
