"""Paths that lead into archives and Parquet files, as the caches of such images have them."""

from pathlib import Path

from ...errors import FeatxError
from .archives import Archives, is_archive
from .parquet import Parquet, is_parquet
from .store import Store

__all__ = ["store_within"]


def store_within(path: Path) -> tuple[Store, str] | None:
    """Return what gives an image whose path leads into a file of this machine, and its name there.

    So ``photos.zip/cats/1.jpg`` is an image wherever it is looked for. Nothing is asked of a
    network: what a cache says of its source is not to be believed so far.

    Returns
    -------
    (Store, str) or None
        None when no part of the path is such a file.
    """
    for place in path.parents:
        if is_archive(place.name) and place.is_file():
            return Archives(str(place)), path.relative_to(place).as_posix()
        if is_parquet(place.name) and place.is_file():
            return _parquet(place), path.name
    return None


def _parquet(place: Path) -> Store:
    from ..parquets import image_column

    try:
        return Parquet(str(place), image_column(str(place), {}))
    except FeatxError:
        return Parquet(str(place))
