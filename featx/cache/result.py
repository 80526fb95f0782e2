"""What an extraction did."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..dataset.duplicates import EqualImages
from ..network.fingerprint import Fingerprint
from .display import ExtractDisplay
from .structure import Removed, Skipped

__all__ = ["ExtractResult"]


@dataclass(frozen=True, repr=False)
class ExtractResult(ExtractDisplay):
    """What `extract` did.

    ``listed == cached + duplicates + len(skipped)``, always.

    Attributes
    ----------
    listed : int
        Images in the source.
    cached : int
        Different images that are in the cache.
    reused : int
        The cached images whose features were there before this run.
    computed : int
        Images and copies that went through the network.
    duplicates : int
        Images with the very bytes of a cached one; each has its own row all the same.
    skipped : list of Skipped
        Images that could not be used, with the reason.
    details : dict of str
        A sentence about each skipped image, by its path.
    equal : list of EqualImages
        Groups of cached images with the same bytes; those in two classes stop `fit`.
    dark : list of str
        Images of this run with 16 bits that use less than a sixteenth of them: nearly black.
    removed : list of Removed
        Images that were listed before and are not any more. Their features are kept in the cache
        and hidden from `fit`, for when they come back.
    pruned : int
        Such images whose features were dropped, because of `prune`.
    ignored : int
        Files that do not look like images.
    classes, splits : dict of int
        Cached images by class and by split.
    fingerprint : Fingerprint
        The settings and weights that the features were made with.
    weights : str
        Who provides them.
    out : Path
        The cache.
    seconds : float
    share : str
        Which of several processes this was, such as "3/40", whose images are all that is counted
        here; "" for an extraction as a whole.
    """

    listed: int
    cached: int
    reused: int
    computed: int
    duplicates: int
    skipped: list[Skipped]
    details: dict[str, str]
    equal: list[EqualImages]
    dark: list[str]
    removed: list[Removed]
    pruned: int
    ignored: int
    classes: dict[str, int]
    splits: dict[str, int]
    fingerprint: Fingerprint
    weights: str
    out: Path
    seconds: float
    share: str = ""

    @property
    def forward(self) -> int:
        """`computed` by the name that it had until now; it goes with version 0.2."""
        return self.computed

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain values, for JSON."""
        return {
            "listed": self.listed,
            "cached": self.cached,
            "reused": self.reused,
            "computed": self.computed,
            "skipped": [
                {"path": row.path, "reason": row.reason, "detail": self.details[row.path]}
                for row in self.skipped
            ],
            "equal": [equal.as_dict() for equal in self.equal],
            "dark": self.dark,
            "duplicates": self.duplicates,
            "removed": [row.path or row.digest for row in self.removed],
            "pruned": self.pruned,
            "ignored": self.ignored,
            "classes": self.classes,
            "splits": self.splits,
            "weights": self.weights,
            "fingerprint": self.fingerprint.as_dict(),
            "out": str(self.out),
            "seconds": self.seconds,
            "share": self.share,
        }
