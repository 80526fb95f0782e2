"""What `score` did, and its rows as a data frame."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError, printable
from ..plain import as_frame, plain
from ..showing.display import Display, Part, Table
from ..showing.words import number_of
from ..storage import files
from .tables import table_for

if TYPE_CHECKING:
    import pandas

__all__ = ["ScoreResult"]

_MOST_LABELS = 40  # in a notebook


@dataclass(frozen=True, eq=False, repr=False)
class ScoreResult(Display):
    """What `score` did.

    Attributes
    ----------
    listed : int
        Images in the source, and rows in the output.
    ok : int
        Images that have scores.
    failed : dict of int
        Images that have no scores, by reason.
    details : dict of str
        A sentence about the first image of each reason.
    labels : dict of int
        Images by label.
    undecided : int
        Images with scores and without a label, because of `abstain` or `max_novelty`.
    resumed : int
        Rows that an interrupted run before this one had finished.
    reused : int
        Images whose scores were known, because of `update`.
    out : Path or None
        None where the rows are in memory only.
    seconds : float
    """

    listed: int
    ok: int
    failed: dict[str, int]
    details: dict[str, str]
    labels: dict[str, int]
    undecided: int
    resumed: int
    reused: int
    out: Path | None
    seconds: float
    _columns: Mapping[str, type]
    _stamp: files.Stamp | None = None
    _rows: Mapping[str, list[Any]] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain values, for JSON."""
        return plain(self)

    def to_frame(self) -> "pandas.DataFrame":
        """Return the rows as a data frame of pandas, a column for each that `score` writes.

        Where they were written, the file is read; a number that is missing is NaN.

        Raises
        ------
        InputError
            When pandas is not installed, the file is a workbook, or it was written again since.
        StorageError
            When the file cannot be read.
        """
        rows = self._rows
        if rows is None:
            if self.out is None:
                raise AssertionError("rows are neither in memory nor in a file")
            with files.storage_errors(self.out):
                now = files.stamp(self.out.stat())
            if now != self._stamp:
                raise InputError(
                    f"{printable(self.out)} was written again since, so its rows are not those of "
                    "this result."
                )
            rows = table_for(self.out, self._columns, {}).read(self.out)
        return as_frame(
            {
                name: np.array(rows[name], np.float64) if kind is float else rows[name]
                for name, kind in self._columns.items()
            }
        )

    def _line(self) -> str:
        where = f" in {printable(self.out)}" if self.out else ""
        return (
            f"{number_of(self.listed, 'image')}{where}, {self.ok:,} scored, "
            f"{self.listed - self.ok:,} failed"
        )

    def _parts(self) -> Iterable[Part]:
        yield {
            "without a label": f"{self.undecided:,}: low confidence or high novelty"
            if self.undecided
            else "",
            "of an interrupted run": self.resumed or "",
            "known before": self.reused or "",
            "seconds": f"{self.seconds:.1f}",
        }
        counts = sorted(self.labels.items(), key=lambda item: (-item[1], item[0]))
        yield Table(["label", "images"], counts, most=_MOST_LABELS)
        yield Table(
            ["reason", "images", "for example"],
            [[why, count, self.details.get(why)] for why, count in self.failed.items()],
            "Images without scores",
        )
