"""Every image of a source in, exactly one row out: in blocks, so that a killed run goes on."""

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from ..dataset.scan import Source, paths_of
from ..engines.choose import choose_engine
from ..engines.engine import Engine, InProcess
from ..errors import InputError, printable, require_one_of
from ..keywords import takes
from ..model.file import load
from ..model.model import Model
from ..progress import Deadline, Progress, adding_up, as_function, shows_progress
from ..storage import files, locks
from ..storage.unfinished import Shards
from .content import SORTS, ScoreChanges, ScoreSettings, columns_of, content_of
from .known import KnownScores
from .result import ScoreResult
from .rows import CacheSource, FileSource, open_rows
from .tables import sorted_blocks, table_for
from .tally import Tally
from .work import Order, ScoreWork, order_for

__all__ = ["SORTS", "ScoreChanges", "ScoreResult", "ScoreSettings", "score"]

#: Settings that say where and how long, and nothing of what comes of it.
_HOW = ("max_hours", "backend", "scheduler")


@takes(ScoreSettings, ScoreChanges)
@shows_progress
def score(
    model: Model | str | os.PathLike[str],
    source: Source,
    out: str | os.PathLike[str] | None = None,
    settings: ScoreSettings | None = None,
    *,
    progress: Progress | bool | None = None,
    **changes: Unpack[ScoreChanges],
) -> ScoreResult:
    """Make a row for every image of a source, in the order of the bytes of their paths.

    Images that cannot be read have a row with the reason and no scores. Rows go out in blocks
    that are kept beside `out` until all are done: the same call goes on where a killed one was and
    ends with the same bytes. Memory does not grow with the images, but for their paths. Without
    `out` the rows are kept in memory, and `ScoreResult.to_frame` returns them.

    Parameters
    ----------
    model : Model or path
        From `featx.load`, or the file.
    source : path, several paths, Catalog, data frame, or list of dict
        A folder (every image below it, whatever the folders mean), a manifest, images, or a
        cache made with the model's network, which is then not run. Of tables in memory, see
        `scan.scan`.
    out : path, optional
        Ends in ``.csv``, ``.jsonl``, ``.parquet`` or ``.xlsx``.
    settings : ScoreSettings, optional
    progress : callable or True, optional
        True shows a bar; else see `progress.Progress`;
        the detail is the number of images of this run.
    **changes
        Fields of `ScoreSettings`, over those of `settings`.

    Returns
    -------
    ScoreResult
        How many images were scored, by label, and why others could not be.

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
    OutOfTimeError
        When `max_hours` are over; the same call goes on.

    Examples
    --------
    >>> import featx
    >>> scored = featx.score("model.featx", "photos", "scores.csv", top=3)  # doctest: +SKIP
    >>> scored.listed == scored.ok  # doctest: +SKIP
    True
    """
    progress = as_function(progress)
    settings = replace(settings or ScoreSettings(), **changes)
    deadline = Deadline(settings.max_hours)
    begun = time.monotonic()
    path = None if isinstance(model, Model) else Path(model)
    if not isinstance(model, Model):
        model = load(model)
    columns, about = columns_of(model, settings), _about(model, settings)
    if out is None:
        _check(settings, model)
        return _score_in_memory(model, source, settings, columns, progress, begun)
    out = Path(out)
    _check(settings, model)
    _check_out(model, source, out)
    table = table_for(out, columns, about, excel=settings.excel)
    engine = choose_engine(settings.backend, settings.scheduler)
    with open_rows(model, source, copies=settings.tta) as opened, locks.lock_output(out):
        if table.most_rows is not None and len(opened) > table.most_rows:
            raise InputError(
                f"{printable(out)} can have {table.most_rows:,} rows, and there are "
                f"{len(opened):,} images. Give an output that ends in .csv, .jsonl or .parquet."
            )
        order = _order(engine, model, path, opened, settings, out, about)
        shards = Shards(out, _identity(model, opened, settings))
        if settings.update:
            known = _known(model, opened, settings, shards, out)
        else:
            known = KnownScores()
            if settings.overwrite:
                shards.remove()
            elif not shards.path.exists():
                files.require_new(out, overwrite=False)
        done = shards.begin()
        blocks = _blocks(opened)
        advance = _advancing(progress, opened, blocks, done)
        work = ScoreWork(
            model, opened, settings, known, table, shards, blocks, advance, order
        )  # fmt: skip
        _write_missing(engine, work, blocks, done, deadline)
        tally = Tally(settings)
        for number in range(len(blocks)):
            tally.add(shards.summary(number))
        finished: Iterable[bytes] = shards.blocks(len(blocks))
        if settings.sort:
            finished = sorted_blocks(table, finished, np.array(tally.keys))
        with files.atomic_write(out) as partial:
            table.join(partial, finished)
        if settings.update:
            KnownScores(known.made_by).with_finished(tally.scores).save(out)
        shards.remove()
    return _total(tally, blocks, done, begun, out=out, columns=columns)


