"""What sources of several kinds have in common: how they are asked for, and what is found."""

import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError, printable
from ..storage import files
from .building import assemble
from .catalog import Catalog, Entry, split_of
from .manifest import read_manifest
from .runs import Runs, as_bytes, as_text
from .stores import Store
from .stores.addresses import is_address
from .stores.remote import Remote

__all__ = [
    "Asked",
    "Found",
    "common_folder",
    "read_rows",
    "refuse_columns",
    "splits_of",
    "stored_entries",
]

log = logging.getLogger("featx")


class Asked(NamedTuple):
    """How sources are read; see `scan.scan`. `is_image` tells by its name what an image is."""

    labelled: bool
    allow_outside: bool
    columns: Mapping[str, str]
    is_image: Callable[[str], bool]
    #: Lists one folder: its entries in order, and the number of other files.
    below: Callable[[Path, bool], tuple[Iterator[Entry], int]]


class Found:
    """Entries that are found in any order, in bounded memory."""

    def __init__(self) -> None:
        self._rows = Runs(4)
        self.ignored = 0
        self.has_labels = False

    def add(self, entries: Iterable[Entry], prefix: str = "", split: str | None = None) -> None:
        """Take entries, with a prefix before their paths, and a split where they have none."""
        for entry in entries:
            texts = (entry.label, entry.split or split, entry.group)
            self.has_labels |= entry.label is not None
            path = os.fsencode(prefix + entry.path)
            self._rows.add((path, *(as_bytes(text or "") for text in texts)))

    def catalog(self, root: Path, store: Store | None, what: str) -> Catalog:
        """Return a catalog of all, in the order of their paths; `what` is the source in messages.

        Raises
        ------
        InputError
            When there is none, or one is listed twice.
        """
        if not len(self._rows):
            others = f"only {self.ignored} other files" if self.ignored else "and nothing else"
            raise InputError(
                f"{printable(what)} has no images, {others}. Expected files whose names end as "
                "those of images do, such as .jpg."
            )
        return assemble(root, self._entries(), self.ignored, store)

    def _entries(self) -> Iterator[Entry]:
        for path, *texts in self._rows:
            yield Entry(os.fsdecode(path), *(as_text(text) or None for text in texts))


def common_folder(sources: Sequence[str]) -> tuple[str, list[str]]:
    """Return the folder that sources have in common, and what leads from it to each."""
    places = [os.path.abspath(source) for source in sources]
    root = os.path.commonpath(places)
    if root in places and not os.path.isdir(root):
        root = os.path.dirname(root)
    return root, [os.path.relpath(place, root) for place in places]


def splits_of(sources: Sequence[str]) -> list[str | None]:
    """Return the split of each source by its name, where all names say one, and not all the same.

    ``train-0001.tar`` and ``test-0001.tar`` are such, and ``train-00000-of-00002.parquet``.
    """
    stems = [os.path.basename(os.path.normpath(source)).partition(".")[0] for source in sources]
    found = [split_of(re.sub(r"-\d+-of-\d+$", "", stem)) for stem in stems]
    if not all(found) or len(set(found)) < 2:
        return [None] * len(found)
    log.info("The splits are those that the names of the sources say.")
    return found


def refuse_columns(asked: Asked) -> None:
    """Raise an `InputError` when columns are named for a source that has none."""
    if asked.columns:
        raise InputError("Columns were named, and the source is not a table. Leave them out.")


def read_rows(data: bytes, name: str, place: str, asked: Asked) -> Iterator[Entry]:
    """Yield the entries of a manifest that is no file of this machine.

    Raises
    ------
    InputError
        As `read_manifest`; the message names the place.
    """
    with tempfile.TemporaryDirectory(prefix="featx-") as folder:
        file = Path(folder, os.path.basename(name))
        files.write_bytes(file, data)
        try:
            yield from read_manifest(file, False, asked.columns)
        except InputError as error:
            raise InputError(str(error).replace(str(file), printable(place))) from None


def stored_entries(
    entries: Iterator[Entry], below: Store | None = None
) -> tuple[Iterator[Entry], Store | None]:
    """Return the entries of a list, and where the images are: at addresses, or below something.

    Parameters
    ----------
    entries : iterator of Entry
    below : Store, optional
        Where they are when the paths are no addresses.

    Raises
    ------
    InputError
        When some are addresses and others are paths: as soon as that is seen.
    """
    first = next(entries, None)
    if first is None:
        return iter(()), below
    is_remote = is_address(first.path)

    def checked() -> Iterator[Entry]:
        yield first
        for entry in entries:
            if is_address(entry.path) != is_remote:
                raise InputError(
                    f"The list has both paths and addresses, for example {printable(first.path)} "
                    f"and {printable(entry.path)}. Make a list of each kind."
                )
            yield entry

    return checked(), Remote() if is_remote else below
