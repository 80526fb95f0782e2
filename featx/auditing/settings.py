"""What an audit is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

from ..names import HeadName

__all__ = ["AuditChanges", "AuditSettings"]


@dataclass(frozen=True)
class AuditSettings:
    """How the images of a cache are looked through.

    Attributes
    ----------
    heads : tuple of str
        Heads that give the probabilities, see `CompareSettings.heads`; those that are tied with
        the best are averaged.
    folds : int
        Folds of the cross-validation over all labelled images.
    seed : int
    pixels : bool
        Whether the image files are read. Without that, near duplicates are told by their features
        alone, and images that are dark, blurred and so on are not found.
    overwrite : bool
        Replace output files that exist.
    """

    heads: Sequence[str] = ()
    folds: int = 5
    seed: int = 0
    pixels: bool = True
    overwrite: bool = False


class AuditChanges(TypedDict, total=False):
    """The fields of `AuditSettings` as keywords, for editors and type checkers."""

    heads: Sequence[HeadName | Literal["all"]]
    folds: int
    seed: int
    pixels: bool
    overwrite: bool
