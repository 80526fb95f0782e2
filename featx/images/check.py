"""A look at the images of a source before anything is computed."""

import contextlib
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..dataset.catalog import NO_LABEL
from ..dataset.duplicates import EqualImages, find_equal
from ..dataset.scan import Source, as_catalog
from ..plain import plain
from ..progress import Progress, as_function, ignore_progress, shows_progress
from .decode import SkippedImage
from .listed import read_ahead
from .reader import Reader
from .sandbox import Job

__all__ = ["CheckResult", "check"]

_SIZE = 32  # pixels: decoding is what is tried, and a JPEG is decoded at a reduced scale for it
_AHEAD = 64
_FEW = 10  # images of a class, below which scores are mostly chance


@dataclass(frozen=True, eq=False)
class CheckResult:
    """The images that can be used, those that cannot, and those that are there twice.

    Attributes
    ----------
    listed, usable : int
    skipped : list of SkippedImage
    equal : list of EqualImages
        Groups of images with the same bytes.
    dark : list of str
        Images with 16 bits that use less than a sixteenth of them.
    unlabelled : int
        Usable images without a label.
    ignored : int
        Files that do not look like images.
    classes, splits : dict of int
        Usable images by class and by split.
    seconds : float
    """

    listed: int
    usable: int
    skipped: list[SkippedImage]
    equal: list[EqualImages]
    dark: list[str]
    unlabelled: int
    ignored: int
    classes: dict[str, int]
    splits: dict[str, int]
    seconds: float

    @property
    def conflicts(self) -> list[EqualImages]:
        """Equal images with different labels: `fit` refuses them."""
        return [equal for equal in self.equal if equal.has_conflict]

    @property
    def few(self) -> dict[str, int]:
        """Classes with so few images that their scores are mostly chance."""
        return {name: count for name, count in self.classes.items() if count < _FEW}

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain values, for JSON."""
        return {
            "listed": self.listed,
            "usable": self.usable,
            "skipped": plain(self.skipped),
            "equal": [equal.as_dict() for equal in self.equal],
            "conflicts": [equal.as_dict() for equal in self.conflicts],
            "dark": self.dark,
            "unlabelled": self.unlabelled,
            "ignored": self.ignored,
            "classes": self.classes,
            "splits": self.splits,
            "seconds": self.seconds,
        }


@shows_progress
def check(source: Source, *, progress: Progress | bool | None = None) -> CheckResult:
    """Decode every image of a source as `extract` would, without the network.

    Parameters
    ----------
    source : path, several paths, or Catalog
        See `scan.scan`.
    progress : callable or True, optional
        True shows a bar; else see `progress.Progress`.

    Returns
    -------
    CheckResult
        Which images are usable, which are not and why, and equal files.

    Raises
    ------
    InputError
        When the source is wrong; see `scan.scan`.

    Examples
    --------
    >>> import featx
    >>> featx.check("photos").usable  # doctest: +SKIP
    80
    """
    progress = as_function(progress)
    begun = time.monotonic()
    listed = as_catalog(source)
    told = progress or ignore_progress
    told(0, len(listed), 0)
    skipped: list[SkippedImage] = []
    digests, dark, good = [], [], []
    images, reader = range(len(listed)), Reader(Job(_SIZE, "crop"))
    with contextlib.closing(read_ahead(listed, images, reader, _AHEAD)) as reads:
        for index, read in enumerate(reads):
            path = str(listed.paths[index])
            if read.reason:
                skipped.append(SkippedImage(path, read.reason, read.detail))
            else:
                good.append(index)
                digests.append(read.digest)
            if read.is_dark:
                dark.append(path)
            told(index + 1, len(listed), index + 1)
    usable = listed.take(np.array(good, np.int64))
    return CheckResult(
        listed=len(listed),
        usable=len(good),
        skipped=skipped,
        equal=find_equal(usable, digests),
        dark=dark,
        unlabelled=int((usable.labels == NO_LABEL).sum()),
        ignored=listed.ignored,
        classes=usable.class_counts(),
        splits=usable.split_counts(),
        seconds=round(time.monotonic() - begun, 3),
    )
