"""Archives and Parquet files → the entries of a catalog."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import InputError, printable
from .catalog import Catalog, Entry, split_of
from .found import Asked, Found, common_folder, read_rows, refuse_columns, splits_of
from .layout import Layout, entry_of
from .parquets import image_column, row_entries
from .samples import has_classes, sample_entries, says_class
from .stores import NotRead
from .stores.addresses import is_address
from .stores.archives import MOST_BESIDE, Archives, listed_names, open_archive
from .stores.members import is_hidden
from .stores.parquet import Parquet

__all__ = ["list_archives", "list_parquet"]

#: A manifest at the top of an archive.
_MANIFESTS = tuple(f"manifest{suffix}" for suffix in (".csv", ".tsv", ".jsonl", ".txt"))


def list_archives(sources: Sequence[str], asked: Asked) -> Catalog:
    """List the images of archives; see `sources.list_beyond_folders`."""
    images = Found()
    if len(sources) == 1:
        images.add(_members(sources[0], asked, images))
        root = sources[0]
        return images.catalog(Path(root), Archives(os.path.abspath(root)), root)
    root, ways = common_folder(sources)
    for way, split in zip(ways, splits_of(sources), strict=True):
        images.add(_members(os.path.join(root, way), asked, images), f"{way}/", split)
    return images.catalog(Path(root), Archives(root), root)


def _members(archive: str, asked: Asked, images: Found) -> Iterator[Entry]:
    """Yield the images of an archive, as its folders, its samples or its manifest say."""
    names = [name for name in listed_names(archive) if not is_hidden(name)]
    found = [name for name in names if asked.is_image(name)]
    images.ignored += len(names) - len(found)
    top = _top(found)
    everything = set(names)
    manifests = [top + name for name in _MANIFESTS if top + name in everything]
    if manifests:
        images.ignored -= 1
        yield from _manifest_in(archive, manifests[0], top, asked)
        return
    layout = Layout()
    for name in found:
        layout.note(name.removeprefix(top))
    kind = layout.decide() if asked.labelled and found and not has_classes(names) else "flat"
    if kind == "flat" and asked.labelled:
        images.ignored -= sum(map(says_class, names))
        yield from sample_entries(
            names, asked.is_image, _reader(archive), asked.columns, printable(archive)
        )
        return
    refuse_columns(asked)
    for name in found:
        yield replace(entry_of(name.removeprefix(top), kind), path=name)


def _reader(archive: str) -> Callable[[str], bytes]:
    def read(name: str) -> bytes:
        try:
            return open_archive(archive).read(name, MOST_BESIDE)
        except NotRead as error:
            raise InputError(
                f"{printable(archive)}: {printable(name)} cannot be read: "
                f"{error.detail or error.reason}."
            ) from error

    return read


def _top(names: Sequence[str]) -> str:
    """Return the one folder that all images lie in, with a slash, when that is mere packing.

    A folder that is called as a split counts, and is none.
    """
    top, slash, _ = names[0].partition("/") if names else ("", "", "")
    is_one = bool(slash) and all(name.startswith(top + "/") for name in names)
    return f"{top}/" if is_one and not split_of(top) else ""


def _manifest_in(archive: str, name: str, top: str, asked: Asked) -> Iterator[Entry]:
    data = _reader(archive)(name)
    for entry in read_rows(data, name, f"{archive}/{name}", asked):
        if is_address(entry.path):
            raise InputError(
                f"{printable(archive)}/{printable(name)} lists {printable(entry.path)}, which is "
                "not in the archive. Expected names of its members."
            )
        yield replace(entry, path=top + entry.path)


def list_parquet(sources: Sequence[str], asked: Asked) -> Catalog:
    """List the images of Parquet files; see `sources.list_beyond_folders`."""
    images = Found()
    column = image_column(sources[0], asked.columns)
    if len(sources) == 1:
        images.add(row_entries(sources[0], column, asked.columns))
        root = sources[0]
        return images.catalog(Path(root), Parquet(os.path.abspath(root), column), root)
    root, ways = common_folder(sources)
    for way, split in zip(ways, splits_of(sources), strict=True):
        place = os.path.join(root, way)
        other = image_column(place, asked.columns)
        if other != column:
            raise InputError(
                f"{printable(place)} has its images in the column {printable(other)!r}, and "
                f"{printable(sources[0])} in {printable(column)!r}. Give files of one kind."
            )
        images.add(row_entries(place, column, asked.columns), f"{way}/", split)
    return images.catalog(Path(root), Parquet(root, column), root)
