"""Folders, manifests and paths → a catalog."""

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, printable
from .catalog import Catalog, Entry, build_catalog, split_of
from .manifest import SUFFIXES, read_manifest
from .paths import local_path, refuse_address
from .table import as_table, is_frame, read_table
from .walk import walk

__all__ = ["EXTENSIONS", "Source", "as_catalog", "from_paths", "paths_of", "roles_of", "scan"]

#: File name extensions that make a file a listed image, in lower case. HEIC and AVIF cannot be
#: decoded; they are listed all the same, so that they are reported and not overlooked.
EXTENSIONS = frozenset(
    f".{name}"
    for name in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "dib", "gif", "tif", "tiff"),
        *("heic", "heif", "avif"),
    )
)

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
    """List the images of a folder, a manifest, a table in memory, or one by one.

    Parameters
    ----------
    *sources : path, data frame, or list of dict
        One folder: with class folders, with class folders under folders of splits (see
        `catalog.split_of`), or flat. Or one manifest: ``.csv``, ``.tsv`` or ``.jsonl`` with the
        columns ``path[,label][,split][,group]`` (see `columns.ROLES` for other names), or
        ``.txt`` with a path a line; paths are relative to it. Or any number of image files. Or
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
        followed; no folder is listed twice.

    Raises
    ------
    InputError
        When there is no such source, it has no image, or what it means cannot be told.

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
        return build_catalog(Path(), list(read_table(table, columns)), 0)
    files = [_path(source) for source in sources]
    for file in files:
        if not file.exists():
            raise InputError(
                f"{printable(file)} does not exist. Expected a folder, manifest or image."
            )
    ignored = 0
    root = files[0]
    is_manifest = len(files) == 1 and root.is_file() and root.suffix.lower() in SUFFIXES
    if columns and not is_manifest:
        raise InputError("Columns were named, and the source is not a table. Leave them out.")
    if len(files) == 1 and root.is_dir():
        walked = walk(root)
        found, other = walked.choose(_is_image)
        ignored = len(other)
        if not found:
            raise InputError(_nothing_found(root, other))
        for link, target in walked.passed_over:
            log.warning(
                "%s is a link to %s, which is listed already or holds the folder itself: it is "
                "not followed.", printable(link), printable(target),
            )  # fmt: skip
        layout = _layout(found) if labelled else "flat"
        entries = [_from_path(path, layout) for path in found]
    elif is_manifest:
        entries = list(read_manifest(root, allow_outside, columns))
        root = root.parent
    else:
        root = Path()
        entries = [Entry(_listed_file(file)) for file in files]
    return build_catalog(root, entries, ignored)


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


def _path(source: str | os.PathLike[str]) -> Path:
    try:
        refuse_address(os.fspath(source))
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
        `paths.local_path`).
    """
    entries = [
        Entry(local_path(path, "", f"line {line} of the list"))
        for line, path in enumerate(paths, start=1)
        if path
    ]
    if not entries:
        raise InputError("The list of images is empty. Expected a path for each image.")
    return build_catalog(Path(), entries, 0)


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in EXTENSIONS


def _nothing_found(root: Path, other: list[str]) -> str:
    known = " ".join(sorted(EXTENSIONS))
    if other:
        return (
            f"{printable(root)} has no images, only {len(other)} other files such as "
            f"{printable(min(other))}. Expected files that end in {known}."
        )
    return f"{printable(root)} is empty. Expected images: files that end in {known}."


def _layout(paths: Sequence[str]) -> str:
    """Decide what the folders mean: "flat", "classes" or "splits"."""
    parts = [path.split(os.sep) for path in paths]
    beside = [path for path, part in zip(paths, parts, strict=True) if len(part) == 1]
    if len(beside) == len(paths):
        return "flat"
    if beside:
        raise InputError(
            f"{len(beside)} images, for example {printable(beside[0])}, lie beside the folders "
            f"with the other {len(paths) - len(beside)}, so their class cannot be told. Move them "
            "into a class folder, or list the images in a manifest."
        )
    folders: dict[str, set[str]] = {}
    for part in parts:
        folders.setdefault(part[0], set()).update(part[1:-1][:1])
    splits = {name for name in folders if split_of(name)}
    strangers = sorted(set(folders) - splits)
    if not strangers:
        return "splits"
    inside = {name for name in splits if folders[name]}
    if inside:
        raise InputError(
            f"The folder {printable(min(inside))!r} looks like a split, but beside it is "
            f"{printable(strangers[0])!r}, which does not. Keep only train, val and test folders "
            "there, or list the images in a manifest."
        )
    for name, below in folders.items():
        if len(folders) == 1 and below and all(map(split_of, below)):
            raise InputError(
                f"There is one folder, {printable(name)!r}, and those in it look like splits: "
                f"{', '.join(map(printable, sorted(below)))}. Give that folder as the source."
            )
    return "classes"


def _from_path(path: str, layout: str) -> Entry:
    parts = path.split(os.sep)
    if layout == "classes":
        return Entry(path, label=parts[0])
    if layout == "splits":
        label = parts[1] if len(parts) > 2 else None
        return Entry(path, label=label, split=split_of(parts[0]))
    return Entry(path)


def _listed_file(file: Path) -> str:
    if file.is_dir() or not _is_image(file.name):
        raise InputError(
            f"{printable(file)} is not an image. Give one folder, one manifest "
            f"({', '.join(SUFFIXES)}), or only images."
        )
    return str(file)
