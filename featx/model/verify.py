"""Caches, their parts and models looked through, byte by byte."""

import os
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..cache.file import Cache
from ..cache.parts import Parts
from ..cache.writer import parts_beside
from ..dataset.catalog import SPLITS, Catalog
from ..dataset.scan import as_catalog
from ..errors import CorruptError, FeatxError, InputError, printable
from ..images import decode
from ..images.listed import digest_of
from ..plain import plain
from ..progress import Progress, as_function, ignore_progress, shows_progress
from ..storage import kinds
from .file import load

__all__ = ["VerifyResult", "verify"]

_NAMED = 5  # names in a message


@dataclass(frozen=True)
class VerifyResult:
    """What was found in a file.

    Attributes
    ----------
    path : Path
    kind : {"cache", "model", "unknown"}
    problems : list of str
        What is wrong; empty when all is well.
    usable : list of str
        What can still be used when something is wrong, and how.
    images : int
        Images of a cache, or that a model was trained on.
    parts : int
        Parts beside a cache that an unfinished run left.
    seconds : float
    """

    path: Path
    kind: str
    problems: list[str] = field(default_factory=list)
    usable: list[str] = field(default_factory=list)
    images: int = 0
    parts: int = 0
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the findings as plain values, for JSON."""
        return plain(self) | {"ok": not self.problems}


@shows_progress
def verify(
    path: str | os.PathLike[str],
    *,
    against: str | os.PathLike[str] | Catalog | None = None,
    progress: Progress | bool | None = None,
) -> VerifyResult:
    """Look through a cache with its parts, or a model: digest, then structure, then content.

    Nothing is parsed before the digest that the file keeps of itself is found to be right, and
    nothing is written.

    Parameters
    ----------
    path : path
    against : path or Catalog, optional
        The images it was made of: that each is there, and has the bytes it had.
    progress : callable or True, optional
        True shows a bar; else see `progress.Progress`.

    Returns
    -------
    VerifyResult
        What is wrong with the file; nothing, where it is sound.

    Raises
    ------
    InputError
        When there is no such file, or nothing to compare it with.

    Examples
    --------
    >>> import featx
    >>> featx.verify("features.h5").problems  # doctest: +SKIP
    []
    """
    progress = as_function(progress)
    begun = time.monotonic()
    path = Path(path)
    parts = Parts(path)
    if not path.exists() and not parts.folder.is_dir():
        raise InputError(f"{printable(path)} does not exist. Give a cache or a model.")
    told = progress or ignore_progress
    listed = None if against is None else as_catalog(against)
    problems: list[str] = []
    kind, count = "unknown", 0
    if Cache.is_cache(path):
        kind = "cache"
        parts, count = _check_cache(path, listed, problems, told)
    elif path.is_file() and kinds.is_model(path):
        kind = "model"
        count = _check_model(path, listed, problems)
    elif path.exists():
        problems.append(f"{printable(path)} is neither a featx cache nor a model.")
    whole = _check_parts(parts, problems)
    usable = _usable(kind, path, whole) if problems else []
    seconds = round(time.monotonic() - begun, 3)
    return VerifyResult(path, kind, problems, usable, count, whole, seconds)


def _check_cache(
    path: Path, listed: Catalog | None, problems: list[str], told: Progress
) -> tuple[Parts, int]:
    """Return the parts that are left beside the cache, and how many images it has."""
    try:
        with Cache.open(path) as cache:
            problems.extend(_content(cache, told))
            if listed:
                problems.extend(_differences(cache, listed))
            return parts_beside(path, cache), len(cache)
    except FeatxError as error:
        problems.append(str(error))
        return Parts(path), 0


def _content(cache: Cache, told: Progress) -> Iterator[str]:
    """Yield what is wrong with the rows of a cache."""
    rows = cache.rows(0, len(cache))
    malformed = sum(len(digest) != 64 or bool(digest.strip("0123456789abcdef"))
                    for digest in rows.digests)  # fmt: skip
    if malformed:
        yield f"{malformed} images have no SHA-256."
    if len(set(rows.catalog.paths)) != len(rows.catalog.paths):
        yield "Some image stands in it twice."
    if (rows.sizes < 1).any():
        yield "Some images have no size."
    strange = set(rows.catalog.splits) - {"", *SPLITS.values()}
    if strange:
        yield f"There is an unknown split, {printable(min(strange))!r}."
    bad, paths = [], [*rows.catalog.paths, *(image.path for image in cache.removed)]
    damaged: dict[str, None] = {}
    for row, path in enumerate(paths):
        kinds = [dataset for dataset in cache.datasets for _ in range(dataset.shape[1])]
        try:
            if not all(map(_is_finite, kinds, cache.chunks(row))):
                bad.append(str(path))
        except CorruptError as error:  # a part of a cache that is a folder
            damaged[str(error)] = None
        told(row + 1, len(paths))
    yield from list(damaged)[:_NAMED]
    if bad:
        yield f"The features of {_some(bad)} cannot be unpacked, or are not finite numbers."


def _is_finite(dataset: Any, chunk: bytes) -> bool:
    """Tell whether a compressed copy is as long as it should be, and of finite numbers."""
    size = int(np.prod(dataset.shape[2:])) * dataset.dtype.itemsize
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(chunk, size + 1)  # no more: a chunk can claim gigabytes
    except zlib.error:
        return False
    if len(data) != size or not unpacker.eof:
        return False
    return bool(np.isfinite(np.frombuffer(data, dataset.dtype)).all())


def _differences(cache: Cache, listed: Catalog) -> Iterator[str]:
    """Yield how a cache differs from the images on the disk."""
    there = {str(path): index for index, path in enumerate(listed.paths)}
    known = dict(zip(map(str, cache.catalog.paths), cache.digests, strict=True))
    known |= {row.path: row.digest for row in cache.skipped}
    labels = dict(zip(map(str, cache.catalog.paths), _labels(cache.catalog), strict=True))
    now = dict(zip(map(str, listed.paths), _labels(listed), strict=True))
    missing = [path for path in known if path not in there]
    changed = [path for path in known if path in there and _digest(
        listed, there[path], cache.fingerprint.trunk.bits) != known[path]]  # fmt: skip
    moved = [path for path in labels if path in now and now[path] != labels[path]]
    for names, what in (
        (missing, "not there any more"),
        (changed, "not the file that it was"),
        (moved, "of another class now"),
        ([path for path in there if path not in known], "not in the cache"),
    ):
        if names:
            yield f"{_some(names)} of {printable(listed.root)}: {what}."


def _labels(listed: Catalog) -> list[str]:
    names = [*listed.classes, ""]
    return [names[label] for label in listed.labels]


def _digest(listed: Catalog, index: int, bits: int) -> str:
    """Return the SHA-256 of an image's file; "" where it cannot be read, as the cache has it."""
    try:
        return digest_of(listed, index, bits)
    except decode.Rejected:
        return ""


