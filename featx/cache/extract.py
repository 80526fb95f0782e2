"""Stage 1: every image through the frozen trunk once, into a cache."""

import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..dataset.catalog import Catalog
from ..dataset.scan import Source, as_catalog
from ..errors import CorruptError, IncompatibleError, InputError, printable
from ..images import augment, decode
from ..images.reader import Read, Reader
from ..images.sandbox import Job
from ..network import weights
from ..network.fingerprint import DTYPES, Fingerprint, TrunkFingerprint
from ..network.runtime import choose_precision, choose_runtime, precision_here
from ..network.trunk import BATCH, Trunk
from ..progress import Progress, ignore_progress
from ..storage import files
from .file import Cache, CacheRows, Skipped
from .parts import Parts
from .stamps import Stamps
from .writer import assemble

__all__ = ["ExtractResult", "ExtractSettings", "extract"]

log = logging.getLogger("featx")

#: Rows that a part has about: what a killed run loses at most.
_PART_ROWS = 128
#: Bad images that are always tolerated, however few are listed.
_TOLERATED = 10


@dataclass(frozen=True)
class ExtractSettings:
    """How images become features.

    Attributes
    ----------
    cut : str
        VGG16's layer where the trunk ends, such as "block5_pool" or "block4_pool".
    size : int
        Pixels a side; a multiple of 32.
    resize : {"squash", "crop"}
        Whether both sides are resized, or the middle square is taken.
    copies : int
        Augmented copies beside each original.
    augment : str, optional
        A policy of `augment.POLICIES`; by default "mild" with copies and "none" without.
    seed : int
        Of the copies.
    weights : str
        "auto", "keras", "torchvision", "random", or a path. See `weights.resolve_weights`.
    preprocessing : {"caffe", "torch"}, optional
        For a weights file that is not a known one.
    precision : {"auto", "float32", "bfloat16"}
        In which the network computes; auto is bfloat16 where the hardware has it natively.
    dtype : {"float16", "float32"}
        Of the cached features.
    runtime : {"auto", "tensorflow", "winograd", "openvino"}
        What computes the network; auto is what `out` was made with, else as
        `runtime.choose_runtime` says.
    batch : int
        Images in a batch of the network.
    max_bad : float, optional
        Largest share of images that may be skipped; by default a tenth, and always ten.
    strict : bool
        Stop at the first image that cannot be used.
    overwrite : bool
        Make an existing cache anew, whatever its settings. An interrupted run with the same
        settings goes on all the same.
    """

    cut: str = "block5_pool"
    size: int = 224
    resize: str = "crop"
    copies: int = 0
    augment: str | None = None
    seed: int = 0
    weights: str = "auto"
    preprocessing: str | None = None
    precision: str = "auto"
    dtype: str = "float16"
    runtime: str = "auto"
    batch: int = BATCH
    max_bad: float | None = None
    strict: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class ExtractResult:
    """What `extract` did.

    ``listed == cached + duplicates + len(skipped)``, always.

    Attributes
    ----------
    listed : int
        Images in the source.
    cached : int
        Different images that are in the cache.
    reused : int
        Those of `cached` whose features were there before.
    forward : int
        Copies that went through the network.
    duplicates : int
        Images with the very bytes of a cached one; each has its own row all the same.
    skipped : list of Skipped
        Images that could not be used, with the reason.
    ignored : int
        Files that do not look like images.
    out : Path
        The cache.
    seconds : float
    """

    listed: int
    cached: int
    reused: int
    forward: int
    duplicates: int
    skipped: list[Skipped]
    ignored: int
    classes: dict[str, int]
    fingerprint: Fingerprint
    weights: str
    out: Path
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain values, for JSON."""
        return {
            "listed": self.listed,
            "cached": self.cached,
            "reused": self.reused,
            "forward": self.forward,
            "skipped": [{"path": row.path, "reason": row.reason} for row in self.skipped],
            "duplicates": self.duplicates,
            "ignored": self.ignored,
            "classes": self.classes,
            "weights": self.weights,
            "fingerprint": self.fingerprint.as_dict(),
            "out": str(self.out),
            "seconds": self.seconds,
        }


def extract(
    source: Source,
    out: str | os.PathLike[str],
    settings: ExtractSettings | None = None,
    *,
    progress: Progress | None = None,
    download_progress: Progress | None = None,
    **changes: Any,
) -> ExtractResult:
    """Put the features of all images of a source into a cache.

    What the cache has already is reused, by the digest of each file: an unchanged folder costs no
    forward pass, and added images cost only themselves. A stopped run goes on where it was.

    Parameters
    ----------
    source : path, several paths, or Catalog
        See `scan.scan`.
    out : path
        The cache file to make or to bring up to date.
    settings : ExtractSettings, optional
    progress : callable, optional
        See `progress.Progress`; the detail is the number of images computed in this run.
    download_progress : callable, optional
        See `progress.Progress`; in bytes.
    **changes
        Fields of `ExtractSettings`, over those of `settings`.

    Returns
    -------
    Extraction

    Raises
    ------
    InputError
        When the source or a setting is wrong, or no image could be used.
    IncompatibleError
        When `out` was made with other settings; the message names those that differ.
    CorruptError
        When `out` is damaged, or too many images are.
    StorageError
        When the disk fails, or the weights cannot be had.
    LockedError
        When another run writes `out`.
    """
    settings = replace(settings or ExtractSettings(), **changes)
    begun = time.monotonic()
    listed = as_catalog(source)
    out = _checked_out(Path(out))
    with files.lock_output(out):
        old = Cache.open(out) if out.exists() and not settings.overwrite else None
        try:
            run = _Run(listed, settings, out, old, progress, download_progress)
            return run.finish(begun)
        finally:
            if old:
                old.close()


def _checked_out(out: Path) -> Path:
    if out.is_dir():
        raise InputError(
            f"{printable(out)} is a folder. Give the name of a file, such as features.h5."
        )
    if out.exists() and not Cache.is_cache(out):
        raise InputError(f"{printable(out)} exists and is not a featx cache. Give another name.")
    return out


# The run ------------------------------------------------------------------------------------


class _Run:
    """One extraction under way."""

    def __init__(
        self,
        listed: Catalog,
        settings: ExtractSettings,
        out: Path,
        old: Cache | None,
        progress: Progress | None,
        download_progress: Progress | None,
    ) -> None:
        self.listed = listed
        self.settings = settings
        self.out = out
        self.old = old
        self.progress = progress or ignore_progress
        self.parts = Parts(out)
        self.stamps = Stamps(out)
        left = self.parts.fingerprint()
        before = old.fingerprint if old else left
        self.weights = weights.resolve_weights(
            settings.weights,
            preprocessing=settings.preprocessing,
            wanted=before.trunk.weights if before else None,
            progress=download_progress,
        )
        self.fingerprint = _fingerprint(settings, self.weights, before, len(listed))
        if settings.overwrite and left != self.fingerprint:
            self.parts.remove()
        elif not settings.overwrite:
            _check_compatible(self.fingerprint, old.fingerprint if old else None, out)
            _check_compatible(self.fingerprint, left, self.parts.folder)
        # Where the features and sizes of known images are: digest → (width, height).
        self.known: dict[str, tuple[int, int]] = {}
        if old:
            self.known.update(zip(old.digests, map(tuple, old.sizes.tolist()), strict=True))
        for digest, place in self.parts.index().items():
            self.known[digest] = (place.width, place.height)
        job = Job(settings.size, settings.resize, _policy(settings), settings.seed, settings.copies)
        self.reader = Reader(job, self.known)
        self.trunk = Trunk(
            self.weights,
            self.fingerprint.trunk,
            precision=self.fingerprint.precision,
            dtype=self.fingerprint.dtype,
            batch=settings.batch,
            runtime=self.fingerprint.runtime,
        )
        self.rows: list[tuple[int, str]] = []  # (index in the catalog, digest), in order
        self.sizes: dict[str, tuple[int, int]] = {}
        self.skipped: dict[int, Skipped] = {}
        self.reused = 0
        self.forward = 0
        self.pending: list[Read] = []

    def finish(self, begun: float) -> ExtractResult:
        """Go through all images, make the cache, and say what was done."""
        each = self.fingerprint.copies + 1
        in_part = self.settings.batch * max(1, _PART_ROWS // (self.settings.batch * each))
        self.progress(0, len(self.listed), 0)
        for index, read in enumerate(self._reads(in_part)):
            if read.reason:
                self._skip(index, read.digest, read.reason)
            else:
                self._add(index, read)
            if len(self.pending) == in_part:
                self._write_part(index + 1)
            elif not self.pending:
                self.progress(index + 1, len(self.listed), self.forward)
        if self.pending:
            self._write_part(len(self.listed))
        return self._publish(begun)

    def _reads(self, window: int) -> Iterator[Read]:
        """Yield every image; those that are known and as they were are not read."""
        paths = self.listed.paths
        digests = self.stamps.digests(self.listed.root, paths)
        others = (
            self.listed.file(index)
            for index, digest in enumerate(digests)
            if digest not in self.known
        )
        reads = self.reader.ahead(others, window)
        for path, digest in zip(paths, digests, strict=True):
            if digest in self.known:
                yield Read(digest)
                continue
            read = next(reads)
            if not read.reason:
                self.stamps.note(path, read.stamp, read.digest)
            yield read

    def _add(self, index: int, read: Read) -> None:
        self.rows.append((index, read.digest))
        if read.digest in self.sizes:
            return  # a duplicate
        if read.digest in self.known:
            self.sizes[read.digest] = self.known[read.digest]
            self.reused += 1
        else:
            self.sizes[read.digest] = (read.width, read.height)
            self.pending.append(read)

    def _skip(self, index: int, digest: str, reason: str) -> None:
        settings = self.settings
        path = str(self.listed.paths[index])
        self.skipped[index] = Skipped(path, digest, reason)
        meaning = f"{printable(path)}: {reason}, {decode.REASONS[reason]}"
        log.debug("Skipped %s", meaning)
        if settings.strict:
            raise CorruptError(f"{meaning}. Remove it, or leave --strict out to skip such images.")
        share = 0.1 if settings.max_bad is None else settings.max_bad
        tolerated = _TOLERATED if settings.max_bad is None else 0
        if len(self.skipped) > max(share * len(self.listed), tolerated):
            raise CorruptError(
                f"{len(self.skipped)} of {len(self.listed)} listed images cannot be used, more "
                f"than --max-bad {share:g} allows; the last is {meaning}. Finished work is kept."
            )

    def _write_part(self, done: int) -> None:
        """Send the pending images through the network and write them as a part."""
        pixels = np.concatenate([image.pixels for image in self.pending])
        features = np.empty((len(pixels), *self.fingerprint.trunk.shape), self.fingerprint.dtype)
        for start in range(0, len(pixels), self.settings.batch):
            stop = min(start + self.settings.batch, len(pixels))
            features[start:stop] = self.trunk.features(pixels[start:stop])
            self.forward += stop - start
            left = (len(pixels) - stop) // (1 + self.fingerprint.copies)
            self.progress(done - left, len(self.listed), self.forward)
        features = features.reshape(len(self.pending), *self.fingerprint.shape)
        finite = [bool(np.isfinite(rows).all()) for rows in features]
        good = [image for image, fine in zip(self.pending, finite, strict=True) if fine]
        bad = {p.digest for p, fine in zip(self.pending, finite, strict=True) if not fine}
        self.pending = []
        if good:
            self.parts.write(
                features[finite],
                [image.digest for image in good],
                [(image.width, image.height) for image in good],
                self.fingerprint,
            )
        for index, digest in [row for row in self.rows if row[1] in bad]:
            self.rows.remove((index, digest))
            self.sizes.pop(digest, None)
            self._skip(index, digest, "nonfinite")

    def _publish(self, begun: float) -> ExtractResult:
        skipped = [self.skipped[index] for index in sorted(self.skipped)]
        if not self.rows:
            raise InputError(
                f"None of the {len(self.listed)} listed images can be used; the first is "
                f"{printable(skipped[0].path)}: {decode.REASONS[skipped[0].reason]}."
            )
        digests = [digest for _, digest in self.rows]
        rows = CacheRows(
            self.listed.take(np.array([index for index, _ in self.rows])),
            np.array(digests, dtype=object),
            np.array([self.sizes[digest] for digest in digests], np.int32),
        )
        cached = len(set(digests))
        duplicates = len(digests) - cached
        if len(self.listed) != cached + duplicates + len(skipped):
            raise AssertionError("a listed image is not accounted for")
        if not (self.old and self.old.holds(rows, skipped)):
            assemble(self.out, rows, skipped, self.fingerprint, parts=self.parts, old=self.old)
        self.parts.remove()
        self.stamps.save()
        return ExtractResult(
            listed=len(self.listed),
            cached=cached,
            reused=self.reused,
            forward=self.forward,
            duplicates=duplicates,
            skipped=skipped,
            ignored=self.listed.ignored,
            classes=rows.catalog.class_counts(),
            fingerprint=self.fingerprint,
            weights=self.weights.provider,
            out=self.out,
            seconds=round(time.monotonic() - begun, 3),
        )


def _policy(settings: ExtractSettings) -> augment.Policy:
    name = settings.augment or ("mild" if settings.copies else "none")
    return augment.get_policy(name, settings.copies)


def _fingerprint(
    settings: ExtractSettings, chosen: weights.Weights, before: Fingerprint | None, n: int
) -> Fingerprint:
    """Return the fingerprint of what n images are asked for; "auto" follows what is there."""
    if settings.dtype not in DTYPES:
        raise InputError(f"Unknown dtype {settings.dtype!r}. Expected one of {', '.join(DTYPES)}.")
    if settings.batch < 1:
        raise InputError(f"The batch size is {settings.batch}. Expected 1 or more.")
    was, by = (before.precision, before.runtime) if before else ("auto", None)
    wanted = was if settings.precision == "auto" else settings.precision
    if before and settings.precision == "auto" and precision_here(was, runtime=by or "") != was:
        log.warning(
            "The cache was made in %s, which this processor emulates, several times slower than "
            "float32. To compute in float32, give another output and --precision float32.",
            was,
        )
    chosen_runtime = choose_runtime(
        settings.runtime, by, precision=wanted, size=settings.size, images=n
    )
    return Fingerprint(
        TrunkFingerprint(
            weights=chosen.digest,
            preprocessing=chosen.preprocessing,
            cut=settings.cut,
            size=settings.size,
            resize=settings.resize,
        ),
        copies=settings.copies,
        augment=_policy(settings).as_json() if settings.copies else "",
        seed=settings.seed if settings.copies else 0,
        dtype=settings.dtype,
        precision=choose_precision(wanted, chosen_runtime),
        runtime=chosen_runtime,
    )


def _check_compatible(wanted: Fingerprint, before: Fingerprint | None, out: Path) -> None:
    if before and (different := before.differences(wanted)):
        listed = "\n".join(
            f"  {name}: {was} there, {now} now" for name, (was, now) in different.items()
        )
        raise IncompatibleError(
            f"{printable(out)} was made with other settings:\n{listed}\n"
            "Use those, give another output, or add --overwrite to make it anew."
        )
