"""Folders, manifests and paths → a catalog."""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from ..errors import InputError, printable
from .building import assemble
from .catalog import Catalog, Entry, build_catalog
from .extensions import EXTENSIONS, is_image
from .found import Asked, stored_entries
from .layout import Layout, entry_of
from .manifest import SUFFIXES, read_manifest
from .paths import listed_path
from .runs import Runs
from .sources import expanded, is_beyond_folders, list_beyond_folders
from .stores.addresses import address_of
from .table import as_table, is_frame, read_table
from .walk import Walk

__all__ = [
    "EXTENSIONS",
    "Source",
    "as_catalog",
    "from_paths",
    "paths_of",
    "roles_of",
    "scan",
    "split_paths",
]

_PIECE = 1 << 16  # bytes of a list that are read at once

log = logging.getLogger("featx")

#: What images are taken from: a path, several, a catalog, a data frame, or a list of dicts.
Source = str | os.PathLike[str] | Catalog | Iterable[Any]


def scan(
    *sources: Any,
    labelled: bool = True,
    allow_outside: bool = False,
    columns: Mapping[str, str] | None = None,
    image: str | None = None,
    label: str | None = None,
    split: str | None = None,
    group: str | None = None,
) -> Catalog:
    """List the images of folders, a manifest, archives, a bucket, a table, or one by one.

    Parameters
    ----------
    *sources : path, data frame, or list of dict
        One folder: with class folders, with class folders under folders of splits (see
        `catalog.split_of`), or flat. Or one manifest: ``.csv``, ``.tsv`` or ``.jsonl`` with the
        columns ``path[,label][,split][,group]`` (see `columns.ROLES` for other names), or
        ``.txt`` with a path a line; paths are relative to it, or are addresses. Or any number of
        image files. Or one or several of these, all of one kind: folders, archives (``.tar``,
        ``.tar.gz``, ``.tgz``, ``.zip``), Parquet files with image bytes (``.parquet``), addresses
        (``s3://``, ``gs://``, ``https://``); docs/sources.md says how each is read. Or
        one table in memory with such columns, see `table.read_table`: a data frame of pandas,
        Polars or PyArrow, or a list with a dict for each image. Its paths are relative to the
        working folder, and its images may be in memory too.
    labelled : bool
        False takes every image of a folder, however deep, and no label from its path.
    allow_outside : bool
        Whether a manifest may name files that are not below its own folder, by ``..``, from the
        root, or through symbolic links.
    columns : mapping, optional
        Role (path, label, split or group) → the name of its column in the manifest or table.
    image, label, split, group : str, optional
        The same, one by one; `image` is the column of the paths, or of the images themselves. By
        default, columns with usual names are taken.

    Returns
    -------
    Catalog
        Sorted by the bytes of the path. Hidden files are ignored. Symbolic links to folders are
        followed; no folder is listed twice. The list of more than half a million images is kept
        in a temporary file, and not in memory (see `stored.StoredCatalog`).

    Raises
    ------
    InputError
        When there is no such source, it has no image, or what it means cannot be told.
    CorruptError
        When an archive or a Parquet file is damaged, or is refused.
    StorageError
        When a server does not answer.

    Examples
    --------
    >>> import featx
    >>> listed = featx.scan("photos")  # doctest: +SKIP
    >>> len(listed), listed.classes[:3]  # doctest: +SKIP
    (80, ('0', '1', '2'))
    """
    if not sources:
        raise InputError("No source was given. Give a folder, a manifest or images.")
    columns = {**(columns or {}), **roles_of(image, label, split, group)}
    table = as_table(sources[0]) if len(sources) == 1 else None
    if table is not None:
        rows, store = stored_entries(read_table(table, columns))
        return build_catalog(Path(), list(rows), 0, store)
    texts = [one for source in sources for one in _expanded(source)]
    if is_beyond_folders(texts):
        asked = Asked(labelled, allow_outside, columns, is_image, _below)
        return list_beyond_folders(texts, asked)
    files = [_path(source) for source in sources]
    for file in files:
        if not file.exists():
            raise InputError(
                f"{printable(file)} does not exist. Expected a folder, manifest or image."
            )
    root = files[0]
    is_manifest = len(files) == 1 and root.is_file() and root.suffix.lower() in SUFFIXES
    if columns and not is_manifest:
        raise InputError("Columns were named, and the source is not a table. Leave them out.")
    if len(files) == 1 and root.is_dir():
        return assemble(root, *_below(root, labelled))
    if is_manifest:
        rows, store = stored_entries(read_manifest(root, allow_outside, columns))
        return assemble(Path() if store else root.parent, rows, 0, store)
    return build_catalog(Path(), [Entry(_listed_file(file)) for file in files])


