"""What can go wrong, and the exit code each kind ends the command line with.

Every message says what was wrong, what was expected, and what to do next.
"""

import difflib
import re
from collections.abc import Collection, Mapping
from typing import TypeVar

__all__ = [
    "CorruptError",
    "FeatxError",
    "IncompatibleError",
    "InputError",
    "LockedError",
    "OutOfTimeError",
    "StorageError",
    "one_of",
    "printable",
    "redacted",
    "require_one_of",
]

Row = TypeVar("Row")

_ADDRESS = re.compile(r"""([A-Za-z][A-Za-z0-9+.-]+:/{1,2})([^\s'"<>]+)""")
_USER = re.compile(r"^[^/?#]*@")
#: Parameters of an address that say who asks: of signed addresses of Amazon, Google and Azure, and
#: what others are usually called.
_SECRETS = re.compile(
    r"(?i)(x-(amz|goog)-.*|.*(token|secret|passw|signature|credential|auth|session).*"
    r"|(.*[-_.])?(api|access)?key([-_]?id|-pair-id)?|awsaccesskeyid"
    r"|sig|s[eprtvk]|spr|sks|skv|skoid|sktid|policy|expires|pwd|pass|jwt|hmac|code|username)"
)


class FeatxError(Exception):
    """Any error that featx raises on purpose."""

    exit_code = 1


class InputError(FeatxError, ValueError):
    """Wrong usage, or data that cannot be trained on."""

    exit_code = 2


class CorruptError(FeatxError):
    """A file is damaged, or is refused because it is not what it should be."""

    exit_code = 4


class IncompatibleError(FeatxError):
    """Two things do not belong together: other weights, another cut, another schema."""

    exit_code = 5


class StorageError(FeatxError, OSError):
    """The disk or the network failed: full, read-only, unreachable."""

    exit_code = 6


class LockedError(FeatxError):
    """Another run is writing the same output."""

    exit_code = 11


class OutOfTimeError(FeatxError):
    """The time that a run was given is over: what is finished is kept, and the next goes on."""

    exit_code = 12


def printable(name: object) -> str:
    r"""Return a name of any bytes as one printable line.

    File names may hold newlines, terminal escapes or bytes that are not UTF-8; a message may not.

    Examples
    --------
    >>> printable("a\nb.jpg")
    'a\\nb.jpg'
    >>> printable("caf\udce9.jpg")
    'caf\\xe9.jpg'
    """
    try:
        data = str(name).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a surrogate pair, which no file name has
        data = str(name).encode("utf-8", "backslashreplace")
    text = redacted(data.decode("utf-8", "backslashreplace"))
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def redacted(text: str) -> str:
    """Return a text whose addresses name no user, no password and no signature.

    Examples
    --------
    >>> redacted("https://me:secret@host/a.jpg?size=2&X-Amz-Signature=1f")
    'https://host/a.jpg?size=2'
    """
    return _ADDRESS.sub(_redact, text) if ":/" in text else text


def _redact(found: re.Match[str]) -> str:
    start, _, query = _USER.sub("", found[2]).partition("?")
    query, mark, fragment = query.partition("#")
    kept = [one for one in query.split("&") if not _SECRETS.fullmatch(one.partition("=")[0])]
    return found[1] + start + ("?" + "&".join(kept) if any(kept) else "") + mark + fragment


def one_of(what: str, name: object, table: Mapping[str, Row]) -> Row:
    """Return the row of a table that has this name.

    Raises
    ------
    InputError
        When there is none; the message names those that there are, and one that nearly fits.

    Examples
    --------
    >>> one_of("pool", "avg", {"avg": 1, "max": 2})
    1
    >>> one_of("pool", "maxx", {"avg": 1, "max": 2})
    Traceback (most recent call last):
    featx.errors.InputError: Unknown pool 'maxx'. Expected one of avg, max. Did you mean 'max'?
    """
    require_one_of(what, name, table)
    return table[str(name)]


def require_one_of(what: str, name: object, names: Collection[str]) -> None:
    """Check that a name is one of these; see `one_of`."""
    if name in names:
        return
    # A part of a name is nearer than a name with other letters: svm, and not lda.
    near = [one for one in names if name and str(name).lower() in one.lower().split("-")]
    near = near or difflib.get_close_matches(str(name).lower(), names, 1)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise InputError(
        f"Unknown {what} {printable(name)!r}. Expected one of {', '.join(names)}.{hint}"
    )
