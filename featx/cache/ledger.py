"""What became of every listed image: a row, a duplicate of one, or skipped for a reason."""

import logging

import numpy as np

from ..dataset.catalog import Catalog
from ..errors import CorruptError, InputError, printable
from ..images.decode import REASONS
from .account import Account
from .contents import Contents
from .rows import ListedRows
from .structure import Skipped

__all__ = ["Ledger"]

log = logging.getLogger("featx")

#: Bad images that are always tolerated, however few are listed.
_TOLERATED = 10


class Ledger:
    """The account of one extraction: ``listed == cached + duplicates + skipped``.

    It takes 57 bytes for each listed image.

    Parameters
    ----------
    listed : Catalog
    known : Contents
        Contents whose features are there already.
    max_bad : float, optional
        See `plan.ExtractSettings`.
    strict : bool
        See `plan.ExtractSettings`.
    asked : int, optional
        How many images are asked for, where that is not all of them.

    Attributes
    ----------
    seen : int
        Images whose account is known, of those that are asked for.
    details : dict
        A sentence about each skipped image, by its path.
    dark : list of str
        Images of this run that have 16 bits and are nearly black.
    """

    def __init__(
        self,
        listed: Catalog,
        known: Contents,
        *,
        max_bad: float | None = None,
        strict: bool = False,
        asked: int | None = None,
    ) -> None:
        self._listed = listed
        self._known = known
        self._max_bad = max_bad
        self._strict = strict
        self._asked = len(listed) if asked is None else asked
        self._digests = np.zeros((len(listed), 32), np.uint8)
        self._sizes = np.zeros((len(listed), 2), np.int32)
        self._keys = np.zeros((len(listed), 16), np.uint8)
        self._is_row = np.zeros(len(listed), bool)
        self._skipped: dict[int, Skipped] = {}
        self._dark: dict[int, str] = {}
        self.seen = 0
        self.details: dict[str, str] = {}

    def __len__(self) -> int:
        """Return how many images are asked for."""
        return self._asked

    def take(self, images: np.ndarray, account: Account) -> None:
        """Note what became of some images.

        Parameters
        ----------
        images : ndarray of int64, shape (n,)
            Their indices in the catalog.
        account : Account
            Of these images, in their order.

        Raises
        ------
        CorruptError
            When one cannot be used and that is one too many.
        """
        self._digests[images] = account.digests
        self._sizes[images] = account.sizes
        self._keys[images] = account.keys
        self._is_row[images] = account.is_row
        self.seen += len(images)
        for position in account.dark:
            self._dark[int(images[position])] = self._path(images[position])
        for position, (reason, detail) in sorted(account.skipped.items()):
            digest = account.digests[position]
            text = digest.tobytes().hex() if digest.any() else ""
            self._skip(int(images[position]), text, reason, detail)

    def _path(self, index: int | np.integer) -> str:
        return str(self._listed.block(int(index), int(index) + 1).paths[0])

    def _skip(self, index: int, digest: str, reason: str, detail: str) -> None:
        path = self._path(index)
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
        if len(self._skipped) > max(share * len(self), tolerated):
            raise CorruptError(
                f"{len(self._skipped)} of {len(self)} listed images cannot be used, more "
                f"than --max-bad {share:g} allows; the last is {meaning}. Finished work is kept."
            )

    @property
    def skipped(self) -> list[Skipped]:
        """The images that could not be used, in order."""
        return [self._skipped[index] for index in sorted(self._skipped)]

    @property
    def dark(self) -> list[str]:
        """Images of this run that have 16 bits and are nearly black, in order."""
        return [self._dark[index] for index in sorted(self._dark)]

    @property
    def account(self) -> Account:
        """What is known of every listed image so far; zeros where nothing is."""
        return Account(self._digests, self._sizes, self._keys)

    @property
    def keys(self) -> np.ndarray:
        """The stamp key of each row, uint8 (rows, 16); see `account.stamp_key`."""
        return self._keys if self._is_row.all() else self._keys[self._is_row]

    def rows(self) -> ListedRows:
        """Return the rows of the cache.

        Raises
        ------
        InputError
            When there is none, and all images were asked for.
        """
        chosen = np.flatnonzero(self._is_row)
        if not len(chosen) and len(self) == len(self._listed):
            first = self.skipped[0]
            raise InputError(
                f"None of the {len(self)} listed images can be used; the first is "
                f"{printable(first.path)}: {self.details[first.path]}, in "
                f"{printable(self._listed.root.absolute())}."
            )
        if len(self) != len(chosen) + len(self._skipped):
            raise AssertionError("a listed image is not accounted for")
        digests, sizes = self._digests, self._sizes
        if len(chosen) < len(self._listed):  # copies take 40 bytes an image
            digests, sizes = digests[chosen], sizes[chosen]
        unknown = np.flatnonzero(sizes[:, 0] == 0)  # what was known was not decoded again
        places = self._known.find(digests[unknown])
        sizes[unknown[places >= 0]] = self._known.sizes[places[places >= 0]]
        return ListedRows(self._listed, chosen, digests, sizes)
