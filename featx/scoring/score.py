"""Every image of a source in, exactly one row out: in blocks, so that a killed run goes on."""

import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np

from ..dataset.scan import Source
from ..errors import InputError, printable
from ..model.file import load
from ..model.model import Model
from ..plain import plain
from ..progress import Progress
from ..storage import files, locks
from ..storage.unfinished import Shards
from .known import KnownScores
from .rows import KNOWN, CacheSource, FileSource, RowBlock, open_rows
from .tables import DIGITS, Table, table_for

__all__ = ["ScoreChanges", "ScoreResult", "ScoreSettings", "score"]

OK = "ok"


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
    update : bool
        Compute only images that are new or changed since the output was written with `update`, and
        take the others from ``<out>.known``; the output is that of a run that computes all.
    overwrite : bool
        Replace an output that exists, and start again.
    """

    top: int | None = None
    digest: bool = False
    tta: int = 0
    abstain: float | None = None
    max_novelty: float | None = None
    update: bool = False
    overwrite: bool = False


class ScoreChanges(TypedDict, total=False):
    """The fields of `ScoreSettings` as keywords, for editors and type checkers."""

    top: int | None
    digest: bool
    tta: int
    abstain: float | None
    max_novelty: float | None
    update: bool
    overwrite: bool


@dataclass(frozen=True, eq=False)
class ScoreResult:
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
    out : Path
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
    out: Path
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain values, for JSON."""
        return plain(self)


def score(
    model: Model | str | os.PathLike[str],
    source: Source,
    out: str | os.PathLike[str],
    settings: ScoreSettings | None = None,
    *,
    progress: Progress | None = None,
    **changes: Unpack[ScoreChanges],
) -> ScoreResult:
    """Write a row for every image of a source, in the order of the bytes of their paths.

    Images that cannot be read have a row with the reason and no scores. Rows go out in blocks
    that are kept beside `out` until all are done: the same call goes on where a killed one was and
    ends with the same bytes. Memory does not grow with the images, but for their paths.

    Parameters
    ----------
    model : Model or path
        From `featx.load`, or the file.
    source : path, several paths, or Catalog
        A folder (every image below it, whatever the folders mean), a manifest, images, or a
        cache made with the model's network, which is then not run.
    out : path
        Ends in ``.csv``, ``.jsonl`` or ``.parquet``.
    settings : ScoreSettings, optional
    progress : callable, optional
        See `progress.Progress`; the detail is the number of images of this run.
    **changes
        Fields of `ScoreSettings`, over those of `settings`.

    Raises
    ------
    InputError
        When a setting or the source is wrong, or `out` exists.
    IncompatibleError
        When a cache or the weights at hand are not those of the model, or the unfinished rows
        beside `out` are of another run.
    CorruptError
        When a cache or an unfinished row is damaged.
    StorageError, LockedError
        When the rows cannot be written.
    """
    settings = replace(settings or ScoreSettings(), **changes)
    begun = time.monotonic()
    if not isinstance(model, Model):
        model = load(model)
    out = Path(out)
    _check(settings, model, source, out)
    table = table_for(out, _columns(model, settings), _about(model, settings))
    with open_rows(model, source, copies=settings.tta) as opened, locks.lock_output(out):
        known = _known(model, opened, settings, out)
        if isinstance(opened, FileSource):
            opened.skip(known.rows)
        shards = Shards(out, {**_identity(model, opened, settings), "known": known.identity})
        if settings.overwrite:
            shards.remove()
        elif not shards.path.exists():
            files.require_new(out, overwrite=settings.update)
        done = shards.begin()
        blocks = [
            range(start, min(start + opened.block, len(opened)))
            for start in range(0, len(opened), opened.block)
        ]
        _write_missing(model, opened, settings, known, table, shards, blocks, done, progress)
        with files.atomic_write(out) as partial:
            table.join(partial, shards.blocks(len(blocks)))
        total = [shards.summary(number) for number in range(len(blocks))]
        if settings.update:
            known.save(out, [summary["scores"] for summary in total])
        shards.remove()
    return _total(total, blocks, done, out, begun)


