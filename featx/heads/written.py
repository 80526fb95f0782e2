"""Results as files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from ..errors import InputError, printable
from ..storage import files, locks

__all__ = ["write_result"]


class _Result(Protocol):
    def as_csv(self) -> str: ...
    def as_dict(self) -> dict[str, Any]: ...


def write_result(found: _Result, out: Path, *, overwrite: bool = False) -> None:
    """Write the rows of a result as CSV, or all of it as JSON, by the name of the file.

    Raises
    ------
    InputError
        When the name ends in neither, or the file exists and may not be replaced.
    StorageError
        When it cannot be written.
    """
    texts: dict[str, Callable[[], str]] = {
        ".csv": found.as_csv,
        ".json": lambda: json.dumps(found.as_dict(), indent=2) + "\n",
    }
    if out.suffix.lower() not in texts:
        raise InputError(f"{printable(out)}: expected a name that ends in .csv or .json.")
    with locks.lock_output(out):
        files.require_new(out, overwrite)
        files.write_bytes(out, texts[out.suffix.lower()]().encode())
