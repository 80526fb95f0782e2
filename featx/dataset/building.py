"""Entries in order → a catalog: in memory, or in a temporary file when there are many."""

import itertools
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..errors import printable
from ..storage.scratch import Scratch
from . import runs
from .catalog import Catalog, Entry, build_catalog
from .stored import StoredCatalog
from .stores import Store
from .writer import CatalogWriter

__all__ = ["assemble"]

log = logging.getLogger("featx")


def assemble(
    root: Path, entries: Iterator[Entry], ignored: int = 0, store: Store | None = None
) -> Catalog:
    """Return a catalog of entries that come in the order of the bytes of their paths.

    Parameters
    ----------
    root : Path
    entries : iterator of Entry
        Of files, not of images in memory.
    ignored : int
    store : Store, optional
        See `Catalog`.

    Returns
    -------
    Catalog
        A `StoredCatalog` when there are more than `runs.IN_MEMORY`.

    Raises
    ------
    InputError
        When an image is listed twice, or some have a split and others have none.
    StorageError
        When the folder for temporary files is full.
    """
    first = list(itertools.islice(entries, runs.IN_MEMORY + 1))
    if len(first) <= runs.IN_MEMORY:
        return build_catalog(root, first, ignored, store)
    log.info(
        "There are more than %s images: their list is a temporary file in %s, and not in memory.",
        f"{runs.IN_MEMORY:,}", printable(tempfile.gettempdir()),
    )  # fmt: skip
    file = Scratch()
    writer = CatalogWriter(file.append)
    for some in (first, entries):
        for entry in some:
            writer.add(entry.path, entry.label, entry.split or "", entry.group or "")
        first.clear()
    writer.require_splits()
    writer.finish(root, sorted(writer.labels), ignored, store.as_dict() if store else None)
    return StoredCatalog(file, None)
