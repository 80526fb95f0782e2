"""What became of every listed image: a row, a duplicate of one, or skipped for a reason."""

import logging
from collections.abc import Collection, Mapping

import numpy as np

from ..dataset.catalog import Catalog
from ..errors import CorruptError, InputError, printable
from ..images.decode import REASONS
from ..images.reader import Read
from .rows import CacheRows
from .structure import Skipped

__all__ = ["Ledger"]

log = logging.getLogger("featx")

#: Bad images that are always tolerated, however few are listed.
_TOLERATED = 10


class Ledger:
    """The account of one extraction: ``listed == cached + duplicates + skipped``.

    Parameters
    ----------
    listed : Catalog
    known : mapping
        See `plan.Plan`.
    max_bad : float, optional
        See `plan.ExtractSettings`.
    strict : bool
        See `plan.ExtractSettings`.

    Attributes
    ----------
    seen : int
        Images that were noted, of those that are listed.
    reused : int
        Different images whose features were known.
    details : dict
        A sentence about each skipped image, by its path.
    dark : list of str
        Images of this run that have 16 bits and are nearly black.
    """

    def __init__(
        self,
        listed: Catalog,
        known: Mapping[str, tuple[int, int]],
        *,
        max_bad: float | None = None,
        strict: bool = False,
    ) -> None:
        self._listed = listed
        self._known = known
        self._max_bad = max_bad
        self._strict = strict
        self._rows: list[tuple[int, str]] = []  # (index in the catalog, digest), in order
        self._sizes: dict[str, tuple[int, int]] = {}
        self._skipped: dict[int, Skipped] = {}
        self.seen = 0
        self.reused = 0
        self.details: dict[str, str] = {}
        self.dark: list[str] = []

    def __len__(self) -> int:
        """Return how many images are listed."""
        return len(self._listed)

    def note(self, read: Read) -> bool:
        """Note what became of the next image; return whether its features are to be computed.

        Raises
        ------
        CorruptError
            When it cannot be used and that is one too many.
        """
        index, self.seen = self.seen, self.seen + 1
        if read.reason:
            self._skip(index, read.digest, read.reason, read.detail)
            return False
        if read.is_dark:
            self.dark.append(str(self._listed.paths[index]))
        self._rows.append((index, read.digest))
        if read.digest in self._sizes:
            return False  # a duplicate
        is_new = read.digest not in self._known
        self.reused += not is_new
        self._sizes[read.digest] = (read.width, read.height) if is_new else self._known[read.digest]
        return is_new

    def drop(self, digests: Collection[str]) -> None:
        """Skip images that were noted, because their features are not finite numbers."""
        for index, digest in [row for row in self._rows if row[1] in digests]:
            self._rows.remove((index, digest))
            self._sizes.pop(digest, None)
            self._skip(index, digest, "nonfinite")

    def _skip(self, index: int, digest: str, reason: str, detail: str = "") -> None:
        path = str(self._listed.paths[index])
        self._skipped[index] = Skipped(path, digest, reason)
        self.details[path] = detail or REASONS[reason]
        meaning = f"{printable(path)}: {reason}, {self.details[path]}"
        if reason == "vanished":
            meaning += f" (it was looked for in {printable(self._listed.root.absolute())})"
        log.debug("Skipped %s", meaning)
        if self._strict:
            raise CorruptError(f"{meaning}. Remove it, or leave --strict out to skip such images.")
        share = 0.1 if self._max_bad is None else self._max_bad
        tolerated = _TOLERATED if self._max_bad is None else 0
        if len(self._skipped) > max(share * len(self._listed), tolerated):
            raise CorruptError(
                f"{len(self._skipped)} of {len(self._listed)} listed images cannot be used, more "
                f"than --max-bad {share:g} allows; the last is {meaning}. Finished work is kept."
            )

    @property
    def skipped(self) -> list[Skipped]:
        """The images that could not be used, in order."""
        return [self._skipped[index] for index in sorted(self._skipped)]

    def rows(self) -> CacheRows:
        """Return the rows of the cache.

        Raises
        ------
        InputError
            When there is none.
        """
        if not self._rows:
            first = self.skipped[0]
            raise InputError(
                f"None of the {len(self._listed)} listed images can be used; the first is "
                f"{printable(first.path)}: {self.details[first.path]}, in "
                f"{printable(self._listed.root.absolute())}."
            )
        digests = [digest for _, digest in self._rows]
        if len(self._listed) != len(self._rows) + len(self._skipped):
            raise AssertionError("a listed image is not accounted for")
        return CacheRows(
            self._listed.take(np.array([index for index, _ in self._rows])),
            np.array(digests, dtype=object),
            np.array([self._sizes[digest] for digest in digests], np.int32),
        )