def _order(
    engine: Engine,
    model: Model,
    path: Path | None,
    opened: FileSource | CacheSource,
    settings: ScoreSettings,
    out: Path,
    about: Mapping[str, Any],
) -> Order | None:
    """Return what workers score with; None where this process scores.

    Raises
    ------
    InputError
        When workers cannot score this.
    """
    if isinstance(engine, InProcess):
        return None
    if settings.update:
        raise InputError("--update is for this process alone. Leave --backend out, or --update.")
    if not isinstance(opened, FileSource):
        raise InputError("A cache is scored by this process in seconds. Leave --backend out.")
    if path is None:
        raise InputError(
            "Workers load the model from its file. Give the path of the model, not the model."
        )
    return order_for(model, path, opened, settings, out, about)


def _blocks(opened: FileSource | CacheSource) -> list[range]:
    return [
        range(start, min(start + opened.block, len(opened)))
        for start in range(0, len(opened), opened.block)
    ]


def _score_in_memory(
    model: Model,
    source: Source,
    settings: ScoreSettings,
    columns: Mapping[str, type],
    progress: Progress | None,
    begun: float,
) -> ScoreResult:
    """Score the images of a source without a file."""
    for name in ("update", "excel", "max_hours", "scheduler"):
        if getattr(settings, name):
            raise InputError(f"{name} needs an output. Give out, or leave {name} out.")
    rows: dict[str, list[Any]] = {name: [] for name in columns}
    tally = Tally(settings)
    with open_rows(model, source, copies=settings.tta) as opened:
        blocks, advance = _blocks(opened), adding_up(progress, len(opened))
        for found in opened.rows(blocks, advance):
            content, summary = content_of(model, found, settings, KnownScores())
            tally.add(summary)
            for name, values in content.items():
                rows[name] += values
    if settings.sort:
        order = np.argsort(np.array(tally.keys), kind="stable").tolist()
        rows = {name: [values[at] for at in order] for name, values in rows.items()}
    return _total(tally, blocks, set(), begun, out=None, columns=columns, rows=rows)


def _check(settings: ScoreSettings, model: Model) -> None:
    if settings.sort is not None:
        require_one_of("sort key", settings.sort, SORTS)
    if settings.top is not None and settings.top < 1:
        raise InputError(f"--top is {settings.top}. Expected 1 or more classes.")
    for name in ("abstain", "max_novelty"):
        value = getattr(settings, name)
        if value is not None and not 0 <= value <= 1:
            option = name.replace("_", "-")
            raise InputError(f"--{option} is {value:g}. Expected a number from 0 to 1.")
    if settings.max_novelty is not None and model.novelty is None:
        raise InputError(
            "This model has no novelty score: its training images form a single group. Leave "
            "--max-novelty out."
        )


def _check_out(model: Model, source: Source, out: Path) -> None:
    if not model.digest:
        raise InputError(
            "The model is not saved. Save it, and score with featx.load of the file; or leave out "
            "out, and call to_frame of the result."
        )
    if out.is_dir():
        raise InputError(
            f"{printable(out)} is a folder. Give the name of a file, such as scores.csv."
        )
    if out.resolve() in (path.resolve() for path in paths_of(source)):
        raise InputError(f"{printable(out)} is the source itself. Give another output.")


