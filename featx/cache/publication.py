"""The end of an extraction: its cache is written, and what became of every image is told."""

import time
from pathlib import Path

import numpy as np

from ..dataset.duplicates import EqualImages, find_equal
from ..network.fingerprint import Fingerprint
from ..storage import files
from .contents import Contents, as_texts
from .file import Cache
from .folder import images_file
from .ledger import Ledger
from .parts import Parts
from .removed import removed_images
from .result import ExtractResult
from .rows import ListedRows
from .stamps import Stamps
from .structure import Removed
from .writer import assemble, parts_beside

__all__ = ["publish", "result_of"]


def publish(
    out: Path,
    ledger: Ledger,
    fingerprint: Fingerprint,
    *,
    parts: Parts,
    old: Cache | None,
    stamps: Stamps,
    prune: bool,
) -> tuple[ListedRows, list[Removed], int]:
    """Write the cache, unless it is that already, and delete what it does not need.

    Returns
    -------
    (ListedRows, list of Removed, int)
        The rows; the images whose features are kept and hidden; how many were dropped.

    Raises
    ------
    InputError
        When no image can be used.
    StorageError
        When it cannot be written; finished parts are kept.
    """
    rows = ledger.rows()
    gone = removed_images(old, parts.contents(), rows)
    removed = [] if prune else gone
    if not (old and old.is_whole and old.holds(rows, ledger.skipped, removed)):
        assemble(out, rows, ledger.skipped, removed, fingerprint, parts=parts, old=old)
    files.remove_partials(images_file(out))
    with Cache.open(out) as new:
        parts_beside(out, new).remove()
        stamps.save(new, ledger.keys)
    return rows, removed, len(gone) - len(removed)


def result_of(
    out: Path,
    ledger: Ledger,
    rows: ListedRows,
    known: Contents,
    fingerprint: Fingerprint,
    *,
    weights: str,
    computed: int,
    begun: float,
    removed: list[Removed] | None = None,
    pruned: int = 0,
    ignored: int = 0,
    share: str = "",
) -> ExtractResult:
    """Return what an extraction did; see `ExtractResult`."""
    counts = Contents(rows.content, np.arange(len(rows)), rows.sizes).counts()
    first = np.flatnonzero(counts)
    reused = int((known.find(rows.content[first]) >= 0).sum()) if len(known) else 0
    return ExtractResult(
        listed=len(ledger),
        cached=len(first),
        reused=reused,
        computed=computed,
        duplicates=len(rows) - len(first),
        skipped=ledger.skipped,
        details=ledger.details,
        equal=_equal(rows, counts) if len(first) < len(rows) else [],
        dark=ledger.dark,
        removed=removed or [],
        pruned=pruned,
        ignored=ignored,
        classes=rows.class_counts(),
        splits=rows.split_counts(),
        fingerprint=fingerprint,
        weights=weights,
        out=out,
        seconds=round(time.monotonic() - begun, 3),
        share=share,
    )


def _equal(rows: ListedRows, counts: np.ndarray) -> list[EqualImages]:
    """Return the groups of images with the same bytes; see `Contents.counts`."""
    several = rows.content[counts > 1]
    none = np.empty((0, 2), np.int32)
    there = Contents(several, np.arange(len(several)), none).find(rows.content) >= 0
    found = rows.catalog.take(rows.chosen[there])
    return find_equal(found, as_texts(rows.content[there]))
