"""Images by https:// and http://."""

import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ...errors import InputError
from .patience import Unreachable
from .store import NotRead

__all__ = ["fetch"]

#: Seconds for a connection, for each pause within an answer, and for a whole answer.
_CONNECT, _PAUSE, _WHOLE = 10, 30, 600
_BLOCK = 1 << 16
#: What a server answers → the reason for which the image is skipped. Others of 400 to 499 mean
#: that it will not give this image; those of `_AGAIN`, and all from 500, that it could later.
_GONE: Mapping[int, str] = {404: "vanished", 410: "vanished"}
_AGAIN = frozenset((408, 425, 429))
_own = threading.local()


def fetch(address: str, most: int) -> bytes:
    """Return what is at an address.

    Redirections are followed; a password is not sent to another host.

    Raises
    ------
    NotRead
        ``vanished``, ``unreadable``, ``too_large``.
    Unreachable
        When the connection fails, or the server says that it fails.
    """
    requests = _requests()
    try:
        with _session().get(
            quote(address, safe="%/:=&?~#+!$,;'@()*[]"), stream=True, timeout=(_CONNECT, _PAUSE)
        ) as answer:
            _check(answer.status_code, answer.reason)
            return _body(answer, most)
    except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
        raise Unreachable(_plain(error)) from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise Unreachable("the answer ended early") from error
    except (requests.exceptions.RequestException, ValueError) as error:
        raise NotRead("unreadable", f"no such address can be asked: {error}") from error


def _requests() -> Any:
    try:
        import requests
    except ImportError as error:
        raise InputError(
            "Images on the web are read by requests. Install it with: pip install 'featx[cloud]'"
        ) from error
    return requests


def _session() -> Any:
    """Return the connections of this thread, which are used again."""
    if not hasattr(_own, "session"):
        from ... import __version__

        _own.session = _requests().Session()
        _own.session.headers["User-Agent"] = f"featx/{__version__}"
        _own.session.headers["Accept-Encoding"] = "identity"
    return _own.session


def _check(status: int, words: str) -> None:
    if status in _AGAIN or status >= 500:
        raise Unreachable(f"the server answers {status} {words}")
    if status >= 400:
        raise NotRead(_GONE.get(status, "unreadable"), f"the server answers {status} {words}")


def _body(answer: Any, most: int) -> bytes:
    """Return the body of an answer, piece by piece, so that no answer fills the memory."""
    said = answer.headers.get("Content-Length", "")
    if said.isdecimal() and int(said) > most:
        raise NotRead("too_large", f"{int(said):,} bytes, and {most:,} are the most")
    found, until = bytearray(), time.monotonic() + _WHOLE
    for piece in answer.iter_content(_BLOCK):
        found += piece
        if len(found) > most:
            raise NotRead("too_large", f"more than {most:,} bytes")
        if time.monotonic() > until:
            raise Unreachable(f"the answer took longer than {_WHOLE} seconds")
    return bytes(found)


def _plain(error: Exception) -> str:
    """Return what went wrong in few words, without the address."""
    inner = getattr(error.args[0], "reason", error.args[0]) if error.args else error
    text = str(inner).rpartition(": ")[2] or type(error).__name__
    return text[:120].strip("')> ") or type(error).__name__
