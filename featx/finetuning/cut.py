"""The cache of a model's images at another cut: found, or extracted."""

import logging
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..cache.extract import extract
from ..cache.file import Cache
from ..cache.parts import FOLDER, is_folder
from ..cache.plan import settings_of
from ..cache.removed import require_listed
from ..dataset.catalog import Catalog
from ..dataset.scan import Source
from ..errors import InputError, printable
from ..model.model import Model
from ..network.fingerprint import Fingerprint
from ..network.runtime import choose_here
from ..progress import Progress

__all__ = ["cache_at", "check_pools", "check_trunk"]

log = logging.getLogger("featx")


def cache_at(
    cut: str,
    model: Model,
    source: str | os.PathLike[str] | Catalog | None,
    out: Path,
    progress: Progress | None,
) -> Path:
    """Return the path of a cache at the cut, extracted where it is not there yet.

    Parameters
    ----------
    cut : str
        A layer of the network.
    model : Model
        Whose images they are.
    source : path or Catalog, optional
        A cache at the cut, which is taken; or one at another cut, beside which the new one is
        made; or images. By default the cache that the model was fitted on.
    out : path
        Beside which it is made where the source is images.
    progress : callable, optional
        See `progress.Progress`.

    Raises
    ------
    InputError
        When there is no source.
    IncompatibleError
        When the cache is of another network than the model's.
    CorruptError, StorageError, LockedError
        See `extract.extract`.
    """
    if isinstance(source, Catalog):
        path = _beside(out, cut, model)
        _extract(source, path, cut, model.fingerprint, model, progress)
        return path
    kept = model.report["train"]["features"]
    if source is None and not kept:
        raise InputError(
            "The model was fitted on images that a Python program gave. Give their folder, or a "
            "cache of them, after the model."
        )
    given = Path(source if source is not None else kept)
    if source is None and not given.exists():
        raise InputError(
            f"The model was fitted on {printable(given)}, which is not there. Give the images, or "
            "a cache of them, after the model."
        )
    if not Cache.is_cache(given):
        path = _beside(out, cut, model)
        _extract(given, path, cut, model.fingerprint, model, progress)
        return path
    with Cache.open(given) as first:
        require_listed(first)
        if first.fingerprint.trunk.cut == cut:
            first.features  # noqa: B018 - refuses where there are none
            return given
        path = _beside(given, cut, model)
        if Cache.is_cache(path):
            with Cache.open(path) as there:
                there.features  # noqa: B018 - refuses where there are none
                if _is_at(there, first, cut) and model.view.is_seen_in(there.fingerprint):
                    return path
        root = first.catalog.root
        if not root.exists():
            raise InputError(
                f"The images of {printable(given)} were in {printable(root)}, which is not there. "
                "If they were moved, bring the cache up to date, which computes nothing anew: "
                f"featx extract NEWFOLDER -o {printable(given)}. Or give the folder after the "
                "model."
            )
        _extract(first.catalog, path, cut, first.fingerprint, model, progress)
    return path


def _beside(path: Path, cut: str, model: Model) -> Path:
    """Return the name of the cache at the cut: one with layer pools has a name of its own."""
    pooled = ".layers" if model.view.kind.layers else ""
    end = FOLDER if is_folder(path) else ".h5"
    return path.with_name(f"{path.stem}.{cut}{pooled}{end}")


def _is_at(there: Cache, first: Cache, cut: str) -> bool:
    """Tell whether a cache has the images of another, at the cut."""
    mine, other = (one.fingerprint.without_layers() for one in (first, there))
    same = set(mine.differences(other)) <= {"cut", "precision", "runtime", "ranges"}
    return (
        same
        and there.fingerprint.trunk.cut == cut
        and np.array_equal(there.digests, first.digests)
        and np.array_equal(there.labels, first.labels)
        and np.array_equal(there.catalog.splits, first.catalog.splits)
    )


def _extract(
    source: Source,
    path: Path,
    cut: str,
    fingerprint: Fingerprint,
    model: Model,
    progress: Progress | None,
) -> None:
    trunk = fingerprint.trunk
    copies = fingerprint.copies
    runtime, precision = choose_here(
        fingerprint.runtime, fingerprint.precision, size=trunk.size, network=trunk.network
    )
    settings = replace(
        settings_of(fingerprint),
        cut=cut,
        size=(trunk.size, *model.fingerprint.sizes),
        layers=model.fingerprint.layers,
        mirror=model.fingerprint.mirror,
        keep="all",
        weights=str(model.trunk.weights.path or "random"),
        precision=precision,
        runtime=runtime,
    )
    side, _, channels = trunk.shape_at(cut)
    each = side * side * channels * np.dtype(fingerprint.dtype).itemsize * (1 + copies)
    log.info(
        "Extracting at %s into %s: %.0f KB an image before compression, %d copies.",
        cut, printable(path), each / 1e3, copies,
    )  # fmt: skip
    extract(source, path, settings, progress=progress)


def check_pools(model: Model) -> None:
    """Check that layers after a cut can give the layer pools that a model sees.

    Raises
    ------
    InputError
        When they are of more than one pass, of which there are no features at the cut, or when
        layers are pooled after the last one that is trained.
    """
    if not model.view.kind.layers:
        return
    pooled = model.view.pooled
    if len(pooled.passes) > 1:
        raise InputError(
            f"The model sees layers over {len(pooled.passes)} passes, at "
            f"{' and '.join(map(str, pooled.passes))} pixels. Fine-tuned layers give those of one. "
            "Extract at one size without mirrored images and fit again, or fit with --view "
            "covariance or avg."
        )
    row = model.fingerprint.trunk.row
    if row.deepest(model.until, *pooled.names) != model.until:
        raise InputError(
            f"The model sees {pooled.names[-1]}, which comes after {model.until}, the last layer "
            f"that is trained. Extract with --cut {row.last} and fit again."
        )


def check_trunk(model: Model, cache: Cache, cut: str) -> None:
    """Check that a cache holds features of the model's network at the cut.

    Raises
    ------
    IncompatibleError
        When it does not; the message names what differs.
    """
    replace(model.fingerprint.trunk, cut=cut).require_equal(
        cache.fingerprint.trunk,
        mine="needed",
        theirs="there",
        advice="Leave the cache out to have the right one made.",
        where=str(cache.path),
    )
