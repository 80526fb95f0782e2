"""Rows for a head, from image files or from a cache, block by block."""

import contextlib
import copy
import hashlib
import itertools
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..cache.file import Cache
from ..cache.removed import require_listed
from ..dataset.catalog import Catalog
from ..dataset.scan import Source, as_catalog, paths_of
from ..dataset.stores.addresses import absolute_root
from ..errors import IncompatibleError, InputError, printable
from ..heads.training import one_thread
from ..images import augment
from ..images.decode import REASONS, Rejected
from ..images.listed import digest_of, read_ahead
from ..images.reader import Read, Reader
from ..images.sandbox import Job
from ..model.model import Model
from ..network.runtime import require_here
from .seen import require_same_trunks, require_seen

__all__ = ["KNOWN", "CacheSource", "FileSource", "RowBlock", "open_rows"]

#: The reason of an image whose digest the caller does not want.
KNOWN = "known"

_NONE = np.empty(0, np.float64)
_LISTED = 1 << 12  # images of a list that are looked at together

#: A function that is called with the number of images finished since the last call.
Advance = Callable[[int], None]


@dataclass(frozen=True, eq=False)
class RowBlock:
    """Some images of a source, in its order.

    Attributes
    ----------
    paths : list of str
    reasons : list of str
        "" for an image that has rows in `X`, else a key of `decode.REASONS`, or `KNOWN`.
    details : list of str
        A sentence about each reason; "" without one.
    digests : list of str
        SHA-256 of each file; "" where it could not be read.
    X : ndarray of float32, shape (images without a reason, 1 + copies, d)
    novelty : ndarray of float64, shape (images without a reason,)
        See `Model.novelty_of`.
    """

    paths: list[str]
    reasons: list[str]
    details: list[str]
    digests: list[str]
    X: np.ndarray
    novelty: np.ndarray

    @property
    def is_ok(self) -> np.ndarray:
        """Which images have rows in `X`, shape (images,)."""
        return np.array([not reason for reason in self.reasons], bool)


