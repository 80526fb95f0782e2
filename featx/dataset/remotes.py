"""Addresses → the entries of a catalog: objects in buckets, and images on the web."""

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import InputError, printable
from .building import assemble
from .catalog import Catalog, Entry
from .found import Asked, Found, read_rows, refuse_columns, splits_of, stored_entries
from .layout import Layout, entry_of
from .manifest import SUFFIXES
from .runs import Runs
from .stores import NotRead
from .stores.addresses import Address, known_by_name, reveal, scheme_of
from .stores.archives import is_archive
from .stores.cloud import PROTOCOLS, names_below
from .stores.members import is_hidden
from .stores.parquet import is_parquet
from .stores.patience import Unreachable, unreachable
from .stores.remote import Remote, require_known

__all__ = ["list_addresses"]

#: Bytes of a manifest that is not on this machine.
_MOST_MANIFEST = 1 << 30


def list_addresses(sources: Sequence[str], asked: Asked) -> Catalog:
    """List the images at addresses; see `sources.list_beyond_folders`."""
    for source in sources:
        require_known(source)
    names = [known_by_name(source.rstrip("/")) for source in sources]
    images = Found()
    if all(asked.is_image(_path_of(name)) for name in names):
        refuse_columns(asked)
        images.add(map(Entry, names))
        return images.catalog(Path(), Remote(), names[0])
    if len(names) == 1 and os.path.splitext(_path_of(names[0]))[1].lower() in SUFFIXES:
        return _manifest_at(names[0], asked)
    for name in names:
        if is_archive(_path_of(name)) or is_parquet(_path_of(name)):
            raise InputError(
                f"{printable(name)} is read only from a disk. Copy it to this machine first."
            )
        if scheme_of(name) not in PROTOCOLS:
            raise InputError(
                f"{printable(name)} is no image by its name, and pages of the web are not listed. "
                "Expected the address of an image, or of a manifest with addresses or paths."
            )
    refuse_columns(asked)
    base = names[0] if len(names) == 1 else _common_address(names)
    for name, split in zip(names, splits_of(names), strict=True):
        prefix = name[len(base) :].lstrip("/")
        found, ignored = _objects(name, asked)
        images.ignored += ignored
        images.add(found, f"{prefix}/" if prefix else "", split)
    return images.catalog(Address(base), Remote(base), ", ".join(names))


def _path_of(address: str) -> str:
    return address.partition("?")[0].partition("#")[0]


def _common_address(names: Sequence[str]) -> str:
    parts = _shared([name.split("/") for name in names])
    if len(parts) < 3:  # scheme, nothing, bucket
        raise InputError("These addresses are of several buckets. Give those of one at a time.")
    return "/".join(parts)


def _shared(ways: Sequence[Sequence[str]]) -> list[str]:
    """Return what all ways begin with."""
    same = itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*ways, strict=False))
    return [parts[0] for parts in same]


def _objects(address: str, asked: Asked) -> tuple[Iterator[Entry], int]:
    """Return the images below an address, laid out as in a folder, and the number of others."""
    layout, found, ignored = Layout(), Runs(1), 0
    with _answering(address):
        for name in names_below(address):
            if is_hidden(name):
                continue
            if asked.is_image(name):
                layout.note(name)
                found.add((os.fsencode(name),))
            else:
                ignored += 1
    kind = layout.decide() if asked.labelled and len(found) else "flat"
    return (entry_of(os.fsdecode(path), kind) for (path,) in found), ignored


@contextlib.contextmanager
def _answering(address: str) -> Iterator[None]:
    """Give what goes wrong with a whole source its name.

    Raises
    ------
    InputError
        When there is no such thing.
    StorageError
        When it does not answer.
    """
    try:
        yield
    except NotRead as error:
        raise InputError(
            f"{printable(address)} cannot be listed: {error.detail or error.reason}. Expected "
            "objects, an image or a manifest there."
        ) from error
    except Unreachable as error:
        raise unreachable(address, error) from error


def _manifest_at(address: str, asked: Asked) -> Catalog:
    name = _path_of(address).rpartition("/")[2]
    with _answering(address):
        data = Remote(address).read(address, _MOST_MANIFEST)
    base = known_by_name(_path_of(reveal(address)).rpartition("/")[0])
    entries, store = stored_entries(read_rows(data, name, address, asked), Remote(base))
    return assemble(Path() if store == Remote() else Address(base), entries, 0, store)
