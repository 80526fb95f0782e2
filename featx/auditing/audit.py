"""Which images of a cache a person should look at: no network is run."""

import contextlib
import logging
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

import numpy as np

from .. import backend
from ..cache.file import Cache
from ..cache.removed import require_listed
from ..dataset import splits
from ..dataset.catalog import NO_LABEL
from ..errors import InputError, printable
from ..heads.settings import as_names
from ..keywords import takes
from ..progress import Progress, as_function, shows_progress
from ..storage import files, locks
from . import duplicates, labels, odd, table
from .folded import MANY, OutOfFold, few_units, make_folds, out_of_fold, score_of
from .neighbours import NOBODY, Neighbours, nearest, nearest_apart
from .pixels import Pixels, read_pixels
from .result import AuditResult
from .settings import AuditChanges, AuditSettings

__all__ = ["audit"]

log = logging.getLogger("featx")

_PARTNERS = 20  # most similar images of each, among which near duplicates are sought
_VOTERS = 10  # nearest images of other units, whose labels are evidence


@dataclass(frozen=True, eq=False)
class _Looked:
    """The labelled images of a cache, by position.

    Attributes
    ----------
    cache : Cache
    images : ndarray of int64, shape (n,)
        Index of each in the cache.
    rows : ndarray of float32, shape (n, d)
        View "avg".
    before : ndarray of int, shape (n,)
        Units as `compare` has them; see `splits.leakage_groups`.
    units : ndarray of int, shape (n,)
        The same, with near duplicates together.
    voters : ndarray of int64, shape (n, 10)
        Nearest images of other units.
    """

    cache: Cache
    images: np.ndarray
    rows: np.ndarray
    before: np.ndarray
    units: np.ndarray
    voters: np.ndarray

    @property
    def y(self) -> np.ndarray:
        """Labels, int32 (n,)."""
        return self.cache.labels[self.images]


@takes(AuditSettings, AuditChanges)
@shows_progress
@backend.own_settings()
def audit(
    features: str | os.PathLike[str] | Cache,
    out: str | os.PathLike[str] | None = None,
    settings: AuditSettings | None = None,
    *,
    groups: str | os.PathLike[str] | None = None,
    progress: Progress | bool | None = None,
    folds_progress: Progress | bool | None = None,
    **changes: Unpack[AuditChanges],
) -> AuditResult:
    """Find label issues, near duplicates, leaks and odd images among the images of a cache.

    All labelled images are looked at, whatever their split. Features come from the cache; the
    image files are read once, where they are still there. Nothing is changed.

    Parameters
    ----------
    features : path or Cache
        A cache made by `extract`.
    out : path, optional
        A manifest to write, .csv: all images, the most suspicious first, for a person to edit.
    settings : AuditSettings, optional
    groups : path, optional
        Another manifest to write, .csv: all images, with near duplicates in groups.
    progress : callable or True, optional
        True shows a bar; else see `progress.Progress`;
        counts images that are compared, then images that are read.
    folds_progress : callable, optional
        The same for the folds of the cross-validation.
    **changes
        Fields of `AuditSettings`, over those of `settings`.

    Returns
    -------
    AuditResult
        Labels that are probably wrong, doubles, odd images, and each image's quality.

    Raises
    ------
    InputError
        When no image has a label, a setting is wrong, or an output exists.
    CorruptError, IncompatibleError
        When the cache cannot be read.
    StorageError
        When an output cannot be written.

    Examples
    --------
    >>> import featx
    >>> found = featx.audit("features.h5", "audit.csv", heads=("lda",))  # doctest: +SKIP
    >>> len(found.odd) <= 80  # doctest: +SKIP
    True
    """
    progress = as_function(progress)
    folds_progress = as_function(folds_progress)
    settings = replace(settings or AuditSettings(), **changes)
    begun = time.monotonic()
    written = _outputs(out, groups, settings)
    if settings.folds < 2:
        raise InputError(f"The number of folds is {settings.folds}. Expected 2 or more.")
    with contextlib.ExitStack() as held, Cache.opened(features) as cache:
        for output in written.values():  # before the work, so that one not writable shows
            held.enter_context(locks.lock_output(output))
        require_listed(cache)
        catalog = cache.catalog
        images = np.flatnonzero(cache.labels != NO_LABEL)
        if not len(images):
            raise InputError(
                "The images have no labels. Put them into one folder a class, or give a manifest "
                "with a label column, and extract again: that costs no forward pass."
            )
        looked, pixels, pairs = _look(cache, images, settings, progress)
        examined = _Examined.of(looked, settings, folds_progress)
        suspects = {issue.path for issue in examined.issues}
        first = next(iter(written.values()), None)
        numbers = duplicates.components(len(images), pairs)
        found = AuditResult(
            images=len(images),
            label_issues=examined.issues,
            duplicates=duplicates.find_groups(catalog, images, pairs, numbers),
            odd=_odd_images(looked, pixels, suspects),
            unreadable=int((~pixels.is_read).sum()) if settings.pixels else 0,
            left_out=examined.left_out,
            heads=examined.folded.heads if examined.folded else (),
            score_before=examined.scores[0],
            score_after=examined.scores[1],
            paths=catalog.paths[images],
            quality=examined.quality,
            label_probability=examined.label_probability,
            neighbours_agree=examined.agree,
            out=written.get("out"),
            groups_out=written.get("groups"),
            is_outside=first is not None and table.lies_outside(catalog, first.parent),
        )
        if path := written.get("out"):
            _write(path, table.audit_table(catalog, found, path.parent), settings)
        if path := written.get("groups"):
            merged = table.merged_groups(catalog, images, looked.units)
            _write(path, table.groups_table(catalog, merged, path.parent), settings)
    return replace(found, seconds=round(time.monotonic() - begun, 3))


