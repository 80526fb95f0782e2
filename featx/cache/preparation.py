"""What an extraction finds and decides before anything is computed."""

import contextlib
import logging
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..dataset.catalog import Catalog
from ..errors import FeatxError, InputError, printable
from ..images.listed import read_ahead
from ..images.reader import Reader
from ..images.sandbox import Job
from ..network.fingerprint import Fingerprint
from ..network.openvino import calibrate
from ..network.ranges import Ranges
from ..network.runtime import require_here
from ..network.trunk import Trunk
from ..network.weights import Weights
from ..progress import Progress
from ..storage.kinds import IMAGES
from .account import Account
from .contents import Contents
from .file import Cache
from .ledger import Ledger
from .parts import Parts, is_folder
from .plan import ExtractSettings, Plan, make_plan
from .removed import require_same_source
from .run import RunImages
from .stamps import Stamps
from .wanted import weights_for

__all__ = ["Preparation", "checked_out", "known_contents", "opened_before", "prepare"]

log = logging.getLogger("featx")


@dataclass(frozen=True, eq=False)
class Preparation:
    """What is to be computed, and what is known.

    Attributes
    ----------
    plan : Plan
    weights : Weights
    parts : Parts
        Those of a stopped run.
    known : Contents
        What is in the old cache and in these parts.
    stamps : Stamps
    ledger : Ledger
        With the account of every image that need not be read.
    images : RunImages
    """

    plan: Plan
    weights: Weights
    parts: Parts
    known: Contents
    stamps: Stamps
    ledger: Ledger
    images: RunImages

    @property
    def trunk(self) -> Trunk:
        """The network."""
        return Trunk(self.weights, self.plan.fingerprint, batch=self.plan.batch)


def prepare(
    listed: Catalog,
    out: Path,
    settings: ExtractSettings,
    old: Cache | None,
    sealed: Collection[str],
    progress: Progress | None,
) -> Preparation:
    """Decide what to compute.

    Parameters
    ----------
    listed : Catalog
    out : Path
    settings : ExtractSettings
    old : Cache, optional
        The cache that is brought up to date.
    sealed : collection of str
        See `opened_before`.
    progress : callable, optional
        For the weights; see `progress.Progress`.

    Raises
    ------
    InputError, IncompatibleError, CorruptError, StorageError
        See `extract.extract`.
    """
    if not len(listed):
        raise InputError("The source lists no images. Give one that does.")
    if old and not settings.prune:
        require_same_source(old, listed)
    parts = Parts(out, sealed)
    left = parts.fingerprint()
    before = old.fingerprint if old else left
    weights = weights_for(settings, before, progress)
    plan = make_plan(settings, weights, len(listed), before)
    if settings.overwrite and left != plan.fingerprint:
        parts.remove()
    elif not settings.overwrite:
        _require_compatible(plan.fingerprint, old.fingerprint if old else None, out)
        _require_compatible(plan.fingerprint, left, parts.folder)
    if plan.fingerprint.precision == "int8" and plan.fingerprint.ranges is None:
        require_here(plan.fingerprint.runtime, "int8", plan.fingerprint.trunk.network)
        plan = plan.with_ranges(_find_ranges(listed, plan, weights))
    known, stamps = known_contents(old, parts), Stamps(out, old, parts)
    ledger = Ledger(listed, known, max_bad=settings.max_bad, strict=settings.strict)
    missing = np.concatenate(list(_unknown(listed, stamps, known, ledger)))
    images = RunImages(listed, ledger.account, missing, known.digests)
    return Preparation(plan, weights, parts, known, stamps, ledger, images)


def checked_out(out: Path) -> Path:
    """Return the name of a cache, when it can be one.

    Raises
    ------
    InputError
    """
    if out.name == IMAGES and (out.parent / "parts").is_dir():
        raise InputError(
            f"{printable(out)} is a part of the cache {printable(out.parent)}. Give that folder."
        )
    if out.is_dir() and not is_folder(out):
        what = "a cache that is a folder" if Cache.is_cache(out) else "a folder"
        raise InputError(
            f"{printable(out)} is {what}. Give the name of a file, such as features.h5, or a "
            "name that ends in .d for a cache that is a folder."
        )
    if out.exists() and is_folder(out) and not out.is_dir():
        raise InputError(
            f"{printable(out)} is a file, and a name that ends in .d is for a cache that is a "
            "folder. Give another name, or rename the file."
        )
    if out.is_file() and not Cache.is_cache(out):
        raise InputError(f"{printable(out)} exists and is not a featx cache. Give another name.")
    if out.is_dir() and not Cache.is_cache(out):
        others = [name for name in sorted(os.listdir(out)) if not name.startswith(".")]
        strange = [name for name in others if name not in _OURS]
        if strange:
            raise InputError(
                f"{printable(out)} has other files than a cache, such as {printable(strange[0])}. "
                "Give another name."
            )
    return out


#: What a folder has in which a first extraction was stopped.
_OURS = ("parts", "stamps")


@contextlib.contextmanager
def opened_before(out: Path, *, overwrite: bool) -> Iterator[tuple[Cache | None, tuple[str, ...]]]:
    """Open the cache that is brought up to date, if there is one.

    Yields
    ------
    (Cache or None, tuple of str)
        None where it is made anew; and the names of the parts that belong to the cache as it is,
        which stay until another one takes its place.
    """
    if not Cache.is_cache(out):
        yield None, ()
        return
    if not overwrite:
        with Cache.open(out) as old:
            yield old, old.sealed
        return
    sealed: tuple[str, ...] = ()
    if is_folder(out):
        with contextlib.suppress(FeatxError), Cache.open(out) as old:  # a damaged one is replaced
            sealed = old.sealed
    yield None, sealed


def known_contents(old: Cache | None, parts: Parts) -> Contents:
    """Return the contents of a cache and of parts; only their sizes count, not their places."""
    return Contents.joined([*([old.contents()] if old else []), parts.contents()])


def _unknown(
    listed: Catalog, stamps: Stamps, known: Contents, ledger: Ledger
) -> Iterator[np.ndarray]:
    """Note images whose files are as they were; yield the indices of the others."""
    yield np.empty(0, np.int64)
    for start in range(0, len(listed), _BLOCK):
        block = listed.block(start, start + _BLOCK)
        found = stamps.unchanged(block)
        is_known = found.digests.any(axis=1) & (known.find(found.digests) >= 0)
        indices = start + np.arange(len(block))
        account = Account(found.digests[is_known], found.sizes[is_known], found.keys[is_known])
        ledger.take(indices[is_known], account)
        yield indices[~is_known]


_BLOCK = 1 << 13


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
