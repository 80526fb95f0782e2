"""The images of a catalog as the reader takes them: files, and images that are in memory."""

from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

from ..dataset.catalog import Catalog
from ..errors import InputError, printable
from ..storage import files
from . import decode
from .inputs import pixel_digest, read_image
from .reader import InMemory, Read, Reader

__all__ = ["digest_of", "read_ahead"]


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
    return reader.ahead(_readable(listed, indices, reader), window)


def _readable(
    listed: Catalog, indices: Iterable[int], reader: Reader
) -> Iterator[Path | InMemory | Read]:
    for index in indices:
        content, name = listed.content(index), str(listed.paths[index])
        if content is None:
            yield listed.file(index)
        elif isinstance(content, bytes):
            yield InMemory(content, name)
        else:
            try:
                yield read_image(content, reader.job, name, reader.known)
            except InputError as error:
                raise InputError(f"{printable(name)}: {error}") from error


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
    if content is None:
        return files.digest(decode.read(listed.file(index)).data)
    if isinstance(content, bytes):
        return files.digest(content)
    try:
        return pixel_digest(content, bits)
    except InputError as error:
        raise InputError(f"{printable(listed.paths[index])}: {error}") from error