def _outputs(
    out: str | os.PathLike[str] | None,
    groups: str | os.PathLike[str] | None,
    settings: AuditSettings,
) -> dict[str, Path]:
    """Return the files to write, when they can be written."""
    given = {"out": out, "groups": groups}
    found = {name: Path(path) for name, path in given.items() if path is not None}
    for path in found.values():
        if path.suffix.lower() != ".csv":
            raise InputError(f"{printable(path)}: expected a name that ends in .csv.")
        files.require_new(path, settings.overwrite)
    if len(found) == 2 and len({path.resolve() for path in found.values()}) < 2:
        raise InputError(
            f"{printable(found['out'])} is given for the images and for the groups. Give two files."
        )
    return found


def _write(path: Path, content: bytes, settings: AuditSettings) -> None:
    files.require_new(path, settings.overwrite)  # another run may have written it meanwhile
    files.write_bytes(path, content)


# Looking ------------------------------------------------------------------------------------


def _look(
    cache: Cache, images: np.ndarray, settings: AuditSettings, progress: Progress | None
) -> tuple[_Looked, Pixels, duplicates.Pairs]:
    """Return the images with their neighbours, their pixels, and the pairs of duplicates."""
    catalog, digests = cache.catalog, cache.digests
    rows = np.nan_to_num(cache.matrix("avg", images=images, copies=0).X, copy=False)
    first, equal = duplicates.equal_pairs(digests[images])
    near = nearest(rows[first], _PARTNERS, progress)
    near = _of_positions(near, first, digests[images])
    pixels = Pixels.unread(len(images))
    if settings.pixels:
        pixels = read_pixels(catalog, digests, images, progress)
    pairs = duplicates.Pairs.joined(equal, duplicates.near_pairs(near, pixels, first))
    before = splits.leakage_groups(catalog, digests)[images]
    units = duplicates.components(len(images), pairs, before)
    voters = _voters(rows, near, units)
    return _Looked(cache, images, rows, before, units, voters), pixels, pairs


def _of_positions(near: Neighbours, first: np.ndarray, digests: np.ndarray) -> Neighbours:
    """Return neighbours of all images from those of the first image of each content."""
    content = np.unique(digests.astype(str), return_inverse=True)[1]
    row_of = np.empty(content.max(initial=0) + 1, np.int64)
    row_of[content[first]] = np.arange(len(first))
    index = np.where(near.index == NOBODY, NOBODY, first[near.index])
    return Neighbours(index[row_of[content]], near.cosine[row_of[content]])


def _voters(rows: np.ndarray, near: Neighbours, units: np.ndarray) -> np.ndarray:
    """Return the nearest images of other units; of few images, where the near ones are doubles."""
    apart = (near.index != NOBODY) & (units[near.index] != units[:, np.newaxis])
    order = np.argsort(~apart, axis=1, kind="stable")[:, :_VOTERS]
    found = np.where(
        np.take_along_axis(apart, order, axis=1),
        np.take_along_axis(near.index, order, axis=1),
        NOBODY,
    )
    lacking = np.flatnonzero((found == NOBODY).any(axis=1))
    if len(lacking):
        found[lacking] = nearest_apart(rows, _VOTERS, units, lacking).index
    return found


