"""Images that are given, as rows of the network that made a cache."""

import contextlib
import itertools
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..cache.file import Cache
from ..cache.removed import require_listed
from ..errors import InputError, printable
from ..images.decode import REASONS, SkippedImage
from ..images.inputs import Images, as_readable, is_one_image
from ..images.reader import Read, Reader
from ..images.sandbox import Job
from ..network.fingerprint import Fingerprint
from ..network.runtime import choose_here, require_here
from ..network.trunk import Trunk, same_trunk
from ..network.views import View
from ..progress import Progress
from .neighbours import NOBODY

__all__ = ["Asked", "ask"]

log = logging.getLogger("featx")

_AHEAD = 64
_NO_PIXELS = np.empty(0, np.uint8)


@dataclass(frozen=True, eq=False)
class Asked:
    """An image that is given, as a row.

    Attributes
    ----------
    name : str
        Its path, or what it is called where it is in memory.
    digest : str
        SHA-256 of the image.
    row : ndarray of float32, shape (d,)
    is_cached : bool
        Whether the row was taken from the cache, which has the very image.
    own : int
        The index of the image itself in the cache, or `NOBODY`.
    """

    name: str
    digest: str
    row: np.ndarray
    is_cached: bool = False
    own: int = NOBODY


def ask(
    cache: Cache,
    view: View,
    images: Images,
    weights: str,
    progress: Progress | None,
) -> tuple[list[Asked], list[SkippedImage]]:
    """Return images as rows, in order, and those that cannot be used.

    Parameters
    ----------
    cache : Cache
        Whose network they go through; images that it has are not computed.
    view : View
        The view of the rows.
    images : image, or iterable of images
        See `Model.predict_proba`.
    weights : str
        See `weights.resolve_weights`.
    progress : callable, optional
        See `progress.Progress`; in bytes of a download.

    Raises
    ------
    InputError
        When none can be used.
    IncompatibleError, StorageError
        See `trunk.same_trunk`.
    """
    require_listed(cache)
    places, made = cache.index(), cache.fingerprint
    size, *more = made.sizes_in_all
    job = Job(size, made.trunk.resize, bits=made.trunk.bits, more_sizes=tuple(more))
    given = as_readable([images] if is_one_image(images) else images, job)
    order: list[Read] = []
    computed: dict[str, np.ndarray] = {}

    def fresh(reads: Iterable[Read]) -> Iterator[Read]:
        for read in reads:
            order.append(replace(read, pixels=_NO_PIXELS, more_pixels=()))
            if not read.reason and read.digest not in places:
                yield read

    with contextlib.closing(Reader(job, places).ahead(given, _AHEAD)) as reads:
        waiting = fresh(reads)
        for first in waiting:  # with the network, which is not needed where there is none
            trunk = _trunk(made, weights, progress)
            for some, found in trunk.stream(itertools.chain([first], waiting), trunk.batch):
                rows = view.rows(found.flat())
                for read, row, fine in zip(some, rows, found.finite, strict=True):
                    computed |= {read.digest: row} if fine else {}
    asked: list[Asked] = []
    skipped: list[SkippedImage] = []
    for read in order:
        name = str(read.path)
        if read.digest in places and not read.reason:
            row = cache.matrix(view, images=np.array([places[read.digest]]), copies=0).X[0]
            asked.append(Asked(name, read.digest, row, True, _own_place(cache, read)))
        elif read.digest in computed:
            asked.append(Asked(name, read.digest, computed[read.digest]))
        else:
            reason = read.reason or "nonfinite"
            skipped.append(SkippedImage(name, reason, read.detail or REASONS[reason]))
    if not asked:
        raise InputError(_none_usable(skipped))
    return asked, skipped


def _none_usable(skipped: Sequence[SkippedImage]) -> str:
    if not skipped:
        return "No image was given. Give one or more images."
    path, reason, detail = skipped[0]
    what = f"{printable(path)}, {reason}, {detail}."
    if len(skipped) == 1:
        return f"The image cannot be used: {what}"
    return f"None of the {len(skipped)} images can be used: the first is {what}"


def _own_place(cache: Cache, read: Read) -> int:
    """Return the index of an image whose very file the cache lists, or `NOBODY`."""
    if not isinstance(read.path, Path):
        return NOBODY
    mine = os.path.realpath(read.path)
    for index in np.flatnonzero(cache.digests == read.digest).tolist():
        if os.path.realpath(cache.catalog.file(index)) == mine:
            return int(index)
    return NOBODY


def _trunk(made: Fingerprint, weights: str, progress: Progress | None) -> Trunk:
    """Return the network that made a cache, as this machine computes it; or several of them."""
    if made.also:
        first, *others = (_trunk(one, weights, progress) for one in made.each)
        return first.beside(others)
    runtime, precision = choose_here(
        made.runtime, made.precision, size=made.trunk.size, network=made.trunk.network
    )
    if precision != made.precision:
        log.info(
            "The cache was made in %s; here the network is computed in %s by %s. Similarities "
            "differ a little.", made.precision, precision, runtime,
        )  # fmt: skip
    require_here(runtime, precision, made.trunk.network)
    return same_trunk(
        made, "The cache", weights=weights, runtime=runtime, precision=precision, progress=progress
    )
