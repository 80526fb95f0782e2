"""The parts of all shares become a cache."""

import os
import time
from pathlib import Path

import numpy as np

from ..errors import CorruptError, InputError, printable
from ..progress import Progress, as_function, ignore_progress, shows_progress
from ..storage import locks
from .account import Account
from .contents import nothing
from .ledger import Ledger
from .parts import Part, Parts
from .preparation import checked_out, known_contents, opened_before
from .publication import publish, result_of
from .result import ExtractResult
from .run import Run, RunImages, read_images, read_run
from .stamps import Stamps

__all__ = ["join"]

_NAMED = 10  # shares that a message names


@shows_progress
def join(out: str | os.PathLike[str], *, progress: Progress | bool | None = None) -> ExtractResult:
    """Make the cache that several shares have computed the parts of.

    Parameters
    ----------
    out : path
        What was given to each `extract` with `share`.
    progress : callable or True, optional
        True shows a bar; else see `progress.Progress`; in parts.

    Returns
    -------
    ExtractResult
        Of all images.

    Raises
    ------
    InputError
        When there are no shares, or some have not ended; the message says which.
    CorruptError
        When a part is damaged, or too many images are.
    LockedError
        When a share is running.
    StorageError
        When the cache cannot be written; the parts are kept then.

    Examples
    --------
    >>> import featx
    >>> names = ("1/2", "2/2")
    >>> shares = [featx.extract("photos", "all.d", share=one) for one in names]  # doctest: +SKIP
    >>> featx.join("all.d").listed == sum(share.listed for share in shares)  # doctest: +SKIP
    True
    """
    told, begun = as_function(progress) or ignore_progress, time.monotonic()
    out = checked_out(Path(out))
    with locks.lock_output(out):
        run = read_run(Parts(out).folder)
        if run is None or not run.shares:
            raise InputError(
                f"There are no shares of {printable(out)} to join. If they were joined before, "
                "nothing is left to do; else run each of them first: featx extract SOURCE -o "
                f"{printable(out)} --share 1/4"
            )
        with opened_before(out, overwrite=run.overwrite) as (old, sealed):
            parts = Parts(out, sealed)
            images = read_images(parts.folder, run)
            known, stamps = known_contents(old, parts), Stamps(out, old, parts)
            before = old.contents() if old else nothing()
            ledger = Ledger(images.listed, known, max_bad=run.max_bad, strict=run.strict)
            _take_known(images, ledger)
            computed = _take_parts(run, images, parts, ledger, told)
            rows, removed, pruned = publish(
                out, ledger, run.fingerprint,
                parts=parts, old=old, stamps=stamps, prune=run.prune,
            )  # fmt: skip
    return result_of(
        out, ledger, rows, before, run.fingerprint,
        weights=run.weights, computed=computed, begun=begun, removed=removed, pruned=pruned,
        ignored=images.listed.ignored,
    )  # fmt: skip


def _take_known(images: RunImages, ledger: Ledger) -> None:
    """Note the images that the first share found unchanged."""
    is_known = np.ones(len(images.listed), bool)
    is_known[images.missing] = False
    indices, before = np.flatnonzero(is_known), images.before
    ledger.take(
        indices, Account(before.digests[indices], before.sizes[indices], before.keys[indices])
    )


def _take_parts(
    run: Run, images: RunImages, parts: Parts, ledger: Ledger, progress: Progress
) -> int:
    """Note the images of all parts; return how many rows were computed."""
    missing, computed = [], 0
    progress(0, run.parts)
    for number in range(run.parts):
        path, wanted = parts.folder / run.name(number), images.missing[run.span(number)]
        if not path.is_file():
            missing.append(number)
            continue
        part = Part(path)
        if part.account is None or len(part.account) != len(wanted):
            raise CorruptError(f"{printable(path)} is of another run. Delete it and run again.")
        ledger.take(wanted, part.account)
        computed += len(part) * run.fingerprint.shape[0]
        progress(number + 1, run.parts)
    if missing:
        shares = sorted({1 + number % run.shares for number in missing})
        named = ", ".join(f"{share}/{run.shares}" for share in shares[:_NAMED])
        more = f" and {len(shares) - _NAMED} more" if len(shares) > _NAMED else ""
        raise InputError(
            f"{len(missing)} of {run.parts} parts of {printable(parts.folder)} are missing. These "
            f"shares have not ended: {named}{more}. Run them again with the same options; what "
            "they have finished is kept."
        )
    return computed
