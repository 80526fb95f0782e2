"""Features that are computed once and found again by the SHA-256 of each image.

They are kept in a cache file, or in this process, where the least recently used go first. A cache
file goes on listing the images that it lists; others are added as those of removed images are
kept: with their features, and without a place in the list.
"""

import contextlib
import math
import threading
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..dataset.catalog import Catalog
from ..errors import IncompatibleError, InputError, printable
from ..images.listed import read_ahead
from ..images.reader import Read, Reader
from ..network.activations import Activations
from ..network.fingerprint import Fingerprint
from ..network.runtime import require_here
from ..network.views import View
from ..progress import adding_up, watched
from ..storage import files, locks
from . import process
from .file import Cache
from .plan import ExtractSettings, make_plan, settings_of
from .removed import removed_images
from .rows import CacheRows
from .structure import datasets_of
from .writer import assemble, parts_beside

__all__ = ["Memory", "MemorySettings"]

#: So many images are planned for: what computes the network may not depend on how many come.
_MANY = 1 << 20

#: What of an extraction is as in the cache file, where it is not given.
_SETTINGS = ("network", "cut", "size", "layers", "mirror", "resize", "bits", "preprocessing")

_computing = threading.RLock()


@dataclass(frozen=True)
class MemorySettings:
    """What features are, and where they are kept.

    Attributes
    ----------
    file : Path, optional
        A cache file, which is made where there is none. What is None below is as in this file.
    network : str, optional
        See `plan.ExtractSettings`, here and below.
    cut : str, optional
    size : int or tuple of int, optional
    layers : tuple of str, optional
    mirror : bool, optional
    resize : str, optional
    bits : int, optional
    weights : str
    preprocessing : str, optional
    precision : str
    runtime : str
    """

    file: Path | None = None
    network: str | None = None
    cut: str | None = None
    size: int | tuple[int, ...] | None = None
    layers: tuple[str, ...] | None = None
    mirror: bool | None = None
    resize: str | None = None
    bits: int | None = None
    weights: str = "auto"
    preprocessing: str | None = None
    precision: str = "auto"
    runtime: str = "auto"

    def extraction(self, before: Fingerprint | None) -> ExtractSettings:
        """Return the settings of an extraction that makes such features."""
        own = {name: value for name in _SETTINGS if (value := getattr(self, name)) is not None}
        own |= {name: getattr(self, name) for name in ("weights", "precision", "runtime")}
        return replace(settings_of(before) if before else ExtractSettings(), **own)