def _some(names: list[str]) -> str:
    named = ", ".join(map(printable, names[:_NAMED]))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)} images ({named}{more})" if len(names) > 1 else f"1 image ({named})"


def _check_model(path: Path, listed: Catalog | None, problems: list[str]) -> int:
    try:
        model = load(path)
    except FeatxError as error:
        problems.append(str(error))
        return 0
    digests = set(model.trained_on)
    if listed:
        bits = model.fingerprint.trunk.bits
        there = {_digest(listed, index, bits) for index in range(len(listed))}
        if digests - there:
            problems.append(
                f"{len(digests - there)} of the {len(digests)} images that the model was trained "
                f"on are not in {printable(listed.root)}."
            )
    return len(digests)


def _check_parts(parts: Parts, problems: list[str]) -> int:
    """Return how many parts are whole."""
    whole = 0
    for path in parts.paths():
        try:
            parts.check(path)
            whole += 1
        except CorruptError as error:
            problems.append(str(error))
    return whole


def _usable(kind: str, path: Path, whole: int) -> list[str]:
    if kind == "model":
        return ["The cache and the images that it was fitted on: fit again."]
    found = []
    if whole:
        found.append(
            f"{whole} parts in {printable(Parts(path).folder)}: the next extract reuses them."
        )
    found.append("The images: featx extract --overwrite makes the cache anew.")
    return found
