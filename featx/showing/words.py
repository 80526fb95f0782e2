"""Numbers and names in words, as terminals and notebooks show them."""

import math
from collections.abc import Mapping

from ..errors import printable

__all__ = ["number_of", "shortened", "with_interval"]


def number_of(count: int, one: str, many: str = "") -> str:
    """Return a number with its noun; the plural has an s by default.

    Examples
    --------
    >>> number_of(1, "image"), number_of(2000, "image"), number_of(0, "class", "classes")
    ('1 image', '2,000 images', '0 classes')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def shortened(counts: Mapping[str, int], most: int = 12) -> str:
    """Return names with their counts in one line; of many, the first ones and how many more."""
    named = [f"{printable(name)} ({count:,})" for name, count in list(counts.items())[:most]]
    if len(counts) > most:
        named.append(f"and {len(counts) - most} more")
    return ", ".join(named)


def with_interval(value: float, half: float, most: float = math.inf) -> str:
    """Return a number with half its 95 % interval, of which neither end passes 0 or `most`.

    Examples
    --------
    >>> with_interval(0.5, 0.1, most=1), with_interval(0.98, 0.05, most=1)
    ('0.5000 ± 0.1000', '0.9800 +0.0200 −0.0500')
    >>> with_interval(0.5, math.nan), with_interval(math.nan, math.nan)
    ('0.5000', '')
    """
    if not math.isfinite(value):
        return ""
    if math.isnan(half):
        return f"{value:.4f}"
    up, down = min(half, most - value), min(half, value)
    return f"{value:.4f} ± {up:.4f}" if up == down else f"{value:.4f} +{up:.4f} −{down:.4f}"