class Memory:
    """Images as activations, each of them computed once.

    Parameters
    ----------
    settings : MemorySettings
    verbose : bool
        Whether a bar shows how far the network is.

    Attributes
    ----------
    fingerprint : Fingerprint
        The settings and weights of the features.

    Raises
    ------
    InputError
        When a setting is wrong, or `file` is no cache.
    IncompatibleError
        When the cache file was made with other settings.
    CorruptError, StorageError
        When the file, or the weights, cannot be read.
    """

    def __init__(self, settings: MemorySettings, *, verbose: bool = False) -> None:
        self._file = settings.file
        self._verbose = verbose
        before = self._before()
        wanted = settings.extraction(before)
        self._weights = process.weights_of(wanted, before)
        self._plan = make_plan(wanted, self._weights, _MANY, before)
        self.fingerprint = self._plan.fingerprint
        if before:
            self.fingerprint.require_equal(
                before,
                mine="asked for",
                theirs="there",
                advice="Leave these settings out, or give another cache.",
                where=str(self._file),
            )
        if self.fingerprint.precision == "int8" and self.fingerprint.ranges is None:
            raise InputError(
                "For these weights it is not known what the integers of int8 stand for. Extract "
                "some images with --precision int8, which finds it out, and give that cache."
            )

    @property
    def _bytes(self) -> int:
        """Bytes of the activations of an image."""
        return sum(
            math.prod(shape) * np.dtype(dtype).itemsize
            for shape, dtype in datasets_of(self.fingerprint).values()
        )

    def _before(self) -> Fingerprint | None:
        """Return the fingerprint of the cache file, or of what a stopped run left of it."""
        cache = self._cache()
        if cache or self._file is None:
            return cache.fingerprint if cache else None
        return parts_beside(self._file, None).fingerprint()

    def _cache(self) -> Cache | None:
        """Return the cache file as it is now, if there is one."""
        if self._file is None:
            return None
        try:
            return process.opened(self._file.resolve(), files.stamp(self._file.stat()))
        except FileNotFoundError:
            return None

    def require_same(self, made: Fingerprint, view: View) -> None:
        """Check that features here are of the kind that an estimator was fitted on.

        Raises
        ------
        IncompatibleError
            When they are of another network, or lack what the view sees.
        """
        if self.fingerprint.trunk != made.trunk or not view.is_seen_in(self.fingerprint):
            raise IncompatibleError(
                "It was fitted on other features than are computed now. Fit it again."
            )

    def digests(self, listed: Catalog) -> list[str]:
        """Return the SHA-256 of each image: of a file's bytes, or of the pixels of others.

        Raises
        ------
        decode.Rejected
            When an image cannot be read; the message names it.
        InputError
            When an array is no image.
        """
        bits = self._plan.job.bits
        return [process.digest_now(listed, index, bits) for index in range(len(listed))]

    def blocks(self, listed: Catalog, digests: Sequence[str]) -> Iterator[Activations]:
        """Yield the activations of images in order, some at a time; unknown ones are computed.

        Parameters
        ----------
        listed : Catalog
        digests : sequence of str
            As `digests` gives them.

        Yields
        ------
        Activations of (n, 1 + copies) images

        Raises
        ------
        decode.Rejected
            When an image cannot be used; the message says which.
        InputError
            When a file has changed since its digest was taken, or this machine does not compute
            such features.
        LockedError, StorageError
            When the cache file cannot be written.
        """
        step = self._plan.images_in_part
        with self._told(digests) as advance:
            if self._file is not None:
                self._learn(self._file, listed, digests, advance)
                cache = self._cache()
                if cache is None:
                    raise InputError(f"{printable(self._file)} is gone. Run this again.")
                # One file from here on: in that of another process, images are in other rows.
                rows = process.rows_of(cache)
                for start in range(0, len(digests), step):
                    wanted = [rows[digest] for digest in digests[start : start + step]]
                    for _, found in cache.blocks(np.array(wanted), self.fingerprint.copies):
                        yield found
                return
            together = step * max(1, process.MOST // 2 // (step * self._bytes))
            for first in range(0, len(digests), together):
                chosen = range(first, min(first + together, len(digests)))
                recent = self._recent(listed, {digests[at]: at for at in chosen}, advance)
                for start in range(chosen.start, chosen.stop, step):
                    block = digests[start : min(start + step, chosen.stop)]
                    yield Activations.joined([recent[digest] for digest in block])

    @contextlib.contextmanager
    def _told(self, digests: Sequence[str]) -> Iterator[Callable[[int], None]]:
        """Yield what is called with the number of images that were computed."""
        made = self.fingerprint.as_json()
        known: Container[str] = self._in_file() if self._file else process.activations.digests(made)
        missing = {digest for digest in digests if digest not in known}
        with watched(self._verbose and bool(missing), "ImageFeatures", "images") as told:
            yield adding_up(told, len(missing))

    def write(self, out: Path, listed: Catalog, digests: Sequence[str]) -> None:
        """Write a cache file of these images alone, with the labels of the catalog.

        Raises
        ------
        StorageError
            When it cannot be written; see also `blocks`.
        """
        parts, written, done = parts_beside(out, None), set[str](), 0
        for found in self.blocks(listed, digests):
            new = {}
            for at, digest in enumerate(digests[done : done + len(found)]):
                if digest not in written:
                    new[digest] = at
                    written.add(digest)
            done += len(found)
            if new:
                some, unknown = found.take(np.array([*new.values()])), [(0, 0)] * len(new)
                parts.write(some, list(new), unknown, self.fingerprint)
        rows = CacheRows(listed, np.array(digests, object), np.zeros((len(digests), 2), np.int32))
        assemble(out, rows, [], [], self.fingerprint, parts=parts, old=None)
        with Cache.open(out) as cache:
            parts_beside(out, cache).remove()

    def _recent(
        self, listed: Catalog, wanted: Mapping[str, int], advance: Callable[[int], None]
    ) -> dict[str, Activations]:
        """Return the activations of images by digest, as this process keeps or computes them."""
        made = self.fingerprint.as_json()
        with _computing:
            known = {digest: process.activations.get((made, digest)) for digest in wanted}
            found = {digest: one for digest, one in known.items() if one is not None}
            missing = {digest: at for digest, at in wanted.items() if digest not in found}
            for reads, computed in self._compute(listed, missing, advance):
                for at, read in enumerate(reads):
                    # A slice would keep all images alive that were computed with it.
                    one = computed.take(np.array([at]))
                    found[read.digest] = one
                    process.activations.put((made, read.digest), one)
        return found

    def _in_file(self) -> dict[str, int]:
        """Return the rows that the cache file has: digest → row."""
        cache = self._cache()
        return process.rows_of(cache) if cache else {}

    def _learn(
        self, file: Path, listed: Catalog, digests: Sequence[str], advance: Callable[[int], None]
    ) -> None:
        """Add to the cache file what it lacks of these images."""
        if set(digests) <= self._in_file().keys():
            return
        with _computing, locks.lock_output(file, wait=True):
            old = self._cache()
            parts = parts_beside(file, old)
            left = parts.fingerprint()
            if left:
                self.fingerprint.require_equal(
                    left,
                    mine="asked for",
                    theirs="there",
                    advice="Finish that extraction, or delete the folder.",
                    where=str(parts.folder),
                )
            # Another process may have added some.
            there, left_over = self._in_file(), parts.contents()
            missing = {
                d: at for at, d in enumerate(digests) if d not in there and d not in left_over
            }
            for reads, found in self._compute(listed, missing, advance):
                sizes = [(read.width, read.height) for read in reads]
                parts.write(found, [read.digest for read in reads], sizes, self.fingerprint)
            rows = old or _no_rows(file.parent)
            added = removed_images(old, parts.contents(), rows)
            skipped = old.skipped if old else []
            assemble(file, rows, skipped, added, self.fingerprint, parts=parts, old=old)
            with Cache.open(file) as new:
                parts_beside(file, new).remove()

    def _compute(
        self, listed: Catalog, missing: Mapping[str, int], advance: Callable[[int], None]
    ) -> Iterator[tuple[list[Read], Activations]]:
        """Yield images with their activations, which are finite, some at a time."""
        if not missing:
            return
        made = self.fingerprint
        require_here(made.runtime, made.precision, made.trunk.network)
        trunk = process.trunk_of(self._weights, self.fingerprint.as_json())
        window = self._plan.images_in_part
        reads = read_ahead(listed, missing.values(), Reader(self._plan.job), window)
        with contextlib.closing(reads):
            usable = _usable(reads, missing)
            for images, found in trunk.stream(usable, window):
                for image, is_finite in zip(images, found.finite, strict=True):
                    if not is_finite:
                        raise InputError(f"{printable(image.path)} has no finite features.")
                yield images, found
                advance(len(images))


def _usable(reads: Iterator[Read], expected: Iterable[str]) -> Iterator[Read]:
    for read, digest in zip(reads, expected, strict=True):
        read.require_usable()
        if read.digest != digest:
            raise InputError(f"{printable(read.path)} changed while it was read. Run this again.")
        yield read


def _no_rows(folder: Path) -> CacheRows:
    none = np.empty(0, object)
    catalog = Catalog(folder, none, np.empty(0, np.int32), none, none, ())
    return CacheRows(catalog, none, np.empty((0, 2), np.int32))
