"""The report: what a model is and how good it is, as a page that a person looks at."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

from .. import backend
from ..auditing.audit import audit
from ..auditing.result import AuditResult
from ..cache.beside import place_beside
from ..cache.file import Cache
from ..errors import InputError, printable, require_one_of
from ..heads.curve import CurveSettings, curve
from ..heads.leaderboard import CompareResult
from ..keywords import takes
from ..metrics import Scores, compute_scores
from ..model.file import load
from ..model.model import Model
from ..names import ReportPart
from ..plain import plain
from ..progress import Progress, as_function, ignore_progress, shows_progress
from ..showing.words import number_of
from ..storage import locks
from . import content
from .embedding import embed
from .made import made_part
from .page import check_page, render, write_page
from .pictures import Pictures, draw_pictures, places_of
from .shown import Shown
from .tried import try_model

__all__ = [
    "PARTS",
    "ReportChanges",
    "ReportResult",
    "ReportSettings",
    "report",
    "report_leaderboard",
]

#: What can be left out: each takes some seconds.
PARTS = ("audit", "curve", "map", "images")


@dataclass(frozen=True)
class ReportSettings:
    """What a report has in it.

    Attributes
    ----------
    cache : str or sequence of str, optional
        The cache that the model was fitted on, or the cache of each of its networks; by default
        where it was then.
    skip : tuple of str
        Of `PARTS`: what is left out.
    most : int
        Images at most in each list of mistakes or odd images.
    seed : int
        Seed of the learning curve, the audit and the map.
    overwrite : bool
        Replace a page that exists.
    """

    cache: str | Sequence[str] | None = None
    skip: Sequence[str] = ()
    most: int = 24
    seed: int = 0
    overwrite: bool = False


class ReportChanges(TypedDict, total=False):
    """The fields of `ReportSettings` as keywords, for editors and type checkers."""

    cache: str | Sequence[str] | None
    skip: Sequence[ReportPart]
    most: int
    seed: int
    overwrite: bool


@dataclass(frozen=True)
class ReportResult:
    """The page that was written.

    Attributes
    ----------
    out : Path
    images : int
        Images that the page is about.
    missing : int
        Of those, images whose files cannot be read any more.
    bytes : int
    seconds : float
    """

    out: Path
    images: int
    missing: int
    bytes: int
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain values, for JSON."""
        found: dict[str, Any] = plain(self)
        return found


@takes(ReportSettings, ReportChanges)
@shows_progress
@backend.own_settings()
def report(
    model: Model | str | os.PathLike[str],
    out: str | os.PathLike[str],
    settings: ReportSettings | None = None,
    *,
    progress: Progress | bool | None = None,
    **changes: Unpack[ReportChanges],
) -> ReportResult:
    """Write a page about a model and the images that it was fitted on.

    The page is one file that asks for nothing from elsewhere. No network is run: the features come
    from the cache, and the image files are read for their thumbnails.

    Parameters
    ----------
    model : Model or path
    out : path
        The .html file to write.
    settings : ReportSettings, optional
    progress : callable or True, optional
        True shows a bar; else see `progress.Progress`;
        the detail is what is under way.
    **changes
        Fields of `ReportSettings`, over those of `settings`.

    Returns
    -------
    ReportResult
        The page that was written, and how many images are in it.

    Raises
    ------
    InputError
        When the cache is not found, has none of the model's images, or a setting is wrong.
    CorruptError, IncompatibleError
        When the cache cannot be read, or is not of the model's network.
    StorageError
        When the page cannot be written.

    Examples
    --------
    >>> import featx
    >>> page = featx.report("model.featx", "report.html", skip=("curve", "map"))  # doctest: +SKIP
    >>> page.out.name  # doctest: +SKIP
    'report.html'
    """
    progress = as_function(progress)
    settings = replace(settings or ReportSettings(), **changes)
    begun = time.monotonic()
    out = check_page(out, settings.overwrite)
    for name in settings.skip:
        require_one_of("part", name, PARTS)
    if settings.most < 1:
        raise InputError(f"most is {settings.most}. Expected 1 or more.")
    path = "" if isinstance(model, Model) else str(model)
    model = model if isinstance(model, Model) else load(model)
    told = progress or ignore_progress
    given = _as_texts(settings.cache)
    with (
        locks.lock_output(out),
        Cache.opened_all(_caches_of(model, given)) as caches,
    ):
        cache = place_beside(caches)
        tried = try_model(model, cache)
        scores = [compute_scores(some.y, some.probabilities) for some in tried.parts]
        shown = Shown(tried.parts, tried.names)
        found = _Found(model, cache, settings, told)
        odd = found.odd_images(shown)
        shown = replace(shown, others=odd.others)
        drawn = Pictures([""] * len(shown.paths))
        if found.wants("images"):
            named = _named(told, "thumbnails")
            drawn = draw_pictures(model, cache, shown, settings.most, named)
            shown = replace(shown, evidence=drawn.evidence)
        sections = [
            content.good_part(shown, scores, tried.notes),
            content.wrong_part(shown, settings.most, drawn.words),
        ]
        board = model.report["leaderboard"]
        if board:
            sections.append(content.board_part(board))
        sections.append(content.believe_part(shown, scores[0]))
        sections += [*found.curve(), *odd.sections(shown, settings.most), *found.map(shown)]
        sections.append(made_part(model, cache, path, given, out))
        text = render(
            "report.html",
            {
                "classes": [printable(name) for name in model.classes],
                "images": list(content.image_rows(shown)),
                "thumbnails": drawn.thumbnails,
            },
            title=f"featx: {model.head_name} on {model.view.name}",
            headline=content.headline(scores[0], tried.names[0]),
            about=_about(model, scores),
            classes=[printable(name) for name in model.classes],
            contents=sections,
        )
        write_page(text, out, overwrite=settings.overwrite)
    return ReportResult(
        out=out,
        images=len(shown),
        missing=drawn.missing,
        bytes=len(text.encode()),
        seconds=round(time.monotonic() - begun, 3),
    )


