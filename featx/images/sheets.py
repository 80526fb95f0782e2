"""Contact sheets as files."""

import io
import os
from pathlib import Path

from PIL import Image

from ..errors import InputError, printable
from ..storage import files, locks

__all__ = ["check_sheet", "write_sheet"]

_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


def check_sheet(out: str | os.PathLike[str], overwrite: bool) -> Path:
    """Return the path of a sheet that will be written.

    Raises
    ------
    InputError
        When the name ends in neither .png nor .jpg, or the file exists and may not be replaced.
    """
    path = Path(out)
    if path.suffix.lower() not in _FORMATS:
        raise InputError(
            f"{printable(path)} is not a sheet's name. Expected one that ends in .png or .jpg."
        )
    files.require_new(path, overwrite)
    return path


def write_sheet(sheet: Image.Image, out: Path, overwrite: bool) -> None:
    """Write a sheet in the format that the file's name says.

    Raises
    ------
    InputError
        When another run has written the file meanwhile, and it may not be replaced.
    StorageError
        When the file cannot be written.
    """
    drawn = io.BytesIO()
    sheet.save(drawn, _FORMATS[out.suffix.lower()])
    with locks.lock_output(out):
        files.require_new(out, overwrite)
        files.write_bytes(out, drawn.getvalue())
