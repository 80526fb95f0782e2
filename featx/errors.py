"""What can go wrong, and the exit code each kind ends the command line with.

Every message says what was wrong, what was expected, and what to do next.
"""

__all__ = [
    "CorruptError",
    "FeatxError",
    "IncompatibleError",
    "InputError",
    "LockedError",
    "StorageError",
    "printable",
]


class FeatxError(Exception):
    """Any error that featx raises on purpose."""

    exit_code = 1


class InputError(FeatxError):
    """Wrong usage, or data that cannot be trained on."""

    exit_code = 2


class CorruptError(FeatxError):
    """A file is damaged, or is refused because it is not what it should be."""

    exit_code = 4


class IncompatibleError(FeatxError):
    """Two things do not belong together: other weights, another cut, another schema."""

    exit_code = 5


class StorageError(FeatxError):
    """The disk or the network failed: full, read-only, unreachable."""

    exit_code = 6


class LockedError(FeatxError):
    """Another run is writing the same output."""

    exit_code = 11


def printable(name: object) -> str:
    r"""Return a name of any bytes as one printable line.

    File names may hold newlines, terminal escapes or bytes that are not UTF-8; a message may not.

    Examples
    --------
    >>> shown("a\nb.jpg")
    'a\\nb.jpg'
    >>> shown("caf\udce9.jpg")
    'caf\\xe9.jpg'
    """
    text = str(name).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
