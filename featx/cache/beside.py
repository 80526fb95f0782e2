"""Features of the same images from several caches, as one cache to those who read it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..dataset.catalog import Catalog
from ..errors import IncompatibleError, InputError, printable
from ..network.activations import Activations
from ..network.views import View
from .file import Cache
from .removed import require_listed

__all__ = ["Beside", "match_rows", "place_beside"]

_NAMED = 3  # images in a message
_ADVICE = (
    "Make the caches of the same images with the same labels, splits and groups: run featx extract "
    "again on the folder as it is now, for each of them."
)


class Beside(Cache):
    """Features of several caches side by side, of the images of one, in its order.

    It is open as long as they are, and has no datasets of its own: `blocks` and `matrix` read from
    all of them.

    Parameters
    ----------
    table : Cache
        Which images there are, with their labels, splits and groups.
    caches : sequence of Cache
        Whose features are read; `table` may be among them.
    rows : sequence of ndarray of int
        For each of them, the row of each image of `table`: see `match_rows`.

    Raises
    ------
    InputError
        When they have other copies of the images; see `Fingerprint`.
    """

    def __init__(self, table: Cache, caches: Sequence[Cache], rows: Sequence[np.ndarray]) -> None:
        vars(self).update(vars(table))
        first, *others = (cache.fingerprint for cache in caches)
        self.fingerprint = replace(first, also=tuple(others))
        self.caches, self._rows = tuple(caches), tuple(rows)
        self._kept, self.pools, self.cut_pools, self.parts = {}, None, None, None

    @property
    def paths(self) -> tuple[Path, ...]:
        """The caches whose features are read."""
        return tuple(cache.path for cache in self.caches)

    @property
    def features(self) -> Any:
        """Refused: features are read from several caches.

        Raises
        ------
        IncompatibleError
        """
        raise IncompatibleError(
            f"{' and '.join(map(printable, self.paths))} are read image by image here, side by "
            "side. Open one of them by itself for its features as one array."
        )

    @property
    def datasets(self) -> Any:
        """Refused, as `features` is."""
        return self.features

    def chunks(self, row: int) -> Iterator[bytes]:
        """Refused, as `features` is."""
        self.features  # noqa: B018 - raises
        yield b""

    def recorded_digest(self) -> str:
        """Return the SHA-256 that each file gives of itself, joined by "+"."""
        return "+".join(cache.recorded_digest() for cache in self.caches)

    def blocks(
        self, images: np.ndarray, copies: int, view: View | None = None
    ) -> Iterator[tuple[int, Activations]]:
        """Yield activations of images in blocks, those of each cache side by side."""
        views: Sequence[View | None] = view.each if view else [None] * len(self.caches)
        read = [
            cache.blocks(rows[images], copies, seen)
            for cache, rows, seen in zip(self.caches, self._rows, views, strict=True)
        ]
        for (start, first), *others in zip(*read, strict=True):
            yield start, replace(first, also=tuple(some for _, some in others))

    def close(self) -> None:
        """Leave the caches open: whoever opened them closes them."""


def place_beside(caches: Sequence[Cache]) -> Cache:
    """Return the features of the same images from several caches, side by side, as one cache.

    The images are matched by the SHA-256 of their files, and have the order, the labels, splits and
    groups of the first. The caches stay open, and are closed by whoever opened them.

    Raises
    ------
    InputError
        When they are not of the same images, with the same labels, splits, groups and copies; the
        message names a few.
    """
    table, *others = caches
    if not others:
        return table
    rows = [np.arange(len(table)), *(match_rows(table, other) for other in others)]
    return Beside(table, caches, rows)


def match_rows(table: Cache, other: Cache) -> np.ndarray:
    """Return the row in another cache of each image of one, by the SHA-256 of the files.

    Raises
    ------
    InputError
        When an image is in one of them only, or has another label, split or group there; the
        message names a few.
    """
    for cache in (table, other):
        require_listed(cache)
    # Ranks are equal where texts are, in both caches.
    columns = [
        np.unique(np.concatenate([one, two]), return_inverse=True)[1]
        for one, two in zip(_columns(table), _columns(other), strict=True)
    ]
    mine, theirs = (
        [column[some] for column in columns]
        for some in (slice(len(table)), slice(len(table), None))
    )
    order, there = np.lexsort(mine), np.lexsort(theirs)
    is_same = len(table) == len(other) and all(
        np.array_equal(a[order], b[there]) for a, b in zip(mine, theirs, strict=True)
    )
    if not is_same:
        raise InputError(_differences(table, other))
    rows = np.empty(len(table), np.int64)
    rows[order] = there
    return rows


def _columns(cache: Cache) -> list[np.ndarray]:
    """Return what must be equal of an image: group, split, label, and the bytes of its digest."""
    catalog = cache.catalog
    texts = (catalog.groups, catalog.splits, _labels(catalog))
    digests = np.ascontiguousarray(cache.content).view("S32")[:, 0]
    return [*(np.array(list(map(str, column)), str) for column in texts), digests]


def _labels(catalog: Catalog) -> list[str]:
    names = [*catalog.classes, ""]  # the last is that of an image without a label
    return [names[label] for label in catalog.labels.tolist()]


def _differences(table: Cache, other: Cache) -> str:
    """Return how the images of two caches differ, in words."""
    a, b = printable(table.path), printable(other.path)
    lines = [f"{a} and {b} are not of the same images:"]
    for here, there, name, lacking in ((table, other, a, b), (other, table, b, a)):
        known = set(there.digests)
        paths = [
            str(path)
            for path, digest in zip(here.catalog.paths, here.digests, strict=True)
            if digest not in known
        ]
        if paths:
            lines.append(f"  {_some(paths)} of {name} {_is(paths)} not in {lacking}")
    mine, theirs = _facts(table), _facts(other)
    for word, at in (("label", 0), ("split", 1), ("group", 2)):
        paths = [
            path
            for digest, (path, facts) in mine.items()
            if digest in theirs and facts[at] != theirs[digest][1][at]
        ]
        if paths:
            lines.append(f"  {_some(paths)} {_has(paths)} another {word} in {b} than in {a}")
    if len(lines) == 1:
        lines.append("  the same file is listed more often in one of them")
    return "\n".join([*lines, _ADVICE])


def _facts(cache: Cache) -> dict[str, tuple[str, list[set[str]]]]:
    """Return for each content a path, and its labels, splits and groups."""
    found: dict[str, tuple[str, list[set[str]]]] = {}
    groups, splits, labels, _ = (column.tolist() for column in _columns(cache))
    rows = zip(cache.digests, cache.catalog.paths, labels, splits, groups, strict=True)
    for digest, path, *facts in rows:
        known = found.setdefault(digest, (str(path), [set() for _ in facts]))[1]
        for some, fact in zip(known, facts, strict=True):
            some.add(fact)
    return found


def _some(paths: Sequence[str]) -> str:
    named = ", ".join(map(printable, paths[:_NAMED]))
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return f"{len(paths)} images ({named}{more})" if len(paths) > 1 else f"1 image ({named})"


def _is(paths: Sequence[str]) -> str:
    return "are" if len(paths) > 1 else "is"


def _has(paths: Sequence[str]) -> str:
    return "have" if len(paths) > 1 else "has"
