"""What kind of featx's files a file is, by a look at its start and its members."""

import zipfile
from pathlib import Path

from ..errors import InputError, printable
from . import files

__all__ = ["CACHE_FORMAT", "IMAGES", "MODEL_MEMBER", "is_cache", "is_model", "require_kind"]

#: The word that a cache begins with.
CACHE_FORMAT = "featx-cache"
#: The file of images in a cache that is a folder.
IMAGES = "images.h5"
#: The member that describes a model, and its name before version 3.
MODEL_MEMBER = "model.json"
_MODEL_MEMBER_BEFORE = "bundle.json"


def is_cache(path: Path) -> bool:
    """Tell whether a file, or a folder, looks like a cache, by the first bytes."""
    if path.is_dir():
        path = path / IMAGES
    if not path.is_file():
        return False
    start = f"{CACHE_FORMAT} ".encode()
    with files.storage_errors(path), path.open("rb") as file:
        return file.read(len(start)) == start


def is_model(path: Path) -> bool:
    """Tell whether a file looks like a model, by its members."""
    try:
        with zipfile.ZipFile(path) as archive:
            return not {MODEL_MEMBER, _MODEL_MEMBER_BEFORE}.isdisjoint(archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def require_kind(path: Path, kind: str, advice: str) -> None:
    """Check that a file which is to be opened is there, and not of another kind.

    Parameters
    ----------
    path : Path
    kind : {"cache", "model"}
    advice : str
        The command that makes a file of this kind.

    Raises
    ------
    InputError
        When it is a folder, a file of another kind, or missing.
    """
    if path.is_dir() and not is_cache(path):
        raise InputError(
            f"{printable(path)} is a folder, and a {kind} is needed here. Make it with: {advice}"
        )
    if not path.exists():
        raise InputError(f"{printable(path)} does not exist. Make it with: {advice}")
    others = {"cache": is_cache, "model": is_model}
    del others[kind]
    for other, looks_like in others.items():
        if looks_like(path):
            raise InputError(
                f"{printable(path)} is a featx {other}, and a {kind} is needed here. Make that "
                f"with: {advice}"
            )
