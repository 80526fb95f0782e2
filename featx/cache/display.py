"""What a cache and its extraction show of themselves: a line, and tables."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from ..errors import printable
from ..network.fingerprint import Fingerprint
from ..showing.display import Display, Part, Table
from ..showing.words import number_of, shortened

__all__ = ["CacheDisplay", "ExtractDisplay"]


class ExtractDisplay(Display):
    """What an extraction shows of itself."""

    listed: int
    cached: int
    reused: int
    computed: int
    duplicates: int
    skipped: Any
    details: dict[str, str]
    removed: Any
    classes: dict[str, int]
    splits: dict[str, int]
    fingerprint: Fingerprint
    weights: str
    out: Any
    seconds: float

    def _line(self) -> str:
        images = number_of(self.cached + self.duplicates, "image")
        return (
            f"{images}{_of_classes(len(self.classes))} in {printable(self.out)}, "
            f"{len(self.skipped):,} skipped"
        )

    def _parts(self) -> Iterable[Part]:
        yield {
            "classes": shortened(self.classes) or "none: the images have no labels",
            "splits": shortened(self.splits),
            "known before": f"{number_of(self.reused, 'image')}" if self.reused else "",
            "through the network": f"{number_of(self.computed, 'image')}, copies included",
            "equal files": self.duplicates or "",
            "no longer listed": len(self.removed) or "",
            "features": _features(self.fingerprint),
            "weights": self.weights,
            "seconds": f"{self.seconds:.1f}",
        }
        yield Table(
            ["image", "reason", ""],
            [[row.path, row.reason, self.details.get(row.path)] for row in self.skipped],
            "Images that were skipped",
        )


class CacheDisplay(Display):
    """What an open cache shows of itself: what is known without reading on, also when closed."""

    path: Any
    fingerprint: Fingerprint
    labels: Any
    classes: tuple[str, ...]
    _file: Any

    def _line(self) -> str:
        closed = "" if self._file else ", closed"
        images = number_of(len(self.labels), "image")
        return f"{images}{_of_classes(len(self.classes))} in {printable(self.path)}{closed}"

    def _parts(self) -> Iterable[Part]:
        counts = Counter(self.labels.tolist())
        yield {
            "classes": shortened({name: counts[at] for at, name in enumerate(self.classes)}),
            "without a label": counts[-1] or "",
            "features": "; ".join(map(_features, self.fingerprint.each)),
            "of each image": "×".join(map(str, self.fingerprint.shape)),
            "kept of them": _KEPT.get(self.fingerprint.keep, ""),
            "layer pools": ", ".join(self.fingerprint.layers),
            "augmented copies": self.fingerprint.copies or "",
        }


#: What is said of a cache that does not keep all features.
_KEPT = {"pooled": "mean and maximum of each channel"}


def _of_classes(count: int) -> str:
    return f" of {number_of(count, 'class', 'classes')}" if count else ""


def _features(made: Fingerprint) -> str:
    trunk = made.trunk
    return f"{trunk.cut} at {trunk.size} px, computed in {made.precision} by {made.runtime}"
