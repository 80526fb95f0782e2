"""Stage 1: every image through the frozen trunk once, into a cache."""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from ..dataset.scan import Source, as_catalog, roles_of
from ..engines.choose import choose_engine
from ..engines.engine import InProcess
from ..keywords import takes
from ..progress import Deadline, Progress, as_function, ignore_progress, shows_progress
from ..storage import locks
from .computing import Told, compute
from .plan import ExtractChanges, ExtractSettings
from .preparation import checked_out, opened_before, prepare
from .publication import publish, result_of
from .result import ExtractResult
from .run import new_run, write_run
from .share import extract_share
from .wanted import keep_own
from .work import ExtractWork

__all__ = ["ExtractResult", "ExtractSettings", "extract"]


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
        The cache to make or to bring up to date. A name that ends in ``.d`` is a folder, which
        takes more images without being written anew; any other is one HDF5 file.
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
    ExtractResult

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
    OutOfTimeError
        When `max_hours` are over; the same call goes on.

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
    deadline, begun = Deadline(settings.max_hours), time.monotonic()
    engine = choose_engine(settings.backend, settings.scheduler)
    out = checked_out(Path(out))
    columns = roles_of(image, label, split, group)
    if settings.share is not None:
        return extract_share(
            source, columns, out, settings, engine, deadline, progress, download_progress
        )
    listed = as_catalog(source, columns=columns)
    with locks.lock_output(out), opened_before(out, overwrite=settings.overwrite) as (old, sealed):
        found = prepare(listed, out, settings, old, sealed, download_progress)
        run = new_run(found.plan, settings, len(found.images.missing))
        if not isinstance(engine, InProcess):
            run = write_run(found.parts.folder, run, found.images)
        told = Told(found.ledger, run, progress or ignore_progress)
        work = ExtractWork(
            run, found.images, found.parts, found.trunk, found.known, told.note, told.advance
        )
        compute(engine, work, range(run.parts), found.ledger, deadline)
        rows, removed, pruned = publish(
            out, found.ledger, run.fingerprint,
            parts=found.parts, old=old, stamps=found.stamps, prune=settings.prune,
        )  # fmt: skip
        keep_own(found.weights)
        return result_of(
            out, found.ledger, rows, found.known, run.fingerprint,
            weights=found.weights.provider, computed=told.computed, begun=begun,
            removed=removed, pruned=pruned, ignored=listed.ignored,
        )  # fmt: skip
