"""Sources beyond one folder: archives, Parquet files, buckets, the web, and several of a kind."""

import logging
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError, printable
from .catalog import Catalog
from .found import Asked, Found, common_folder, refuse_columns, splits_of
from .packed import list_archives, list_parquet
from .remotes import list_addresses
from .stores.addresses import is_address
from .stores.archives import is_archive
from .stores.parquet import is_parquet

__all__ = ["expanded", "is_beyond_folders", "list_beyond_folders"]

log = logging.getLogger("featx")

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_MOST_FILES = 100_000


class _Kind(NamedTuple):
    name: str
    fits: Callable[[str], bool]
    list: "Callable[[Sequence[str], Asked], Catalog]"


def expanded(source: str) -> list[str]:
    """Return the files that a name with a range stands for; another name alone.

    Examples
    --------
    >>> expanded("train-{008..010}.tar")
    ['train-008.tar', 'train-009.tar', 'train-010.tar']
    """
    found = _RANGE.search(source)
    if not found or os.path.lexists(source):
        return [source]
    first, last = int(found[1]), int(found[2])
    if not first <= last < first + _MOST_FILES:
        raise InputError(
            f"{printable(source)}: the range {found[0]} is no range of files. Expected the first "
            f"and the last number, at most {_MOST_FILES:,} apart."
        )
    start, end = source[: found.start()], source[found.end() :]
    width = len(found[1])
    return [one for n in range(first, last + 1) for one in expanded(f"{start}{n:0{width}d}{end}")]


def is_beyond_folders(sources: Sequence[str]) -> bool:
    """Tell whether sources are for `list_beyond_folders`: not one folder or manifest, or files."""
    folders = [source for source in sources if os.path.isdir(source)]
    return len(folders) > 1 or any(
        kind.fits(source) for source in sources for kind in _KINDS if kind.name != "folders"
    )


def list_beyond_folders(sources: Sequence[str], asked: Asked) -> Catalog:
    """List the images of sources of one kind.

    Raises
    ------
    InputError
        When sources of several kinds are given, one does not exist, or there is no image.
    CorruptError
        When an archive or a Parquet file is damaged.
    StorageError
        When a server does not answer.
    """
    kinds = {kind.name: kind for kind in _KINDS for source in sources if kind.fits(source)}
    strange = [source for source in sources if not any(kind.fits(source) for kind in _KINDS)]
    if len(kinds) > 1 or strange:
        told = [*kinds, *(f"{printable(name)!r}" for name in strange[:1])]
        raise InputError(
            f"These sources are of several kinds: {', '.join(told)}. Give those of one kind at a "
            "time, or list the images in a manifest."
        )
    (kind,) = kinds.values()
    for source in sources:
        if kind.name != "addresses" and not os.path.exists(source):
            raise InputError(f"{printable(source)} does not exist. Expected a file.")
    return kind.list(sources, asked)


def list_folders(sources: Sequence[str], asked: Asked) -> Catalog:
    refuse_columns(asked)
    root, ways = common_folder(sources)
    images = Found()
    for way, split in zip(ways, splits_of(sources), strict=True):
        found, ignored = asked.below(Path(root, way), asked.labelled)
        images.ignored += ignored
        images.add(found, "" if way == os.curdir else way + os.sep, split)
    if asked.labelled and not images.has_labels:
        log.info(
            "The folders have no class folders, so their images have no classes. To take the "
            "folders themselves for classes, give the folder that they are in."
        )
    return images.catalog(Path(root), None, root)


def _may_be_file(name: str) -> bool:
    return not is_address(name) and not os.path.isdir(name)


_KINDS = (
    _Kind("addresses", is_address, list_addresses),
    _Kind("folders", os.path.isdir, list_folders),
    _Kind("archives", lambda name: is_archive(name) and _may_be_file(name), list_archives),
    _Kind("Parquet files", lambda name: is_parquet(name) and _may_be_file(name), list_parquet),
)
