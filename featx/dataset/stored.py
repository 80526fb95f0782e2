"""A catalog in a file: of any number of images, a few thousand of them in memory at a time."""

import contextlib
import hashlib
import itertools
import os
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CorruptError, IncompatibleError, InputError, printable
from ..showing.display import Part
from ..showing.words import shortened
from ..storage import files
from ..storage.scratch import Scratch
from . import blocks, runs
from .catalog import NO_LABEL, Catalog
from .stores import store_from_dict
from .stores.addresses import root_of
from .writer import START, CatalogWriter

__all__ = ["StoredCatalog", "write_catalog", "write_unnamed"]

_RECENT = 8  # blocks in memory


class StoredCatalog(Catalog):
    """A catalog whose images are read from a file, block by block.

    It is what any other catalog is. `block`, `blocks`, `path`, `file`, `take` and the counts read
    what they need; `paths`, `labels`, `splits` and `groups` read everything, once. Every block is
    checked against its SHA-256 when it is read. It can be pickled when its file has a name: a
    worker gets the name, and opens the file.

    Attributes
    ----------
    digest : str
        SHA-256 of the index, which has those of all blocks: equal for equal catalogs.
    """

    digest: str

    def __init__(self, file: Any, place: Path | None, root: Path | None = None) -> None:
        self._file, self._place = file, place
        weakref.finalize(self, file.close)
        with _refusing(place):
            self._index, self.digest = _read_index(file)
        sizes = [size for size, *_ in self._index.blocks]
        self._offsets = list(itertools.accumulate(sizes, initial=len(START)))
        self._recent: dict[int, Catalog] = {}
        found = {
            "root": root_of(self._index.root) if root is None else root,
            "classes": tuple(self._index.classes),
            "ignored": self._index.ignored,
            "store": store_from_dict(self._index.store) if self._index.store else None,
        }
        for name, value in found.items():  # fields of a frozen dataclass
            object.__setattr__(self, name, value)

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], *, root: Path | None = None, digest: str | None = None
    ) -> "StoredCatalog":
        """Open a file that `write_catalog` wrote.

        Parameters
        ----------
        path : path
        root : Path, optional
            What the paths are relative to; by default what it was where the file was written.
        digest : str, optional
            The digest that the catalog must have.

        Raises
        ------
        CorruptError
            When the file is damaged, or no catalog.
        IncompatibleError
            When it is another catalog.
        StorageError
            When it cannot be read.
        """
        place = Path(path)
        with files.storage_errors(place):
            file = place.open("rb", buffering=0)
        found = cls(file, place, root)
        if digest not in (None, found.digest):
            raise IncompatibleError(
                f"{printable(place)} is another list of images than when this run began. Leave the "
                "file as it is while the run needs it, and start the run again."
            )
        return found

    def __reduce__(self) -> Any:
        if self._place is None:
            raise InputError(
                "This catalog is in a temporary file of this process. Write it to a file with "
                "write_catalog, and open that where it is needed."
            )
        return _reopened, (self._place.absolute(), self.root, self.digest)

    def __len__(self) -> int:
        return self._index.images

    def _parts(self) -> Iterable[Part]:
        yield {
            "classes": shortened(self.class_counts()) or "none: the images have no labels",
            "without a label": len(self) - sum(self._index.counts) or "",
            "splits": shortened(self.split_counts()),
            "files passed over": self.ignored or "",
        }

    # What is read in part ---------------------------------------------------------------------

    def block(self, start: int, stop: int) -> Catalog:
        """Return the images from `start` to before `stop`, in memory."""
        start, stop, _ = slice(start, stop).indices(len(self))
        parts = []
        for number in range(start // blocks.BLOCK, -(-max(stop, start) // blocks.BLOCK)):
            first = number * blocks.BLOCK
            parts.append(self._block(number).block(max(start - first, 0), stop - first))
        return self._joined(parts)

    def path(self, index: int) -> str:
        """Return the path of image `index`, relative to the root."""
        index = range(len(self))[index]
        return self._block(index // blocks.BLOCK).path(index % blocks.BLOCK)

    def take(self, indices: np.ndarray) -> Catalog:
        """Return a catalog of the images at `indices`, with the same classes.

        It is in a file too when it has many images, and they are in order.
        """
        at = np.asarray(indices)
        at = np.arange(len(self))[at.astype(np.int64) if at.dtype != bool else at]
        if len(at) > runs.IN_MEMORY and (np.diff(at) > 0).all():
            return write_unnamed(self._picked(at))
        order = np.argsort(at, kind="stable")
        joined = self._joined(list(self._picked(at[order])))
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return joined.take(back)

    def class_counts(self) -> dict[str, int]:
        """Return the number of images of each class, in the order of `classes`."""
        counts = dict(zip(self._index.labels, self._index.counts, strict=True))
        return {name: counts.get(index, 0) for index, name in enumerate(self.classes)}

    def split_counts(self) -> dict[str, int]:
        """Return the number of images of each split that there is."""
        counts = self._index.splits
        return {name: counts[name] for name in ("train", "val", "test") if counts[name]}

    @property
    def test_split(self) -> str:
        """The split to test on: "test", else "val", else "" when there is neither."""
        return next((split for split in ("test", "val") if split in self.split_counts()), "")

    # What is read whole -----------------------------------------------------------------------

    @cached_property
    def paths(self) -> np.ndarray:
        """The paths of all images, in memory."""
        return self._whole("paths")

    @cached_property
    def labels(self) -> np.ndarray:
        """The labels of all images, in memory."""
        return self._whole("labels")

    @cached_property
    def splits(self) -> np.ndarray:
        """The splits of all images, in memory."""
        return self._whole("splits")

    @cached_property
    def groups(self) -> np.ndarray:
        """The groups of all images, in memory."""
        return self._whole("groups")

    def _whole(self, column: str) -> np.ndarray:
        found = np.empty(len(self), np.int32 if column == "labels" else object)
        if column == "groups" and not self._index.has_groups:
            found[:] = ""
            return found
        for number in range(len(self._index.blocks)):
            start = number * blocks.BLOCK
            found[start : start + blocks.BLOCK] = getattr(self._read(number), column)
        return found

    # Blocks -----------------------------------------------------------------------------------

    def _picked(self, at: np.ndarray) -> Iterator[Catalog]:
        """Yield the images at ascending indices, those of one block at a time."""
        numbers = at // blocks.BLOCK
        ends = [*(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(at)]
        for start, stop in itertools.pairwise([0, *ends]):
            if start < stop:
                some = self._block(int(numbers[start]))
                yield some.take(at[start:stop] % blocks.BLOCK)

    def _joined(self, parts: Sequence[Catalog]) -> Catalog:
        def joined(column: str, kind: Any) -> np.ndarray:
            columns = [getattr(part, column) for part in parts]
            return np.concatenate([np.empty(0, kind), *columns]).astype(kind, copy=False)

        return self._made(
            joined("paths", object),
            joined("labels", np.int32),
            joined("splits", object),
            joined("groups", object),
        )

    def _made(
        self, paths: np.ndarray, labels: np.ndarray, splits: np.ndarray, groups: np.ndarray
    ) -> Catalog:
        return Catalog(self.root, paths, labels, splits, groups, self.classes, store=self.store)

    def _block(self, number: int) -> Catalog:
        """Return a block, from memory when it was read lately."""
        found = self._recent.get(number)
        if found is None:
            found = self._read(number)
            # A new mapping each time: threads that read at the same time need no lock.
            kept = list(self._recent.items())[1 - _RECENT :]
            self._recent = {**dict(kept), number: found}
        return found

    def _read(self, number: int) -> Catalog:
        size, digest, first = self._index.blocks[number]
        with _refusing(self._place):
            data = _read_at(self._file, self._offsets[number], size)
            if hashlib.sha256(data).hexdigest() != digest:
                raise blocks.Damaged(f"block {number} has another SHA-256 than the index says")
            columns = blocks.Columns.decode(data, len(self._index.labels))
            wanted = min(blocks.BLOCK, len(self) - number * blocks.BLOCK)
            after = [next_first for *_, next_first in self._index.blocks[number + 1 : number + 2]]
            keys = list(map(os.fsencode, [columns.paths[-1], *after]))
            if (len(columns.paths), columns.paths[0]) != (wanted, first) or keys != sorted(keys):
                raise blocks.Damaged(f"block {number} is not the one that the index says")
        classes = np.array([*self._index.labels, NO_LABEL], np.int32)
        return self._made(
            np.array(columns.paths, object),
            classes[columns.labels],
            np.array(columns.splits, object),
            np.array(columns.groups, object),
        )


def write_catalog(
    path: str | os.PathLike[str], catalog: Catalog | Iterable[Catalog], *, overwrite: bool = False
) -> str:
    """Write a catalog to a file, as `StoredCatalog.open` reads it.

    Parameters
    ----------
    path : path
    catalog : Catalog or iterable of Catalog
        Several are written as one: each has the images after those of the one before it. The root
        and the store are those of the first.
    overwrite : bool
        Whether a file that is there is replaced.

    Returns
    -------
    str
        The digest of the catalog, see `StoredCatalog`.

    Raises
    ------
    InputError
        When the file exists, images are in memory, one is listed twice, or they are not in order.
    StorageError
        When the file cannot be written.
    """
    place = Path(path)
    files.require_new(place, overwrite)
    with files.atomic_write(place) as file:

        def write(data: bytes) -> None:
            file.write(data)
            file.check()

        write_blocks(write, catalog)
    with contextlib.closing(place.open("rb", buffering=0)) as again:
        return _read_index(again)[1]


def write_blocks(write: Callable[[bytes], object], catalog: Catalog | Iterable[Catalog]) -> None:
    """Write a catalog, or several as one, by a function that takes bytes; see `write_catalog`."""
    writer = CatalogWriter(write)
    root, store, ignored, classes = None, None, 0, dict[str, None]()
    kept = True  # every part has the classes in the same order
    for whole in (catalog,) if isinstance(catalog, Catalog) else catalog:
        kept = kept and (root is None or tuple(classes) == whole.classes)
        root, store = (whole.root, whole.store) if root is None else (root, store)
        ignored += whole.ignored
        classes.update(dict.fromkeys(whole.classes))
        for part in whole.blocks(blocks.BLOCK):
            if part.contents is not None:
                raise InputError("Images in memory cannot be listed in a file. Save them first.")
            names = [*part.classes, None]
            labels = [names[label] for label in part.labels.tolist()]
            for row in zip(part.paths, labels, part.splits, part.groups, strict=True):
                writer.add(*row)
    told = store.as_dict() if store else None
    writer.finish(root or Path(), tuple(classes) if kept else sorted(classes), ignored, told)


def write_unnamed(catalog: Catalog | Iterable[Catalog]) -> StoredCatalog:
    """Return a catalog in a temporary file, which is gone when the catalog is.

    Raises
    ------
    InputError, StorageError
        See `write_catalog`.
    """
    file = Scratch()
    write_blocks(file.append, catalog)
    return StoredCatalog(file, None)


def _reopened(path: Path, root: Path, digest: str) -> StoredCatalog:
    return StoredCatalog.open(path, root=root, digest=digest)


@contextlib.contextmanager
def _refusing(place: Path | None) -> Iterator[None]:
    """Turn what is wrong with the bytes of a file into an error that names the file."""
    try:
        with files.storage_errors(place or Path("a temporary file of this run")):
            yield
    except blocks.Damaged as error:
        name = "A temporary file of this run" if place is None else printable(place)
        raise CorruptError(
            f"{name} is damaged: {error}. Delete it, and list the images again."
        ) from error


def _read_at(file: Any, offset: int, size: int) -> bytes:
    """Return bytes of a file, without moving its position, so that threads can share it."""
    found = []
    while size:
        data = os.pread(file.fileno(), size, offset)
        if not data:
            raise blocks.Damaged("its end is missing")
        found.append(data)
        offset, size = offset + len(data), size - len(data)
    return b"".join(found)


def _read_index(file: Any) -> tuple[blocks.Index, str]:
    size = os.fstat(file.fileno()).st_size
    if size < len(START) + blocks.FOOTER or _read_at(file, 0, len(START)) != START:
        raise blocks.Damaged("it is no catalog")
    end = _read_at(file, size - blocks.FOOTER, blocks.FOOTER)
    offset, length, digest = blocks.read_footer(end, size)
    data = _read_at(file, offset, length)
    if hashlib.sha256(data).hexdigest() != digest:
        raise blocks.Damaged("its index has another SHA-256 than its last line says")
    index = blocks.Index.decode(data)
    if len(START) + sum(size for size, *_ in index.blocks) != offset:
        raise blocks.Damaged("its blocks have other sizes than its index says")
    return index, digest
