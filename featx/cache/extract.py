"""Stage 1: every image through the frozen trunk once, into a cache."""

import contextlib
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from ..dataset.catalog import Catalog
from ..dataset.duplicates import EqualImages, find_equal
from ..dataset.scan import Source, as_catalog, roles_of
from ..errors import InputError, printable
from ..images.listed import read_ahead
from ..images.reader import Read, Reader
from ..images.sandbox import Job
from ..keywords import takes
from ..network.fingerprint import Fingerprint
from ..network.openvino import calibrate
from ..network.ranges import Ranges
from ..network.runtime import require_here
from ..network.trunk import Trunk
from ..network.weights import Weights, resolve_weights
from ..progress import Progress, as_function, ignore_progress, shows_progress
from ..storage import locks
from .display import ExtractDisplay
from .file import Cache
from .ledger import Ledger
from .parts import Parts
from .plan import ExtractChanges, ExtractSettings, Plan, make_plan
from .removed import removed_images, require_same_source
from .stamps import Stamps
from .structure import Removed, Skipped
from .writer import assemble

__all__ = ["ExtractResult", "ExtractSettings", "extract"]

log = logging.getLogger("featx")


@dataclass(frozen=True, repr=False)
class ExtractResult(ExtractDisplay):
    """What `extract` did.

    ``listed == cached + duplicates + len(skipped)``, always.

    Attributes
    ----------
    listed : int
        Images in the source.
    cached : int
        Different images that are in the cache.
    reused : int
        The cached images whose features were there before this run.
    computed : int
        Images and copies that went through the network.
    duplicates : int
        Images with the very bytes of a cached one; each has its own row all the same.
    skipped : list of Skipped
        Images that could not be used, with the reason.
    details : dict of str
        A sentence about each skipped image, by its path.
    equal : list of EqualImages
        Groups of cached images with the same bytes; those in two classes stop `fit`.
    dark : list of str
        Images of this run with 16 bits that use less than a sixteenth of them: nearly black.
    removed : list of Removed
        Images that were listed before and are not any more. Their features are kept in the cache
        and hidden from `fit`, for when they come back.
    pruned : int
        Such images whose features were dropped, because of `prune`.
    ignored : int
        Files that do not look like images.
    classes, splits : dict of int
        Cached images by class and by split.
    fingerprint : Fingerprint
        The settings and weights that the features were made with.
    weights : str
        Who provides them.
    out : Path
        The cache.
    seconds : float
    """

    listed: int
    cached: int
    reused: int
    computed: int
    duplicates: int
    skipped: list[Skipped]
    details: dict[str, str]
    equal: list[EqualImages]
    dark: list[str]
    removed: list[Removed]
    pruned: int
    ignored: int
    classes: dict[str, int]
    splits: dict[str, int]
    fingerprint: Fingerprint
    weights: str
    out: Path
    seconds: float

    @property
    def forward(self) -> int:
        """`computed` by the name that it had until now; it goes with version 0.2."""
        return self.computed

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain values, for JSON."""
        return {
            "listed": self.listed,
            "cached": self.cached,
            "reused": self.reused,
            "computed": self.computed,
            "skipped": [
                {"path": row.path, "reason": row.reason, "detail": self.details[row.path]}
                for row in self.skipped
            ],
            "equal": [equal.as_dict() for equal in self.equal],
            "dark": self.dark,
            "duplicates": self.duplicates,
            "removed": [row.path or row.digest for row in self.removed],
            "pruned": self.pruned,
            "ignored": self.ignored,
            "classes": self.classes,
            "splits": self.splits,
            "weights": self.weights,
            "fingerprint": self.fingerprint.as_dict(),
            "out": str(self.out),
            "seconds": self.seconds,
        }


@takes(ExtractSettings, ExtractChanges)
@shows_progress
def extract(
    source: Source,
    out: str | os.PathLike[str],
    settings: ExtractSettings | None = None,
    *,
    image: str | None = None,
    label: str | None = None,
    split: str | None = None,
    group: str | None = None,
    progress: Progress | bool | None = None,
    download_progress: Progress | bool | None = None,
    **changes: Unpack[ExtractChanges],
) -> ExtractResult:
    """Put the features of all images of a source into a cache.

    What the cache has already is reused, by the digest of each file: an unchanged folder costs no
    forward pass, and added images cost only themselves. A stopped run goes on where it was.
    Features of images that are no longer listed are kept, unless `prune` is set.

    Parameters
    ----------
    source : path, several paths, Catalog, data frame, or list of dict
        See `scan.scan`.
    out : path
        The cache file to make or to bring up to date.
    settings : ExtractSettings, optional
    image, label, split, group : str, optional
        The columns of a table, where they do not have their usual names; see `scan.scan`.
    progress : callable or True, optional
        True shows a bar; else see `progress.Progress`;
        the detail is the number of images computed in this run.
    download_progress : callable or True, optional
        True shows a bar; else see `progress.Progress`;
        in bytes.
    **changes
        Fields of `ExtractSettings`, over those of `settings`.

    Returns
    -------
    Extraction

    Raises
    ------
    InputError
        When the source or a setting is wrong, no image could be used, or `out` has images of
        another source that this one lacks.
    IncompatibleError
        When `out` was made with other settings; the message names those that differ.
    CorruptError
        When `out` is damaged, or too many images are.
    StorageError
        When the disk fails, or the weights cannot be had.
    LockedError
        When another run writes `out`.

    Examples
    --------
    >>> import featx
    >>> extracted = featx.extract("photos", "features.h5")  # doctest: +SKIP
    >>> extracted.listed, extracted.skipped  # doctest: +SKIP
    (80, [])
    """
    progress = as_function(progress)
    download_progress = as_function(download_progress)
    settings = replace(settings or ExtractSettings(), **changes)
    begun = time.monotonic()
    listed = as_catalog(source, columns=roles_of(image, label, split, group))
    if not len(listed):
        raise InputError("The source lists no images. Give one that does.")
    out = _checked_out(Path(out))
    with locks.lock_output(out), _opened(out, settings) as old:
        if old and not settings.prune:
            require_same_source(old, listed)
        parts, stamps = Parts(out), Stamps(out)
        left = parts.fingerprint()
        before = old.fingerprint if old else left
        weights = resolve_weights(
            settings.weights,
            preprocessing=settings.preprocessing,
            wanted=before.trunk.weights if before else None,
            progress=download_progress,
        )
        plan = make_plan(settings, weights, len(listed), before)
        if settings.overwrite and left != plan.fingerprint:
            parts.remove()
        elif not settings.overwrite:
            _require_compatible(plan.fingerprint, old.fingerprint if old else None, out)
            _require_compatible(plan.fingerprint, left, parts.folder)
        if plan.fingerprint.precision == "int8" and plan.fingerprint.ranges is None:
            require_here(plan.fingerprint.runtime, "int8")
            plan = plan.with_ranges(_find_ranges(listed, plan, weights))
        plan = plan.knowing(old, parts.index())
        trunk = Trunk(weights, plan.fingerprint, batch=settings.batch)
        ledger = Ledger(listed, plan.known, max_bad=settings.max_bad, strict=settings.strict)
        reads = _reads(listed, plan, stamps)
        computed = _compute(reads, plan, trunk, parts, ledger, progress or ignore_progress)
        rows = ledger.rows()
        gone = removed_images(old, parts.index(), rows)
        removed = [] if settings.prune else gone
        if not (old and old.holds(rows, ledger.skipped, removed)):
            assemble(out, rows, ledger.skipped, removed, plan.fingerprint, parts=parts, old=old)
        parts.remove()
        stamps.save()
    different = len(set(rows.digests))
    return ExtractResult(
        listed=len(listed),
        cached=different,
        reused=ledger.reused,
        computed=computed,
        duplicates=len(rows.digests) - different,
        skipped=ledger.skipped,
        details=ledger.details,
        equal=find_equal(rows.catalog, rows.digests),
        dark=ledger.dark,
        removed=removed,
        pruned=len(gone) - len(removed),
        ignored=listed.ignored,
        classes=rows.catalog.class_counts(),
        splits=rows.catalog.split_counts(),
        fingerprint=plan.fingerprint,
        weights=weights.provider,
        out=out,
        seconds=round(time.monotonic() - begun, 3),
    )


def _checked_out(out: Path) -> Path:
    if out.is_dir():
        raise InputError(
            f"{printable(out)} is a folder. Give the name of a file, such as features.h5."
        )
    if out.exists() and not Cache.is_cache(out):
        raise InputError(f"{printable(out)} exists and is not a featx cache. Give another name.")
    return out


@contextlib.contextmanager
def _opened(out: Path, settings: ExtractSettings) -> Iterator[Cache | None]:
    """Open the cache that is brought up to date, if there is one."""
    if settings.overwrite or not out.exists():
        yield None
        return
    with Cache.open(out) as old:
        yield old


def _require_compatible(wanted: Fingerprint, before: Fingerprint | None, where: Path) -> None:
    if before:
        wanted.require_equal(
            before,
            mine="now",
            theirs="there",
            advice="Use those, give another output, or add --overwrite to make it anew.",
            where=str(where),
        )


#: How many images, of how many pixels a side at most, tell what the integers of int8 stand for.
_CALIBRATION, _CALIBRATION_SIZE = 64, 224
_FEW = 16  # which are too few to calibrate well by


def _find_ranges(listed: Catalog, plan: Plan, weights: Weights) -> Ranges:
    """Return the ranges of int8 for these weights, by some images taken evenly from the list."""
    every = max(1, len(listed) // _CALIBRATION)
    chosen = range(0, len(listed), every)[:_CALIBRATION]
    job = Job(min(plan.job.size, _CALIBRATION_SIZE), plan.job.resize, bits=plan.job.bits)
    with contextlib.closing(read_ahead(listed, chosen, Reader(job), _CALIBRATION)) as reads:
        pixels = [read.pixels for read in reads if len(read.pixels)]
    if not pixels:
        raise InputError(
            f"None of the {len(chosen)} images that int8 would be calibrated by can be used. "
            "Look at them with: featx check FOLDER"
        )
    level = logging.INFO if len(pixels) >= _FEW else logging.WARNING
    log.log(level, "Images that int8 is calibrated by for these weights: %d.", len(pixels))
    return calibrate(weights.arrays(), plan.fingerprint, np.concatenate(pixels))


def _reads(listed: Catalog, plan: Plan, stamps: Stamps) -> Iterator[Read]:
    """Yield every listed image in order; files that are known and as they were are not read."""
    digests = stamps.digests(listed.root, listed.paths)
    if listed.contents is not None:  # a name in memory says nothing of the file that has it
        pairs = zip(digests, listed.contents, strict=True)
        digests = [digest if content is None else "" for digest, content in pairs]
    others = plan.missing(digests)
    reads = read_ahead(listed, others, Reader(plan.job, plan.known), plan.images_in_part)
    for path, digest in zip(listed.paths, digests, strict=True):
        if digest in plan.known:
            yield Read(digest)
            continue
        read = next(reads)
        if not read.reason:
            stamps.note(path, read.stamp, read.digest)
        yield read


def _compute(
    reads: Iterator[Read],
    plan: Plan,
    trunk: Trunk,
    parts: Parts,
    ledger: Ledger,
    progress: Progress,
) -> int:
    """Send the images that are missing through the network, part by part; return how many rows."""
    total, computed, waiting = len(ledger), 0, 0
    progress(0, total, 0)

    def new_images() -> Iterator[Read]:
        nonlocal waiting
        for read in reads:
            is_new = ledger.note(read)
            waiting += is_new
            if is_new:
                yield read
            elif not waiting:
                progress(ledger.seen, total, computed)

    def advance(rows: int, left: int) -> None:
        nonlocal computed
        computed += rows
        progress(ledger.seen - left // plan.fingerprint.shape[0], total, computed)

    for images, found in trunk.stream(new_images(), plan.images_in_part, advance):
        waiting = 0
        finite = found.finite
        good = [image for image, fine in zip(images, finite, strict=True) if fine]
        if good:
            parts.write(
                found.take(finite),
                [image.digest for image in good],
                [(image.width, image.height) for image in good],
                plan.fingerprint,
            )
        ledger.drop({image.digest for image in images} - {image.digest for image in good})
    return computed
