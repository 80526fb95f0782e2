"""The columns of the rows that `score` writes, and what decides them."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np

from ..errors import printable
from ..model.model import Model
from ..names import BackendName, SortKey
from .known import KnownScores
from .rows import KNOWN, RowBlock
from .tables import DIGITS

__all__ = ["SORTS", "ScoreChanges", "ScoreSettings", "columns_of", "content_of"]

OK = "ok"


#: Keys that rows can be sorted by.
SORTS = ("confidence", "novelty")


@dataclass(frozen=True)
class ScoreSettings:
    """The columns that are written for each image, and how labels are decided.

    Attributes
    ----------
    top : int, optional
        Write only this many classes, the most probable ones, with their probabilities.
    digest : bool
        Write the SHA-256 of each file.
    tta : int
        Test-time augmentation: the probabilities are the mean over the image and this many
        augmented copies of it, by the policy that the model was fitted with.
    abstain : float, optional
        Leave the label empty below this confidence.
    max_novelty : float, optional
        Leave the label empty above this novelty.
    sort : {None, "confidence", "novelty"}
        Write the least confident, or the most novel, images first; by default in order of paths.
        All rows are in memory then.
    excel : bool
        Write a CSV file that Excel reads as UTF-8.
    update : bool
        Compute only images that are new or changed since the output was written with `update`, and
        take the others from ``<out>.known``; the output is that of a run that computes all.
    overwrite : bool
        Replace an output that exists, and start again.
    backend : {"local", "dask"}
        Where images are scored: in this process, or by the workers of a Dask cluster.
    scheduler : str, optional
        The address of the scheduler of a Dask cluster, such as "tcp://host:8786".
    max_hours : float, optional
        Stop with `OutOfTimeError` after the block that is under way then; the next run goes on.
    """

    top: int | None = None
    digest: bool = False
    tta: int = 0
    abstain: float | None = None
    max_novelty: float | None = None
    sort: str | None = None
    excel: bool = False
    update: bool = False
    overwrite: bool = False
    backend: str = "local"
    scheduler: str | None = None
    max_hours: float | None = None


class ScoreChanges(TypedDict, total=False):
    """The fields of `ScoreSettings` as keywords, for editors and type checkers."""

    top: int | None
    digest: bool
    tta: int
    abstain: float | None
    max_novelty: float | None
    sort: SortKey | None
    excel: bool
    update: bool
    overwrite: bool
    backend: BackendName
    scheduler: str | None
    max_hours: float | None


def columns_of(model: Model, settings: ScoreSettings) -> dict[str, type]:
    """Return the columns of the output, name → type, in order."""
    columns: dict[str, type] = {"path": str, "status": str, "label": str, "confidence": float}
    if settings.top is None:
        columns |= {f"p_{name}": float for name in model.classes}
    else:
        for rank in range(1, min(settings.top, len(model.classes)) + 1):
            columns |= {f"class_{rank}": str, f"p_{rank}": float}
    columns["novelty"] = float
    if settings.digest:
        columns["sha256"] = str
    return columns


def content_of(
    model: Model, rows: RowBlock, settings: ScoreSettings, known: KnownScores
) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    """Return the columns of some rows, and a summary of them."""
    is_known = np.array([reason == KNOWN for reason in rows.reasons], bool)
    ok = rows.is_ok | is_known
    digests = [digest for digest, fine in zip(rows.digests, ok, strict=True) if fine]
    probabilities, novelty = known.merge(
        digests,
        is_known[ok],
        model.predict_proba_rows(rows.X),
        rows.novelty,
    )
    reasons = ["" if reason == KNOWN else reason for reason in rows.reasons]
    order = np.argsort(-probabilities, axis=1, kind="stable")
    confidence = np.take_along_axis(probabilities, order[:, :1], axis=1)[:, 0]
    decided = np.ones(len(probabilities), bool)
    if settings.abstain is not None:
        decided &= confidence >= settings.abstain
    if settings.max_novelty is not None:
        decided &= ~(novelty > settings.max_novelty)
    names = np.array(model.classes, dtype=object)
    labels = names[order[:, 0]]
    labels[~decided] = None
    content: dict[str, list[Any]] = {
        "path": rows.paths,
        "status": [reason or OK for reason in reasons],
        "label": _spread(labels, ok),
        "confidence": _numbers(confidence, ok),
    }
    if settings.top is None:
        for index, name in enumerate(model.classes):
            content[f"p_{name}"] = _numbers(probabilities[:, index], ok)
    else:
        for rank in range(min(settings.top, len(names))):
            best = order[:, rank]
            content[f"class_{rank + 1}"] = _spread(names[best], ok)
            content[f"p_{rank + 1}"] = _numbers(probabilities[np.arange(len(best)), best], ok)
    content["novelty"] = _numbers(novelty, ok)
    if settings.digest:
        content["sha256"] = [digest or None for digest in rows.digests]
    summary = {
        "reused": int(is_known.sum()),
        "failed": Counter(reason for reason in reasons if reason),
        "details": {
            reason: f"{printable(path)}: {detail}"
            for path, reason, detail in reversed(
                list(zip(rows.paths, reasons, rows.details, strict=True))
            )
            if reason
        },
        "labels": Counter(labels[decided].tolist()),
        "undecided": int((~decided).sum()),
    }
    if settings.sort:
        values = confidence if settings.sort == "confidence" else -novelty
        keys = np.full(len(ok), np.inf)  # images without scores are the last
        keys[ok] = np.nan_to_num(values, nan=np.inf)
        summary["keys"] = keys.tolist()
    if settings.update:
        summary["scores"] = KnownScores.packed(digests, probabilities, novelty)
    return content, summary


def _spread(values: np.ndarray, ok: np.ndarray) -> list[Any]:
    """Return a value for each row, None where there are no scores."""
    found = np.full(len(ok), None, dtype=object)
    found[ok] = values
    return found.tolist()


def _numbers(values: np.ndarray, ok: np.ndarray) -> list[float | None]:
    rounded = np.round(values, DIGITS).astype(object)
    rounded[~np.isfinite(values)] = None
    return _spread(rounded, ok)