class FileSource:
    """A source of rows: image files, which go through the model's network.

    Parameters
    ----------
    model : Model
    images : Catalog
    copies : int
        Augmented copies beside each original, by the policy that the model was fitted with.
    keeps : bool
        See `reader.Reader`.
    """

    #: Images in a block, which take seconds to half a minute without a GPU.
    block = 128

    def __init__(
        self, model: Model, images: Catalog, *, copies: int = 0, keeps: bool = False
    ) -> None:
        self.catalog = images
        self._copies = copies
        self._model = model
        self._trunk = model.trunk
        for one in self._trunk.fingerprint.each:
            require_here(one.runtime, one.precision, one.trunk.network)
        fingerprint = model.fingerprint
        policy = augment.POLICIES["none"]
        if copies:
            if not fingerprint.copies:
                raise InputError(
                    "The model was fitted without augmented copies, so there is no policy to make "
                    "any by. Leave --tta out, or extract with --copies and fit again."
                )
            policy = augment.POLICIES[augment.policy_name(fingerprint.augment)]
            if policy == augment.POLICIES["flip"] and copies > 1:
                raise InputError("An image has one mirror image: ask for 1 copy, not more.")
        trunk = fingerprint.trunk
        size, *more = fingerprint.sizes_in_all
        self._reader = Reader(
            Job(
                size,
                trunk.resize,
                policy,
                fingerprint.seed,
                copies,
                trunk.bits,
                tuple(more),
            ),
            keeps=keeps,
        )

    def skip(self, known: Collection[str]) -> None:
        """Have `rows` decode no image with one of these digests; its reason is `KNOWN` then."""
        self._reader = replace(self._reader, known=known)

    def __len__(self) -> int:
        return len(self.catalog)

    @property
    def identity(self) -> str:
        """SHA-256 of the folder and the listed paths, and of the images that are in memory."""
        digest = hashlib.sha256(absolute_root(self.catalog.root).encode("utf-8", "replace"))
        for block in self.catalog.blocks(_LISTED):
            digest.update(b"".join(os.fsencode(path) + b"\0" for path in block.paths))
        for index in range(len(self.catalog) if self.catalog.contents is not None else 0):
            if self.catalog.content(index) is not None:
                with contextlib.suppress(Rejected):
                    bits = self._reader.job.bits
                    digest.update(digest_of(self.catalog, index, bits).encode())
        return digest.hexdigest()

    def rows(self, blocks: Sequence[range], advance: Advance) -> Iterator[RowBlock]:
        """Yield the rows of each block of images, in order."""
        images = (index for block in blocks for index in block)
        reads = read_ahead(self.catalog, images, self._reader, 4 * self._trunk.batch)
        # Threads of BLAS keep their core for a while after each product: from the network.
        with one_thread():
            for block in blocks:
                yield self._block(block, reads, advance)

    def picked(self, images: np.ndarray, known: Collection[str], advance: Advance) -> RowBlock:
        """Return the rows of images by their indices, without those that have a known digest."""
        source = copy.copy(self)
        source.catalog = self.catalog.take(images)
        source._reader = replace(self._reader, known=known)
        blocks = [
            range(start, min(start + self.block, len(images)))
            for start in range(0, len(images), self.block)
        ]
        found = list(source.rows(blocks, advance))
        return RowBlock(
            [path for rows in found for path in rows.paths],
            [reason for rows in found for reason in rows.reasons],
            [detail for rows in found for detail in rows.details],
            [digest for rows in found for digest in rows.digests],
            _joined([rows.X for rows in found], 1 + self._copies),
            np.concatenate([_NONE, *(rows.novelty for rows in found)]),
        )

    def _block(self, block: range, reads: Iterator[Read], advance: Advance) -> RowBlock:
        found: list[Read] = []
        told = 0

        def noted() -> Iterator[Read]:
            for read in itertools.islice(reads, len(block)):
                is_known = not read.reason and not len(read.pixels)
                reason = read.reason or (KNOWN if is_known else "")
                found.append(Read(read.digest, reason, detail=read.detail))
                yield read

        rows: list[np.ndarray] = []
        novelty = [_NONE]
        for _, activations in self._trunk.stream(noted(), self._trunk.batch):
            some = self._model.rows(activations.flat())
            rows.append(some.reshape(len(activations), 1 + self._copies, some.shape[1]))
            novelty.append(self._model.novelty_of(activations.originals, rows[-1][:, 0]))
            advance(len(found) - told)
            told = len(found)
        advance(len(found) - told)
        return _checked(
            [str(path) for path in self.catalog.block(block.start, block.stop).paths],
            [read.reason for read in found],
            [read.detail for read in found],
            [read.digest for read in found],
            _joined(rows, 1 + self._copies),
            np.concatenate(novelty),
        )