def _check(settings: ScoreSettings, model: Model, source: Source, out: Path) -> None:
    if not model.digest:
        raise InputError("The model is not saved. Save it, and score with featx.load of the file.")
    if settings.top is not None and settings.top < 1:
        raise InputError(f"--top is {settings.top}. Expected 1 or more classes.")
    for name in ("abstain", "max_novelty"):
        value = getattr(settings, name)
        if value is not None and not 0 <= value <= 1:
            option = name.replace("_", "-")
            raise InputError(f"--{option} is {value:g}. Expected a number from 0 to 1.")
    if settings.max_novelty is not None and model.novelty is None:
        raise InputError(
            "The model cannot tell novelty: its training images have no others. Leave "
            "--max-novelty out."
        )
    if out.is_dir():
        raise InputError(
            f"{printable(out)} is a folder. Give the name of a file, such as scores.csv."
        )
    if isinstance(source, str | os.PathLike) and Path(source).resolve() == out.resolve():
        raise InputError(f"{printable(out)} is the source itself. Give another output.")


def _columns(model: Model, settings: ScoreSettings) -> dict[str, type]:
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


def _about(model: Model, settings: ScoreSettings) -> dict[str, Any]:
    kept = asdict(settings)
    del kept["overwrite"], kept["update"]
    return {"model": model.as_dict(), "model_sha256": model.digest, "settings": kept}


def _identity(
    model: Model, opened: FileSource | CacheSource, settings: ScoreSettings
) -> dict[str, Any]:
    """Return what must be equal for the rows of two runs to be put together."""
    kept = asdict(settings)
    del kept["overwrite"]
    listed = {"images": len(opened), "source": opened.identity, "block": opened.block}
    if model.tail or isinstance(opened, FileSource):
        listed["runtime"], listed["precision"] = model.computing
    return {"format": 1, "model": model.digest, **listed, **kept}


def _known(
    model: Model, opened: FileSource | CacheSource, settings: ScoreSettings, out: Path
) -> KnownScores:
    """Return the scores that need not be computed."""
    if not settings.update:
        return KnownScores()
    if not isinstance(opened, FileSource):
        raise InputError("--update is for images. A cache is scored in seconds: use --overwrite.")
    runtime, precision = model.computing
    made_by = {"model": model.digest, "runtime": runtime, "precision": precision,
               "tta": settings.tta}  # fmt: skip
    text = json.dumps(made_by)
    return KnownScores(text) if settings.overwrite else KnownScores.read(out, text)


def _write_missing(
    model: Model,
    opened: FileSource | CacheSource,
    settings: ScoreSettings,
    known: KnownScores,
    table: Table,
    shards: Shards,
    blocks: Sequence[range],
    done: set[int],
    progress: Progress | None,
) -> None:
    """Write the shards that are not there yet."""
    missing = [number for number in range(len(blocks)) if number not in done]
    resumed = sum(len(block) for number, block in enumerate(blocks) if number in done)
    now = 0

    def advance(more: int) -> None:
        nonlocal now
        now += more
        if progress:
            progress(resumed + now, len(opened), now)

    advance(0)
    found = opened.rows([blocks[number] for number in missing], advance)
    for number, rows in zip(missing, found, strict=True):
        content, summary = _content(model, rows, settings, known)
        shards.write(number, summary, table.encode(content))


def _content(
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
        model.novelty_rows(rows.X),
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


def _total(
    summaries: Sequence[dict[str, Any]],
    blocks: Sequence[range],
    done: set[int],
    out: Path,
    begun: float,
) -> ScoreResult:
    failed: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    details: dict[str, str] = {}
    for summary in summaries:
        failed.update(summary["failed"])
        details = {**summary.get("details", {}), **details}
        labels.update(summary["labels"])
    undecided = sum(summary["undecided"] for summary in summaries)
    listed = sum(map(len, blocks))
    ok = labels.total() + undecided
    if listed != ok + failed.total():
        raise AssertionError("a listed image is not accounted for")
    return ScoreResult(
        listed=listed,
        ok=ok,
        failed=dict(sorted(failed.items())),
        details=details,
        labels=dict(sorted(labels.items())),
        undecided=undecided,
        resumed=sum(len(block) for number, block in enumerate(blocks) if number in done),
        reused=sum(summary["reused"] for summary in summaries),
        out=out,
        seconds=round(time.monotonic() - begun, 3),
    )
