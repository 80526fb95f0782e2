"""The end of an extraction: its cache is written, and what became of every image is told."""

import time
from pathlib import Path

import numpy as np

from ..dataset.duplicates import find_equal
from ..network.fingerprint import Fingerprint
from .contents import Contents, as_texts
from .file import Cache
from .ledger import Ledger
from .parts import Parts
from .removed import removed_images
from .result import ExtractResult
from .rows import ListedRows
from .stamps import Stamps
from .structure import Removed
from .writer import assemble

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
    if not (old and old.holds(rows, ledger.skipped, removed)):
        assemble(out, rows, ledger.skipped, removed, fingerprint, parts=parts, old=old)
    with Cache.open(out) as new:
        Parts(out, new.parts.names if new.parts else ()).remove()
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
    places = np.arange(len(rows))
    first = Contents(rows.content, places, rows.sizes).first_of_each()
    counted = np.unique(rows.content, axis=0, return_counts=True) if len(first) < len(rows) else ()
    equal = []
    if counted:
        several = Contents(counted[0][counted[1] > 1], places, rows.sizes)
        chosen = np.flatnonzero(several.find(rows.content) >= 0)
        found = rows.catalog.take(rows.chosen[chosen])
        equal = find_equal(found, as_texts(rows.content[chosen]))
    reused = int((known.find(rows.content[first]) >= 0).sum())
    return ExtractResult(
        listed=len(ledger),
        cached=len(first),
        reused=reused,
        computed=computed,
        duplicates=len(rows) - len(first),
        skipped=ledger.skipped,
        details=ledger.details,
        equal=equal,
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