def _below(folder: Path, labelled: bool) -> tuple[Iterator[Entry], int]:
    """Return the images below a folder, in order, and the number of other files."""
    walk, layout, found = Walk(folder), Layout(), Runs(1)
    ignored, least = 0, ""
    for path in walk.files():
        if is_image(path):
            layout.note(path)
            found.add((os.fsencode(path),))
        else:
            least = min(path, least) if ignored else path
            ignored += 1
    if not len(found):
        raise InputError(_nothing_found(folder, ignored, least))
    for link, target in walk.passed_over:
        log.warning(
            "%s is a link to %s, which is listed already or holds the folder itself: it is "
            "not followed.", printable(link), printable(target),
        )  # fmt: skip
    kind = layout.decide() if labelled else "flat"
    return (entry_of(os.fsdecode(path), kind) for (path,) in found), ignored


def as_catalog(
    source: Source, *, labelled: bool = True, columns: Mapping[str, str] | None = None
) -> Catalog:
    """Return the images of a source: a `Catalog` unchanged, anything else by `scan`.

    Parameters
    ----------
    source : Source
    labelled : bool
    columns : mapping, optional
        See `scan`.

    Raises
    ------
    InputError
        When columns are named for a catalog; see also `scan`.
    """
    if isinstance(source, Catalog):
        if columns:
            raise InputError("Columns were named, and the source is a catalog. Leave them out.")
        return source
    if isinstance(source, str | os.PathLike) or is_frame(source):
        return scan(source, labelled=labelled, columns=columns)
    if isinstance(source, Mapping) or not isinstance(source, Iterable):
        raise InputError(
            f"{printable(repr(source)[:60])} is not a source. Expected a folder, a manifest, a "
            "list of images, a data frame, or a list with a dict for each image."
        )
    sources = list(source)
    if as_table(sources) is not None:
        return scan(sources, labelled=labelled, columns=columns)
    return scan(*sources, labelled=labelled, columns=columns)


def roles_of(
    image: str | None, label: str | None, split: str | None, group: str | None
) -> dict[str, str]:
    """Return the columns that are named one by one as `columns` of `scan`."""
    named = {"path": image, "label": label, "split": split, "group": group}
    return {role: name for role, name in named.items() if name is not None}


def paths_of(source: object) -> list[Path]:
    """Return the paths that a source is given by; none for a catalog and for a table in memory."""
    if isinstance(source, str | os.PathLike):
        return [Path(source)]
    if isinstance(source, list | tuple):
        return [Path(one) for one in source if isinstance(one, str | os.PathLike)]
    return []


def _expanded(source: object) -> list[str]:
    """Return the paths that a source stands for as texts; none of what is no path."""
    if not isinstance(source, str | os.PathLike):
        return []
    text = address_of(source) or os.fspath(source)
    return expanded(text) if isinstance(text, str) else []


def _path(source: str | os.PathLike[str]) -> Path:
    try:
        return Path(source)
    except TypeError:
        raise InputError(
            f"{printable(repr(source)[:60])} is not a path. Expected a folder, a manifest, or "
            "images."
        ) from None


def from_paths(paths: Iterable[str]) -> Catalog:
    """Return a catalog of the paths of a list, as they are given.

    Raises
    ------
    InputError
        When there is none, one is listed twice, or one is no path of this machine (see
        `paths.listed_path`).
    """
    found = Runs(1)
    for line, path in enumerate(paths, start=1):
        if path:
            found.add((os.fsencode(listed_path(path, "", f"line {line} of the list")),))
    if not len(found):
        raise InputError("The list of images is empty. Expected a path for each image.")
    entries, store = stored_entries(Entry(os.fsdecode(path)) for (path,) in found)
    return assemble(Path(), entries, 0, store)


def split_paths(file: IO[bytes], end: bytes) -> Iterator[str]:
    """Yield the paths of a list that is read piece by piece, each of which ends in a byte."""
    rest = b""
    while data := file.read(_PIECE):
        *whole, rest = (rest + data).split(end)
        yield from map(os.fsdecode, whole)
    yield os.fsdecode(rest)


def _nothing_found(root: Path, others: int, least: str) -> str:
    known = " ".join(sorted(EXTENSIONS))
    if others:
        return (
            f"{printable(root)} has no images, only {others} other files such as "
            f"{printable(least)}. Expected files that end in {known}."
        )
    return f"{printable(root)} is empty. Expected images: files that end in {known}."


def _listed_file(file: Path) -> str:
    if file.is_dir() or not is_image(file.name):
        raise InputError(
            f"{printable(file)} is not an image. Give one folder, one manifest "
            f"({', '.join(SUFFIXES)}), or only images."
        )
    return str(file)