def _odd_images(looked: _Looked, pixels: Pixels, suspects: set[str]) -> list[odd.OddImage]:
    """Return the odd images; one whose label is suspected is no outlier of that class."""
    cache, images, y = looked.cache, looked.images, looked.y
    distance = odd.class_distances(looked.rows, y, looked.units)
    side = cache.sizes[images].min(axis=1)
    found = []
    alone = np.full(len(images), np.nan)
    if len(images) <= MANY:
        most = np.nan_to_num(cache.matrix("max", images=images, copies=0).X, copy=False)
        alone = odd.class_distances(most, np.zeros(len(y), y.dtype), looked.units)
    for kind, rows in odd.find_odd(odd.Measured(pixels, side, distance, alone, y)).items():
        for position, value, limit in zip(*(part.tolist() for part in rows), strict=True):
            path = str(cache.catalog.paths[images[position]])
            if kind == "outlier" and path in suspects:
                continue
            label = cache.catalog.classes[y[position]]
            found.append(odd.OddImage(path, label, kind, round(value, 4), round(limit, 4)))
    return found


# Labels -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Examined:
    """What is known of the labels; arrays are of all images, see `AuditResult`."""

    issues: list[labels.LabelIssue]
    quality: np.ndarray
    label_probability: np.ndarray
    agree: np.ndarray
    left_out: dict[str, int]
    folded: OutOfFold | None = None
    scores: tuple[float | None, float | None] = (None, None)

    @classmethod
    def of(cls, looked: _Looked, settings: AuditSettings, progress: Progress | None) -> "_Examined":
        """Cross-validate heads over all images, and compare what they say with the labels."""
        cache, images, y = looked.cache, looked.images, looked.y
        agree = labels.agreement(looked.voters, y)
        nothing = np.full(len(images), np.nan)
        kept, left_out = _examined_classes(looked)
        names = {cache.catalog.classes[label]: count for label, count in left_out.items()}
        for name, count in names.items():
            log.warning(
                "The labels of the class %s are not examined: fewer than two of its images (%d) "
                "are different.", printable(name), count,
            )  # fmt: skip
        if len(np.unique(y[kept])) < 2:
            log.warning("Labels are not examined: that needs two classes with two images each.")
            return cls([], nothing, nothing, agree, names)
        view = cache.without_classes(names)
        ours, chosen = view.labels[images[kept]], images[kept]
        together = np.full(len(cache), "", dtype=object)
        together[images] = [str(unit) for unit in looked.units.tolist()]
        folds = make_folds(ours, looked.units[kept], settings.folds, settings.seed)
        folded = out_of_fold(
            view.with_groups(together),
            chosen,
            folds,
            as_names(settings.heads),
            settings.seed,
            progress,
        )
        if folded.is_chance:
            log.warning("Labels are not judged: no head can be told from one that ignores images.")
            return cls([], nothing, nothing, agree, names)
        scores: tuple[float | None, float | None] = (None, None)
        if len(np.unique(looked.units[kept])) < len(np.unique(looked.before[kept])):
            apart = make_folds(ours, looked.before[kept], settings.folds, settings.seed)
            before = score_of(view, chosen, apart, folded.board, settings.seed, progress)
            scores = (round(before, 6), round(folded.board.choice.score, 6))
        quality, own = nothing.copy(), nothing.copy()
        quality[kept] = labels.label_quality(folded.probabilities, ours)
        own[kept] = folded.probabilities[np.arange(len(ours)), ours]
        better = labels.suggested_labels(folded.probabilities, ours)
        issues = [
            labels.LabelIssue(
                str(cache.catalog.paths[chosen[at]]),
                view.catalog.classes[ours[at]],
                view.catalog.classes[better[at]],
                round(float(folded.probabilities[at, ours[at]]), 6),
                round(float(folded.probabilities[at, better[at]]), 6),
                round(float(agree[kept[at]]), 4),
                round(float(quality[kept[at]]), 6),
            )
            for at in np.flatnonzero(better != labels.UNKNOWN).tolist()
        ]
        issues.sort(key=lambda issue: issue.quality)
        return cls(issues, quality, own, agree, names, folded, scores)


def _examined_classes(looked: _Looked) -> tuple[np.ndarray, dict[int, int]]:
    """Return the positions of images whose classes can be cross-validated, and the other classes.

    A class needs two units of its own. Without the images of one class, another can lack them too.
    """
    y = looked.y
    kept, left_out = np.arange(len(y)), dict[int, int]()
    while few := few_units(y[kept], looked.units[kept]):
        left_out |= {label: int((y == label).sum()) for label in few}
        kept = kept[~np.isin(y[kept], few)]
        if not len(kept):
            break
    return kept, dict(sorted(left_out.items()))