class CacheSource:
    """A source of rows: a cache, with the images that were skipped in it, in the order of paths.

    Only the block at hand is in memory, however large the cache is.

    Parameters
    ----------
    model : Model
    cache : Cache
    copies : int
        Augmented copies beside each original, as they are cached.

    Raises
    ------
    IncompatibleError
        When the cache has features of another trunk, or copies by another augmentation policy.
    """

    block = 4096

    def __init__(self, model: Model, cache: Cache, *, copies: int = 0) -> None:
        require_same_trunks(model, cache)
        require_listed(cache)
        require_seen(model, cache)
        if copies > cache.fingerprint.copies:
            raise InputError(
                f"{printable(cache.path)} has {cache.fingerprint.copies} copies of each image, and "
                f"{copies} are asked for."
            )
        if copies and cache.fingerprint.augment != model.fingerprint.augment:
            raise IncompatibleError(
                f"{printable(cache.path)} has copies by {cache.fingerprint.augment}, and the model "
                f"was fitted with {model.fingerprint.augment or 'none'}."
            )
        self._cache = cache
        self._copies = copies
        self._model = model
        self._places = _places(cache)

    def __len__(self) -> int:
        return len(self._cache) + len(self._places)

    @property
    def identity(self) -> str:
        """SHA-256 that the cache file records."""
        return self._cache.recorded_digest()

    def rows(self, blocks: Sequence[range], advance: Advance) -> Iterator[RowBlock]:
        """Yield the rows of each block of images, in order."""
        with one_thread():  # so that scores are those of the images themselves, to the last bit
            for block in blocks:
                yield self._block(block)
                advance(len(block))

    @property
    def catalog(self) -> Catalog:
        """The cached images."""
        return self._cache.catalog

    def picked(self, images: np.ndarray, known: Collection[str], advance: Advance) -> RowBlock:
        """Return the rows of images by their indices, without those that have a known digest."""
        digests = self._cache.digests[images]
        reasons = [KNOWN if digest in known else "" for digest in digests]
        wanted = images[[not reason for reason in reasons]]
        found = self._rows(wanted)
        advance(len(images))
        return _checked(
            list(self.catalog.paths[images]),
            reasons,
            [""] * len(images),
            list(digests),
            *found,
        )

    def _rows(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of images with their copies, and the novelty of each image."""
        rows: list[np.ndarray] = []
        novelty = [_NONE]
        # Layers after a tail are computed from features, and those before it are pools.
        view = self._model.view
        seen = None if self._model.tail and view.kind.layers else view
        for _, block in self._cache.blocks(images, self._copies, seen):
            some = self._model.rows(block.flat())
            rows.append(some.reshape(len(block), 1 + self._copies, some.shape[1]))
            novelty.append(self._model.novelty_of(block.originals, rows[-1][:, 0]))
        return _joined(rows, 1 + self._copies), np.concatenate(novelty)

    def _block(self, block: range) -> RowBlock:
        # Skipped image j stands before cached image places[j], so at places[j] + j of all.
        skipped = self._places + np.arange(len(self._places))
        first, last = np.searchsorted(skipped, [block.start, block.stop]).tolist()
        start, stop = block.start - first, block.stop - last
        images = self._cache.rows(start, stop)
        at = (self._places[first:last] - start).tolist()
        missing = self._cache.skipped[first:last]
        return _checked(
            _with(list(images.catalog.paths), at, [row.path for row in missing]),
            _with([""] * (stop - start), at, [row.reason for row in missing]),
            _with([""] * (stop - start), at, [REASONS.get(row.reason, "") for row in missing]),
            _with(list(images.digests), at, [row.digest for row in missing]),
            *self._rows(np.arange(start, stop)),
        )


def _places(cache: Cache) -> np.ndarray:
    """Return, for each skipped image, the index of the cached image after it by path."""
    skipped = np.array([os.fsencode(row.path) for row in cache.skipped], dtype=object)
    places = np.zeros(len(skipped), np.int64)
    for paths in cache.path_blocks() if len(skipped) else ():
        places += np.searchsorted(np.array(paths, dtype=object), skipped)
    return places


def _with(items: list[str], at: list[int], more: list[str]) -> list[str]:
    """Insert each of `more` before the item at its place in `at`, which ascends."""
    for place, item in zip(reversed(at), reversed(more), strict=True):
        items.insert(place, item)
    return items


def _checked(
    paths: list[str],
    reasons: list[str],
    details: list[str],
    digests: list[str],
    X: np.ndarray,
    novelty: np.ndarray,
) -> RowBlock:
    """Return a block whose images with values that are not finite have that as their reason."""
    fine = np.isfinite(X).all(axis=(1, 2))
    if not fine.all():
        well = [index for index, reason in enumerate(reasons) if not reason]
        for position in np.flatnonzero(~fine):
            reasons[well[position]] = "nonfinite"
            details[well[position]] = REASONS["nonfinite"]
        X, novelty = X[fine], novelty[fine]
    return RowBlock(paths, reasons, details, digests, X, novelty)


def _joined(rows: list[np.ndarray], each: int) -> np.ndarray:
    filled = [some for some in rows if len(some)]
    return np.concatenate(filled) if filled else np.empty((0, each, 1), np.float32)


@contextlib.contextmanager
def open_rows(
    model: Model, source: Source | Cache, *, copies: int = 0, labelled: bool = False
) -> Iterator[FileSource | CacheSource]:
    """Open a source of rows.

    Parameters
    ----------
    model : Model
    source : path, several paths, Catalog, Cache, data frame, or list of dict
        A cache; or images: see `scan.scan`.
    copies : int
    labelled : bool
        Whether the names of folders are classes and splits.

    Raises
    ------
    InputError
        When the source does not exist, or has fewer copies.
    CorruptError, IncompatibleError
        When a cache cannot be read, or was made by another network than the model's.
    """
    if copies < 0:
        raise InputError(f"The number of copies is {copies}. Expected 0 or more.")
    if isinstance(source, Cache):
        yield CacheSource(model, source, copies=copies)
        return
    given = paths_of(source)
    if len(given) == 1 and Cache.is_cache(given[0]):
        with Cache.open(given[0]) as cache:
            yield CacheSource(model, cache, copies=copies)
        return
    yield FileSource(model, as_catalog(source, labelled=labelled), copies=copies)
