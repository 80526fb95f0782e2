"""Texts in the cells of tables: not taken for formulas by spreadsheets, and as UTF-8."""

import re

__all__ = ["as_utf8", "guarded", "unguarded"]

# A spreadsheet takes a cell that starts so for a formula (OWASP, "CSV Injection"). The apostrophe
# is among them, so that a reader who takes one apostrophe off gets back every text.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def guarded(text: str | None) -> str | None:
    """Return a text with an apostrophe in front where a spreadsheet would take it for a formula.

    Examples
    --------
    >>> guarded("=1+1"), guarded("-1.5"), guarded("a.jpg")
    ("'=1+1", '-1.5', 'a.jpg')
    """
    is_formula = text and text.startswith(_FORMULA) and not _NUMBER.fullmatch(text)
    return f"'{text}" if is_formula else text


def unguarded(text: str) -> str:
    """Return a text without the apostrophe that `guarded` gave it.

    Examples
    --------
    >>> unguarded("'=1+1"), unguarded("'quoted'")
    ('=1+1', "'quoted'")
    """
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def as_utf8(text: str | None) -> str | None:
    r"""Return a text whose bytes that are not UTF-8 are written as ``\xNN``.

    Examples
    --------
    >>> as_utf8("caf\udce9.jpg")
    'caf\\xe9.jpg'
    """
    if text is None or text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
