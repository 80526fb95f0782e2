"""A folder that appears whole: written under another name, then renamed."""

import contextlib
import os
import secrets
from pathlib import Path

from . import files

__all__ = ["replace_folder"]

#: Other than that of temporary files, which `files.remove_partials` deletes as files.
_SUFFIX = ".folder"


def replace_folder(made: Path, out: Path) -> None:
    """Copy a folder, with all that is in it, to where it is wanted; replace one that is there.

    Call it under the lock of `out`. Everything is flushed to the disk before it gets its name.
    Where a folder is replaced, `out` is missing for the moment between two renames, and is never
    half of each. What killed runs left of this output is deleted.

    Parameters
    ----------
    made : Path
        A folder of files and folders.
    out : Path
        What is there must be a folder of no more use.

    Raises
    ------
    StorageError
        When it cannot be written; what was there before is then untouched.
    """
    files.require_space(out, sum(path.stat().st_size for path in made.rglob("*")))
    new, old = (out.parent / _partial_name(out) for _ in range(2))
    with files.storage_errors(out):
        for left in out.parent.glob(f"{files.partial_prefix(out)}*{_SUFFIX}"):
            _remove(left)
        try:
            files.make_folder(new)
            for path in sorted(made.rglob("*")):  # a folder comes before what is in it
                target = new / path.relative_to(made)
                if path.is_dir():
                    files.make_folder(target)
                else:
                    files.write_bytes(target, path.read_bytes())
            if out.exists():
                files.disk.replace(out, old)
            try:
                files.disk.replace(new, out)
            except BaseException:
                if old.exists():
                    files.disk.replace(old, out)
                raise
        except BaseException:
            with contextlib.suppress(OSError):
                _remove(new)
            raise
        files.sync_folder(out.parent)
        _remove(old)


def _partial_name(out: Path) -> str:
    return f"{files.partial_prefix(out)}{secrets.token_hex(4)}{_SUFFIX}"


def _remove(folder: Path) -> None:
    """Delete a folder with all that is in it; one that is not there is fine."""
    for parent, folders, names in os.walk(folder, topdown=False):
        for name in names:
            files.disk.remove(Path(parent, name))
        for name in folders:
            files.disk.remove_folder(Path(parent, name))
    if folder.exists():
        files.disk.remove_folder(folder)
