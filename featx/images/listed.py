"""The images of a catalog as the reader takes them: files, what stores give, what is in memory."""

import os
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

from ..dataset.catalog import Catalog
from ..dataset.stores.addresses import is_address
from ..errors import InputError, printable
from ..storage import files
from . import decode
from .fetching import Fetcher
from .inputs import pixel_digest, read_image
from .reader import Elsewhere, InMemory, Read, Reader

__all__ = ["digest_of", "read_ahead", "stamps_of"]


def read_ahead(
    listed: Catalog, indices: Iterable[int], reader: Reader, window: int
) -> Generator[Read, None, None]:
    """Yield images of a catalog in order, while at most `window` of them are read ahead.

    Images that are decoded already are made as the reader makes others. See `Reader.ahead`.

    Raises
    ------
    InputError
        When an array is no image; the message names it.
    """
    fetcher = Fetcher(listed.store) if listed.store else None
    try:
        yield from reader.ahead(_readable(listed, indices, reader, fetcher), window)
    finally:
        if fetcher:
            fetcher.close()


def _readable(
    listed: Catalog, indices: Iterable[int], reader: Reader, fetcher: Fetcher | None
) -> Iterator[Path | InMemory | Elsewhere | Read]:
    for index in indices:
        content, name = listed.content(index), listed.path(index)
        if content is None and fetcher:
            yield Elsewhere(fetcher.start(name), _called(listed, name))
        elif content is None:
            yield listed.file(index)
        elif isinstance(content, bytes):
            yield InMemory(content, name)
        else:
            try:
                yield read_image(content, reader.job, name, reader.known)
            except InputError as error:
                raise InputError(f"{printable(name)}: {error}") from error


def _called(listed: Catalog, name: str) -> str:
    return name if is_address(name) else str(listed.root / name)


def digest_of(listed: Catalog, index: int, bits: int = 16) -> str:
    """Return the SHA-256 of an image of a catalog, as `Read` has it.

    Parameters
    ----------
    listed : Catalog
    index : int
    bits : int
        See `decode.decode`; it counts for images in memory.

    Raises
    ------
    decode.Rejected
        When there is none, as the image cannot be read.
    """
    content: Any = listed.content(index)
    if content is None and listed.store:
        return files.digest(decode.fetch(listed.store, listed.path(index)).data)
    if content is None:
        return files.digest(decode.read(listed.file(index)).data)
    if isinstance(content, bytes):
        return files.digest(content)
    try:
        return pixel_digest(content, bits)
    except InputError as error:
        raise InputError(f"{printable(listed.path(index))}: {error}") from error


def stamps_of(listed: Catalog) -> Iterator[files.Stamp | None]:
    """Yield the stamp of each image's file; None of what is in memory, or cannot be looked at."""
    root = os.fspath(listed.root)
    for index, path in enumerate(listed.paths):
        if listed.content(index) is not None:
            yield None
        elif listed.store:
            yield listed.store.stamp(path)
        else:
            try:
                yield files.stamp(os.stat(os.path.join(root, path)))
            except (OSError, ValueError):
                yield None
