"""The images of a cache that are most like some image: exactly, and in blocks."""

import contextlib
import logging
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np

from .. import backend
from ..cache.file import Cache
from ..cache.table import view_of
from ..errors import InputError
from ..images.decode import SkippedImage
from ..images.inputs import Images
from ..keywords import takes
from ..names import ViewName
from ..network.fingerprint import Fingerprint
from ..network.views import View
from ..plain import as_frame, plain
from ..progress import Progress, as_function, ignore_progress, shows_progress
from ..scoring.tables import DIGITS, table_for
from ..scoring.tables import Table as Written
from ..showing.display import Display, Part, Table
from ..showing.words import number_of
from ..storage import files, locks
from .neighbours import NOBODY
from .queries import Asked, ask

if TYPE_CHECKING:
    import pandas

__all__ = [
    "Query",
    "SimilarChanges",
    "SimilarImage",
    "SimilarResult",
    "SimilarSettings",
    "find_similar",
]

log = logging.getLogger("featx")

_BLOCK = 1 << 25  # bytes of rows that are compared at a time
_SHOWN = 10  # images that are given, in a notebook
_TIES = 9  # decimals beyond which similarities are the same: rounding differs with the block

_COLUMNS: dict[str, type] = {
    "query": str,
    "rank": int,
    "path": str,
    "label": str,
    "split": str,
    "similarity": float,
    "equal": int,
    "digest": str,
}


@dataclass(frozen=True)
class SimilarSettings:
    """How many images are found, and by what they are compared.

    Attributes
    ----------
    k : int
        How many images at most for each one that is given.
    view : str
        The features that are compared: the mean or maximum of each channel, both, all values, or
        the pools of several layers.
    weights : str
        The file with the network's weights, where the cache was made with a file of your own.
    overwrite : bool
        Replace an output that exists.
    """

    k: int = 10
    view: str = "avg"
    weights: str = "auto"
    overwrite: bool = False


class SimilarChanges(TypedDict, total=False):
    """The fields of `SimilarSettings` as keywords, for editors and type checkers."""

    k: int
    view: ViewName
    weights: str
    overwrite: bool


@dataclass(frozen=True)
class SimilarImage:
    """An image of the cache that is like one that is given.

    Attributes
    ----------
    rank : int
        1 for the most similar.
    path : str
        Relative to the folder of the cache's images.
    label, split : str or None
    similarity : float
        Cosine of the two rows: 1 for the same mix of features.
    is_equal : bool
        Whether it has the very bytes of the one that is given.
    digest : str
    """

    rank: int
    path: str
    label: str | None
    split: str | None
    similarity: float
    is_equal: bool
    digest: str


@dataclass(frozen=True)
class Query:
    """An image that is given, and what is like it.

    Attributes
    ----------
    name : str
        Its path, or what it is called where it is in memory.
    digest : str
        SHA-256 of the image.
    is_cached : bool
        Whether its features were taken from the cache, which has the very image.
    nearest : list of SimilarImage
        The most similar first; equally similar ones in the order of their paths.
    """

    name: str
    digest: str
    is_cached: bool
    nearest: list[SimilarImage]