def _about(model: Model, settings: ScoreSettings) -> dict[str, Any]:
    kept = asdict(settings)
    for name in ("overwrite", "update", "excel", *_HOW):
        del kept[name]
    return {"model": model.as_dict(), "model_sha256": model.digest, "settings": kept}


def _identity(
    model: Model, opened: FileSource | CacheSource, settings: ScoreSettings
) -> dict[str, Any]:
    """Return what must be equal for the rows of two runs to be put together."""
    kept = asdict(settings)
    for name in ("overwrite", *_HOW):
        del kept[name]
    listed = {"images": len(opened), "source": opened.identity, "block": opened.block}
    if model.tail or isinstance(opened, FileSource):
        listed["runtime"], listed["precision"] = model.computing
    if settings.update:
        listed["made_by"] = _made_by(model, settings)
    return {"format": 1, "model": model.digest, **listed, **kept}


def _known(
    model: Model,
    opened: FileSource | CacheSource,
    settings: ScoreSettings,
    shards: Shards,
    out: Path,
) -> KnownScores:
    """Return the scores that need not be computed: of the last run, and of one that was stopped.

    They are saved before the blocks of that run are removed, so that none is lost, whatever has
    been added to the folder since.
    """
    if not isinstance(opened, FileSource):
        raise InputError("--update is for images. A cache is scored in seconds: use --overwrite.")
    made_by = _made_by(model, settings)
    if settings.overwrite:
        known = KnownScores(made_by)
    else:
        finished = [summary["scores"] for summary in shards.leftover("made_by")]
        known = KnownScores.read(out, made_by).with_finished(finished)
    known.save(out)
    shards.remove()
    opened.skip(known.rows)
    return known


def _made_by(model: Model, settings: ScoreSettings) -> str:
    """Return what must be equal for scores of the same image to be equal, as JSON."""
    runtime, precision = model.computing
    return json.dumps(
        {
            "model": model.digest,
            "runtime": runtime,
            "precision": precision,
            "tta": settings.tta,
        }
    )


def _advancing(
    progress: Progress | None,
    opened: FileSource | CacheSource,
    blocks: Sequence[range],
    done: set[int],
) -> Callable[[int], None]:
    """Return what is called with the images that were finished since its last call."""
    resumed = sum(len(block) for number, block in enumerate(blocks) if number in done)
    now = 0

    def advance(more: int) -> None:
        nonlocal now
        now += more
        if progress:
            progress(resumed + now, len(opened), now)

    advance(0)
    return advance


def _write_missing(
    engine: Engine, work: ScoreWork, blocks: Sequence[range], done: set[int], deadline: Deadline
) -> None:
    """Write the shards that are not there yet."""
    missing = [number for number in range(len(blocks)) if number not in done]
    kept, total = sum(len(blocks[number]) for number in done), sum(map(len, blocks))
    if not missing:
        return
    finished = engine.run(work, missing)
    try:
        for number in finished:
            kept += len(blocks[number])
            deadline.check(kept, total)
    finally:
        finished.close()


def _total(
    tally: Tally,
    blocks: Sequence[range],
    done: set[int],
    begun: float,
    *,
    out: Path | None,
    columns: Mapping[str, type],
    rows: Mapping[str, list[Any]] | None = None,
) -> ScoreResult:
    listed = sum(map(len, blocks))
    ok = tally.labels.total() + tally.undecided
    if listed != ok + tally.failed.total():
        raise AssertionError("a listed image is not accounted for")
    return ScoreResult(
        listed=listed,
        ok=ok,
        failed=dict(sorted(tally.failed.items())),
        details=tally.details,
        labels=dict(sorted(tally.labels.items())),
        undecided=tally.undecided,
        resumed=sum(len(block) for number, block in enumerate(blocks) if number in done),
        reused=tally.reused,
        out=out,
        seconds=round(time.monotonic() - begun, 3),
        _columns=columns,
        _stamp=files.stamp(out.stat()) if out else None,
        _rows=rows,
    )
