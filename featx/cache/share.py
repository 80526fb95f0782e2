"""Shares: an extraction that several processes do without one that coordinates them.

The process that comes first writes which part has which images; every other takes its parts of
that. `join` makes the cache when all have ended.
"""

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from ..dataset.scan import Source, as_catalog, paths_of
from ..engines.engine import Engine, InProcess
from ..errors import CorruptError, IncompatibleError, InputError, printable, redacted
from ..network.trunk import Trunk
from ..network.weights import Weights
from ..progress import Deadline, Progress, ignore_progress
from ..storage import locks
from .computing import Told, compute
from .ledger import Ledger
from .parts import Parts
from .plan import ExtractSettings, make_plan
from .preparation import opened_before, prepare
from .publication import result_of
from .result import ExtractResult
from .run import Run, RunImages, new_run, read_images, read_run, write_run
from .wanted import keep_own, weights_for
from .work import ExtractWork, places_unknown

__all__ = ["Share", "extract_share"]

log = logging.getLogger("featx")


class Share(NamedTuple):
    """One of several processes that compute the same cache: number 1 to `of`."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the share that a text such as 3/40 names.

        Raises
        ------
        InputError
            When it names none.

        Examples
        --------
        >>> Share.parse("3/40")
        Share(number=3, of=40)
        """
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
        share = cls(*map(int, found.groups())) if found else None
        if share is None or not 1 <= share.number <= share.of:
            raise InputError(
                f"--share {printable(text)}: expected the number of this process and how many "
                "there are, such as 3/40; the first is 1/40."
            )
        return share

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def parts(self, count: int) -> range:
        """Return the numbers of the parts that this share does, of so many."""
        return range(self.number - 1, count, self.of)


def extract_share(
    source: Source,
    columns: Mapping[str, str],
    out: Path,
    settings: ExtractSettings,
    engine: Engine,
    deadline: Deadline,
    progress: Progress | None,
    download_progress: Progress | None,
) -> ExtractResult:
    """Compute the parts of one share; see `extract.extract`.

    Returns
    -------
    ExtractResult
        Of the images of this share alone.

    Raises
    ------
    InputError
        When the share is none, or another engine is asked for beside.
    IncompatibleError
        When the other shares have other settings.
    LockedError
        When the cache is written at this moment.
    """
    begun, share = time.monotonic(), Share.parse(settings.share or "")
    if not isinstance(engine, InProcess):
        raise InputError("A share is computed in its own process. Leave --share or --backend out.")
    with locks.lock_output(out, shared=True):
        run, images, weights, parts = _joined_run(
            share, source, columns, out, settings, download_progress
        )
        numbers = share.parts(run.parts)
        spans = [images.missing[run.span(number)] for number in numbers]
        mine = np.concatenate([np.empty(0, np.int64), *spans])
        known = places_unknown(images.contents)
        ledger = Ledger(
            images.listed, known, max_bad=run.max_bad, strict=run.strict, asked=len(mine)
        )
        told = Told(ledger, run, progress or ignore_progress)
        trunk = Trunk(weights, run.fingerprint, batch=run.batch)
        work = ExtractWork(run, images, parts, trunk, known, told.note, told.advance)
        missing = [number for number in numbers if not _is_there(work, number)]
        compute(engine, work, missing, ledger, deadline)
        rows = ledger.rows()
        keep_own(weights)
    return result_of(
        out, ledger, rows, known, run.fingerprint,
        weights=weights.provider, computed=told.computed, begun=begun, share=str(share),
    )  # fmt: skip


def _is_there(work: ExtractWork, number: int) -> bool:
    """Tell whether a part is there and whole, and take note of it if it is."""
    try:
        part = work.look(number)
    except CorruptError as error:
        log.warning("%s It is computed again.", str(error).partition(". ")[0] + ".")
        return False
    if part:
        work.take(number, part)
    return part is not None


def _joined_run(
    share: Share,
    source: Source,
    columns: Mapping[str, str],
    out: Path,
    settings: ExtractSettings,
    progress: Progress | None,
) -> tuple[Run, RunImages, Weights, Parts]:
    """Return the run of all shares, which the first of them writes."""
    planning = out.with_name(out.name + ".share")
    named = " ".join(redacted(str(path.absolute())) for path in paths_of(source))
    with (
        locks.lock_output(planning, wait=True),
        opened_before(out, overwrite=settings.overwrite) as (old, sealed),
    ):
        parts = Parts(out, sealed)
        run = read_run(parts.folder)
        if run and run.shares:
            if run.shares != share.of:
                raise IncompatibleError(
                    f"{printable(parts.folder)} is of {run.shares} shares, and this is "
                    f"{share}. Give the same number of shares. {_ANEW}"
                )
            _require_same_options(run, settings, named)
            images = read_images(parts.folder, run)
            weights = _require_same(run, images, settings, progress)
            return run, images, weights, parts
        listed = as_catalog(source, columns=columns)
        found = prepare(listed, out, settings, old, sealed, progress)
        run = new_run(
            found.plan, settings, len(found.images.missing), source=named, shares=share.of
        )
        run = write_run(parts.folder, run, found.images)
        log.info("%s parts of %s images for %s shares.", run.parts, run.count, share.of)
        return run, found.images, found.weights, parts


_ANEW = "To start all shares anew, delete run.json in that folder; finished parts are kept."


def _require_same_options(run: Run, settings: ExtractSettings, source: str) -> None:
    """Check that this share has the source and the options of the first one.

    Raises
    ------
    IncompatibleError
    """
    if run.source != source and run.source and source:
        raise IncompatibleError(
            f"The other shares are of {printable(run.source)}, and this one of "
            f"{printable(source)}. Give all shares the same source. {_ANEW}"
        )
    for name in ("max_bad", "strict", "prune", "overwrite"):
        mine, theirs = getattr(settings, name), getattr(run, name)
        if mine != theirs:
            option = name.replace("_", "-")
            raise IncompatibleError(
                f"--{option} is {mine} here and {theirs} in the other shares. Give all shares "
                f"the same options. {_ANEW}"
            )


def _require_same(
    run: Run, images: RunImages, settings: ExtractSettings, progress: Progress | None
) -> Weights:
    """Check that this share is asked for what the first one was; return the weights."""
    weights = weights_for(settings, run.fingerprint, progress)
    wanted = make_plan(settings, weights, len(images.listed), run.fingerprint).fingerprint
    if wanted.precision == "int8":
        wanted = replace(wanted, ranges=run.fingerprint.ranges)
    wanted.require_equal(
        run.fingerprint,
        mine="now",
        theirs="in the other shares",
        advice="Give all shares the same options.",
        where="The run that this is a share of",
    )
    return weights