@dataclass(frozen=True, eq=False, repr=False)
class SimilarResult(Display):
    """What `find_similar` found.

    Attributes
    ----------
    queries : list of Query
        The images that are given and can be used, in order.
    skipped : list of SkippedImage
        Images that are given and cannot be used.
    images : int
        Images that were compared: all of the cache.
    view : str
    root : Path
        What the paths are relative to.
    fingerprint : Fingerprint
        Of the cache.
    out : Path or None
        The table that was written.
    seconds : float
    """

    queries: list[Query]
    skipped: list[SkippedImage]
    images: int
    view: str
    root: Path
    fingerprint: Fingerprint
    out: Path | None
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain values, for JSON."""
        found: dict[str, Any] = plain({**vars(self), "fingerprint": self.fingerprint.as_dict()})
        return found

    def _line(self) -> str:
        asked = number_of(len(self.queries), "image")
        return f"{asked} compared with {self.images:,} by {self.view}, {len(self.skipped)} skipped"

    def _parts(self) -> Iterable[Part]:
        for query in self.queries[:_SHOWN]:
            rows = [[n.path, n.label, f"{n.similarity:.3f}", n.is_equal] for n in query.nearest]
            yield Table(["image", "label", "similarity", "equal"], rows, query.name)

    def to_frame(self) -> "pandas.DataFrame":
        """Return what was found as a data frame of pandas, a row for each image.

        Its columns are those of the table that `find_similar` writes.

        Raises
        ------
        InputError
            When pandas is not installed.
        """
        return as_frame(_columns(self.queries))


@takes(SimilarSettings, SimilarChanges)
@shows_progress
@backend.own_settings()
def find_similar(
    images: Images,
    features: str | os.PathLike[str] | Cache,
    out: str | os.PathLike[str] | None = None,
    settings: SimilarSettings | None = None,
    *,
    progress: Progress | bool | None = None,
    download_progress: Progress | bool | None = None,
    **changes: Unpack[SimilarChanges],
) -> SimilarResult:
    """Find the images of a cache that are most like some images.

    All images of the cache are compared, exactly, by the cosine of their features; a block of them
    is in memory at a time. An image that is given goes through the network that made the cache;
    where the cache has its very bytes, its features are taken from there, and it is not found
    itself. Other images with the same bytes are found, and marked as equal.

    Parameters
    ----------
    images : image, or iterable of images
        Each is a path, bytes, a binary file, one of Pillow's images, or an array: see
        `Model.predict_proba`.
    features : path or Cache
        A cache made by `extract`.
    out : path, optional
        A table to write too, with a row for each image that is found: ``.csv``, ``.jsonl``,
        ``.parquet`` or ``.xlsx``.
    settings : SimilarSettings, optional
    progress : callable or True, optional
        True shows a bar; else see `progress.Progress`;
        counts images that are compared.
    download_progress : callable or True, optional
        True shows a bar; else see `progress.Progress`;
        in bytes.
    **changes
        Fields of `SimilarSettings`, over those of `settings`.

    Returns
    -------
    SimilarResult
        For each image that is given, the most similar ones of the cache.

    Raises
    ------
    InputError
        When a setting is wrong, no image can be used, or `out` exists.
    CorruptError, IncompatibleError
        When the cache cannot be read, or its weights are not at hand.
    StorageError, LockedError
        When the table cannot be written.

    Examples
    --------
    >>> import featx
    >>> photo = featx.scan("photos").file(0)  # doctest: +SKIP
    >>> found = featx.find_similar(photo, "features.h5", k=5)  # doctest: +SKIP
    >>> len(found.queries[0].nearest)  # doctest: +SKIP
    5
    """
    progress = as_function(progress)
    download_progress = as_function(download_progress)
    settings = replace(settings or SimilarSettings(), **changes)
    begun = time.monotonic()
    if settings.k < 1:
        raise InputError(f"k is {settings.k}. Expected 1 or more images.")
    out = None if out is None else Path(out)
    table = _checked_table(out, settings)
    with contextlib.ExitStack() as held:
        cache = held.enter_context(Cache.opened(features))
        if out is not None:
            held.enter_context(locks.lock_output(out))
        view = view_of(settings.view, cache.fingerprint)
        asked, skipped = ask(cache, view, images, settings.weights, download_progress)
        index, cosine = _nearest(cache, view, asked, settings.k, progress or ignore_progress)
        queries = [
            Query(one.name, one.digest, one.is_cached, list(_similar(cache, one.digest, *found)))
            for one, *found in zip(asked, index, cosine, strict=True)
        ]
        if out is not None and table is not None:
            files.require_new(out, settings.overwrite)
            with files.atomic_write(out) as partial:
                table.join(partial, [table.encode(_columns(queries))])
        return SimilarResult(
            queries=queries,
            skipped=skipped,
            images=len(cache),
            view=settings.view,
            root=cache.catalog.root,
            fingerprint=cache.fingerprint,
            out=out,
            seconds=round(time.monotonic() - begun, 3),
        )


def _checked_table(out: Path | None, settings: SimilarSettings) -> Written | None:
    if out is None:
        return None
    files.require_new(out, settings.overwrite)
    return table_for(out, _COLUMNS, {"view": settings.view})


def _columns(queries: Sequence[Query]) -> dict[str, list[Any]]:
    """Return what was found as columns, see `_COLUMNS`."""
    rows = [
        {"query": query.name, "equal": int(near.is_equal), **vars(near)}
        for query in queries
        for near in query.nearest
    ]
    return {name: [row[name] for row in rows] for name in _COLUMNS}


def _similar(
    cache: Cache, digest: str, places: np.ndarray, cosines: np.ndarray
) -> Iterator[SimilarImage]:
    """Yield the images that were found for one that is given."""
    listed, names = cache.catalog, (*cache.catalog.classes, None)
    found = [pair for pair in zip(places, cosines, strict=True) if pair[0] != NOBODY]
    for rank, (index, cosine) in enumerate(found, start=1):
        yield SimilarImage(
            rank=rank,
            path=str(listed.paths[index]),
            label=names[listed.labels[index]],  # NO_LABEL is the last
            split=str(listed.splits[index]) or None,
            similarity=round(float(cosine), DIGITS),
            is_equal=bool(cache.digests[index] == digest),
            digest=str(cache.digests[index]),
        )


def _nearest(
    cache: Cache,
    view: View,
    asked: Sequence[Asked],
    k: int,
    progress: Progress,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the `k` most similar images of each, int (n, k), and how similar, float (n, k).

    Equally similar ones are in the order of the cache, that of their paths. `NOBODY` stands where
    there are fewer.
    """
    given = _exact(np.stack([one.row for one in asked]))
    own = np.array([one.own for one in asked])
    index = np.full((len(asked), k), NOBODY)
    cosine = np.full((len(asked), k), -np.inf)
    total = len(cache)
    most = max(_BLOCK // (8 * max(view.width, len(asked))), 1)
    progress(0, total)
    for start in range(0, total, most):
        images = np.arange(start, min(start + most, total))
        rows = _exact(cache.matrix(view, images=images, copies=0).X)
        found = np.round(given @ rows.T, _TIES)
        found[own[:, np.newaxis] == images] = -np.inf
        both = np.concatenate([cosine, found], axis=1)
        order = np.argsort(-both, axis=1, kind="stable")[:, :k]
        cosine = np.take_along_axis(both, order, axis=1)
        places = np.concatenate([index, np.broadcast_to(images, found.shape)], axis=1)
        index = np.take_along_axis(places, order, axis=1)
        progress(start + len(images), total)
    index[~np.isfinite(cosine)] = NOBODY
    return index, np.minimum(cosine, 1)


def _exact(rows: np.ndarray) -> np.ndarray:
    """Return rows as float64, of length 1 to its last bits; one of zeros stays as it is."""
    rows = rows.astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)
