"""What an audit found."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..plain import plain
from ..showing.display import Display, Part, Table
from ..showing.words import number_of, shortened
from .duplicates import DuplicateGroup
from .labels import LabelIssue
from .odd import OddImage

__all__ = ["AuditResult"]


@dataclass(frozen=True, eq=False, repr=False)
class AuditResult(Display):
    """The suspicious images of a cache, of each kind the worst first.

    Attributes
    ----------
    images : int
        Labelled images, of all splits: those that were looked at.
    label_issues : list of LabelIssue
    duplicates : list of DuplicateGroup
        Groups with different labels first, then those across splits.
    odd : list of OddImage
    unreadable : int
        Images whose files are gone, changed or damaged, so that their pixels are not known.
    left_out : dict of int
        Classes whose labels could not be examined, because fewer than two of their images are
        different, with the number of their images.
    heads : tuple of str
        The heads that gave the probabilities; none where labels were not examined.
    score_before, score_after : float or None
        Accuracy of the best head in cross-validation, with the groups of the cache and with near
        duplicates kept together as well; None where no near duplicates were apart.
    paths : ndarray of str, shape (images,)
    quality : ndarray of float64, shape (images,)
        How well each label fits, 0 to 1; see `labels.label_quality`. Not a number where labels
        were not examined, as in the following.
    label_probability : ndarray of float64, shape (images,)
    neighbours_agree : ndarray of float64, shape (images,)
        See `LabelIssue`.
    out, groups_out : Path or None
        The manifests that were written.
    is_outside : bool
        Whether images are not below the folder of the manifest, so that `extract` takes it with
        ``--allow-outside`` only.
    seconds : float
    """

    images: int
    label_issues: list[LabelIssue]
    duplicates: list[DuplicateGroup]
    odd: list[OddImage]
    unreadable: int
    left_out: dict[str, int]
    heads: tuple[str, ...]
    score_before: float | None
    score_after: float | None
    paths: np.ndarray
    quality: np.ndarray
    label_probability: np.ndarray
    neighbours_agree: np.ndarray
    out: Path | None = None
    groups_out: Path | None = None
    is_outside: bool = False
    seconds: float = 0.0

    def _line(self) -> str:
        return (
            f"{number_of(self.images, 'image')}, "
            f"{number_of(len(self.label_issues), 'label')} probably wrong, "
            f"{number_of(len(self.duplicates), 'group')} of duplicates, "
            f"{number_of(len({odd.path for odd in self.odd}), 'odd image')}"
        )

    def _parts(self) -> Iterable[Part]:
        scores = (self.score_before, self.score_after)
        yield {
            "duplicates in two splits": f"{number_of(len(self.leaks), 'group')}"
            if self.leaks
            else "",
            "duplicates with two labels": f"{number_of(len(self.conflicts), 'group')}"
            if self.conflicts
            else "",
            "odd": shortened(Counter(odd.kind for odd in self.odd)),
            "could not be read": self.unreadable or "",
            "labels not examined": shortened(self.left_out),
            "accuracy": f"{scores[0]:.4f}; {scores[1]:.4f} with near duplicates kept together"
            if scores[0] is not None and scores[1] is not None
            else "",
            "written": ", ".join(str(out) for out in (self.out, self.groups_out) if out),
            "seconds": f"{self.seconds:.1f}",
        }
        yield Table(
            ["image", "label", "suggested", "p(label)", "p(suggested)", "neighbours agree"],
            [
                [
                    issue.path,
                    issue.label,
                    issue.suggested,
                    issue.label_probability,
                    issue.suggested_probability,
                    issue.neighbours_agree,
                ]
                for issue in self.label_issues
            ],
            "Labels that are probably wrong",
        )
        yield Table(
            ["images", "labels", "how"],
            [
                [
                    " = ".join(group.paths),
                    ", ".join(dict.fromkeys(group.labels)),
                    ", ".join(group.kinds),
                ]
                for group in self.duplicates
            ],
            "Images that show the same picture",
        )
        yield Table(
            ["image", "kind", "value", "limit"],
            [[odd.path, odd.kind, odd.value, odd.limit] for odd in self.odd],
            "Odd images",
        )

    @property
    def leaks(self) -> list[DuplicateGroup]:
        """Duplicates in different splits: a test on them tells too good a score."""
        return [group for group in self.duplicates if group.crosses_splits]

    @property
    def conflicts(self) -> list[DuplicateGroup]:
        """Duplicates with different labels."""
        return [group for group in self.duplicates if group.has_conflict]

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain values, for JSON; `quality` is that of each of `paths`."""
        return {
            "images": self.images,
            "label_issues": plain(self.label_issues),
            "duplicates": [group.as_dict() for group in self.duplicates],
            "odd": plain(self.odd),
            "unreadable": self.unreadable,
            "left_out": self.left_out,
            "heads": list(self.heads),
            "score_before": self.score_before,
            "score_after": self.score_after,
            "paths": plain(self.paths),
            "quality": [
                None if np.isnan(value) else round(float(value), 6) for value in self.quality
            ],
            "out": plain(self.out),
            "groups_out": plain(self.groups_out),
            "is_outside": self.is_outside,
            "seconds": self.seconds,
        }