def report_leaderboard(
    board: CompareResult, out: str | os.PathLike[str], *, overwrite: bool = False
) -> Path:
    """Write a leaderboard as a page, and return its path.

    Raises
    ------
    InputError
        When the name does not end in .html, or the file exists and may not be replaced.
    StorageError
        When it cannot be written.
    """
    out = check_page(out, overwrite)
    part = content.board_part(board.as_dict(), board.prefer)
    title = f"featx: {board.choice.head} on {board.choice.view} is best"
    text = render(
        "leaderboard.html",
        {"classes": [], "images": [], "thumbnails": []},
        title=title,
        about=f"{part['rule']}, in {board.seconds:.0f} s.",
        board=part,
    )
    with locks.lock_output(out):
        write_page(text, out, overwrite=overwrite)
    return out


def _named(progress: Progress, name: str) -> Progress:
    """Return what tells the progress of one step, with its name."""

    def told(done: int, total: int, detail: int | str | None = None, /) -> None:
        progress(done, total, name)

    return told


def _as_texts(given: Any) -> list[str]:
    """Return paths as texts: none, of one path, or of several."""
    several = [given] if isinstance(given, str | os.PathLike) else given or ()
    return [os.fspath(path) for path in several if path]


def _caches_of(model: Model, given: Sequence[str]) -> list[Path]:
    """Return the cache that a model was fitted on, or that of each network."""
    found = [Path(kept) for kept in given or _as_texts(model.report["train"]["features"])]
    if not found:
        raise InputError(
            "The model was fitted on images that a Python program gave. Say which cache has them: "
            "--cache features.h5."
        )
    if len(found) != len(model.fingerprint.each):
        raise InputError(
            f"The model sees images by {len(model.fingerprint.each)} networks, and "
            f"there {'is' if len(found) == 1 else 'are'} {number_of(len(found), 'cache')}. Give "
            "the cache of each, in the order of the networks: --cache a.h5 --cache b.h5."
        )
    for path in found:
        if not path.exists():
            raise InputError(
                f"The cache that the model was fitted on is not at {printable(path)}. Say where it "
                "is: --cache features.h5."
            )
    return found


def _about(model: Model, scores: Sequence[Scores]) -> str:
    tuned = f", fine-tuned from {model.tail.layers[0]} on" if model.tail else ""
    images = sum(one.images for one in scores)
    titles = " and ".join(dict.fromkeys(one.trunk.row.title for one in model.fingerprint.each))
    return (
        f"{len(model.classes)} classes, {images} images; the classifier is {model.head_name} on "
        f"what {titles} sees ({model.view.name}){tuned}."
    )


@dataclass(frozen=True, eq=False)
class _Odd:
    """What the audit found: nothing where it was left out, or why it could not be made."""

    found: AuditResult | None = None
    problem: str = ""
    others: tuple[str, ...] = ()

    def sections(self, shown: Shown, most: int) -> list[content.Part]:
        """Return the section, if there is one."""
        if self.problem:
            return [content.failed_part("odd", self.problem)]
        return [content.odd_part(shown, self.found, most)] if self.found else []


@dataclass(frozen=True, eq=False)
class _Found:
    """What is computed for the page, part by part."""

    model: Model
    cache: Cache
    settings: ReportSettings
    told: Progress

    def wants(self, part: str) -> bool:
        """Tell whether a part is not left out."""
        return part not in self.settings.skip

    def odd_images(self, shown: Shown) -> _Odd:
        """Return what is odd, and the paths of images in it that the page is not about."""
        if not self.wants("audit"):
            return _Odd()
        try:
            found = audit(
                self.cache,
                seed=self.settings.seed,
                pixels=self.wants("images"),
                progress=_named(self.told, "reading images"),
                folds_progress=_named(self.told, "odd images"),
            )
        except InputError as error:
            return _Odd(problem=str(error))
        paths = content.odd_paths(found, self.settings.most)
        return _Odd(found, others=tuple(sorted(paths - set(shown.paths))))

    def curve(self) -> list[content.Part]:
        """Return the learning curve, unless it was left out; a tuned network has none."""
        if not self.wants("curve") or self.model.tail:
            return []
        try:
            grown = curve(
                self.cache,
                CurveSettings(
                    head=self.model.head_name,
                    view=self.model.view.name,
                    seed=self.settings.seed,
                ),
                progress=_named(self.told, "learning curve"),
            )
        except InputError as error:
            return [content.failed_part("more", str(error))]
        return [content.more_part(grown)]

    def map(self, shown: Shown) -> list[content.Part]:
        """Return the map, unless it was left out."""
        if not self.wants("map"):
            return []
        places = places_of(self.cache, shown.paths[: len(shown)])
        rows = self.cache.matrix("avg", images=places, copies=0).X
        return [content.map_part(shown, *embed(rows, self.settings.seed))]
