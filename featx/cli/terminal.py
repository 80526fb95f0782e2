"""What commands share on the terminal: lines, tables, JSON, and the name of the next command."""

import contextlib
import json
import logging
import shlex
import shutil
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len, chop_cells

from ..errors import printable, redacted
from .lines import moment
from .watch import current

__all__ = [
    "fits",
    "note",
    "print_next",
    "print_skipped",
    "print_some",
    "print_table",
    "quoted",
    "say",
    "say_wrapped",
    "warn",
    "width",
    "write_json",
]

_MOST_LINES = 20
_NARROWEST = 12  # cells to which a column is folded
_GAP = "  "

#: Keys of JSON objects that have two spellings in this version, {new: old}. A place is the name of
#: the command, for its whole object, or the key that an object or a list of objects stands under.
_SPELLINGS: Mapping[str, Mapping[str, str]] = {
    "extract": {"computed": "forward"},
    "compare": {"images": "pictures"},
    "preview": {"images": "pictures"},
    "leaderboard": {"images": "pictures"},
    "entries": {"ci95_half_width": "half_width"},
    "reliability": {"images": "pictures"},
    "validation": {"images": "pictures"},
}


def say(line: str = "") -> None:
    """Write a line to standard output."""
    sys.stdout.write(line + "\n")


def warn(line: str) -> None:
    """Write a line about a result to the error stream, and to the log file if there is one."""
    note(line, logging.WARNING, timed=False)


def note(
    message: str,
    level: int,
    fields: Mapping[str, Any] | None = None,
    *,
    prefix: str = "",
    shown: bool = True,
    kept: bool = True,
    timed: bool = True,
) -> None:
    """Write a line of the log to the error stream and to the log file.

    On a terminal it is the message alone; elsewhere the time comes first, or the line is JSON.

    Parameters
    ----------
    message : str
    level : int
        As in `logging`.
    fields : mapping, optional
        What JSON has beside the message.
    prefix : str
        What comes before the message on the error stream.
    shown, kept : bool
        Whether the error stream has it, and the log file.
    timed : bool
        Whether the time comes first where there is no terminal.
    """
    message, watch = redacted(message), current()
    line = watch.line(message, level, fields or {}) if watch else None
    if watch and line and kept:
        watch.keep(line)
    if not shown:
        return
    text = prefix + message
    if watch and line and watch.speaks_json:
        text = line.as_json()
    elif timed and not sys.stderr.isatty():
        text = f"{moment(time.time(), 'seconds')} {text}"
    with contextlib.suppress(BrokenPipeError):  # nobody reads it
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def say_wrapped(text: str, indent: str = "") -> None:
    """Write a sentence, broken between words where the terminal ends."""
    wide = width()
    if wide is None:
        say(text)
        return
    lines = textwrap.wrap(
        text, wide, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    for line in lines or [""]:
        say(line)


def width() -> int | None:
    """Return the columns of the terminal; None when output goes to a file or a pipe."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def write_json(content: Mapping[str, Any], command: str = "") -> None:
    """Write one JSON object to standard output, with both spellings of keys that were renamed.

    Images that were skipped are lines of the log file too, if there is one.
    """
    for row in content.get("skipped") or ():
        if isinstance(row, Mapping) and "reason" in row:
            line = f"skipped {printable(row['path'])}: {row['reason']}, {row.get('detail', '')}"
            note(f"  {line}", logging.WARNING, shown=False)
    say(json.dumps(_both_spellings(content, command), indent=2))


def _both_spellings(content: Any, place: str) -> Any:
    """Return the content with every key of `_SPELLINGS` in its new and its old spelling."""
    if isinstance(content, list | tuple):
        return [_both_spellings(item, place) for item in content]
    if not isinstance(content, Mapping):
        return content
    found: dict[str, Any] = {}
    pairs = _SPELLINGS.get(place, {})
    other = {**pairs, **{old: new for new, old in pairs.items()}}
    for key, value in content.items():
        found[key] = _both_spellings(value, key)
        if key in other and other[key] not in content:
            found[other[key]] = found[key]
    return found


def quoted(path: object) -> str:
    """Return a path as it is typed in a shell, on one line."""
    return printable(shlex.quote(str(path)))


def print_next(command: str, *, quiet: bool) -> None:
    """Name the command that usually comes next, unless `quiet`."""
    if not quiet:
        say(f"Next: {command}")


def fits(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Return whether a table is no wider than the terminal."""
    wide = width()
    return wide is None or sum(_widths(heads, rows)) + len(_GAP) * (len(heads) - 1) <= wide


def print_table(
    title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: Sequence[str] = ()
) -> None:
    """Write a table.

    The first column and those in `left` are aligned to the left, others to the right. Where the
    terminal is too narrow, the widest column is folded; in a file or a pipe nothing is.
    """
    if title:
        say_wrapped(title)
    widths = _widths(heads, rows)
    wide = width()
    if wide is not None:
        over = sum(widths) + len(_GAP) * (len(heads) - 1) - wide
        widest = widths.index(max(widths))
        widths[widest] -= max(0, min(over, widths[widest] - _NARROWEST))
    for row in (heads, *rows):
        cells = [chop_cells(cell, most) or [""] for cell, most in zip(row, widths, strict=True)]
        for line in range(max(map(len, cells))):
            texts = [
                _aligned(cell[line] if line < len(cell) else "", most, not number or head in left)
                for number, (cell, most, head) in enumerate(zip(cells, widths, heads, strict=True))
            ]
            say(_GAP.join(texts).rstrip())


def _widths(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(1, *map(cell_len, column)) for column in zip(heads, *rows, strict=True)]


def _aligned(text: str, most: int, left: bool) -> str:
    gap = " " * (most - cell_len(text))
    return text + gap if left else gap + text


def print_skipped(skipped: Sequence[tuple[str, str, str]]) -> None:
    """Write the first of the skipped images to the error stream: path, reason, detail of each."""
    print_some(
        [f"skipped {printable(path)}: {reason}, {detail}" for path, reason, detail in skipped]
    )


def print_some(lines: Sequence[str]) -> None:
    """Write the first of many lines to the error stream, and how many more there are."""
    for line in lines[:_MOST_LINES]:
        warn(f"  {line}")
    if len(lines) > _MOST_LINES:
        warn(f"  … and {len(lines) - _MOST_LINES} more (--json lists all)")
