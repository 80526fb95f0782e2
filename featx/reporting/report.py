"""The report: what a model is and how good it is, as a page that a person looks at."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np

from .. import backend
from ..auditing.audit import audit
from ..cache.file import Cache
from ..errors import InputError, printable, require_one_of
from ..heads.curve import curve
from ..heads.leaderboard import CompareResult
from ..metrics import Scores, compute_scores
from ..model.file import load
from ..model.model import Model
from ..model.predictions import Predictions
from ..plain import plain
from ..progress import Progress, ignore_progress
from ..scoring.evaluate import evaluate
from . import content
from .content import Shown
from .embedding import embed
from .made import made_part
from .page import check_page, render, write_page
from .pictures import Pictures, draw_pictures

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
    cache : str, optional
        The cache that the model was fitted on; by default where it was then.
    skip : tuple of str
        Of `PARTS`: what is left out.
    most : int
        Images at most in each list of mistakes or odd images.
    seed : int
        Seed of the learning curve, the audit and the map.
    overwrite : bool
        Replace a page that exists.
    """

    cache: str | None = None
    skip: tuple[str, ...] = ()
    most: int = 24
    seed: int = 0
    overwrite: bool = False


class ReportChanges(TypedDict, total=False):
    """The fields of `ReportSettings` as keywords, for editors and type checkers."""

    cache: str | None
    skip: tuple[str, ...]
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


@backend.own_settings()
def report(
    model: Model | str | os.PathLike[str],
    out: str | os.PathLike[str],
    settings: ReportSettings | None = None,
    *,
    progress: Progress | None = None,
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
    progress : callable, optional
        See `progress.Progress`; the detail is what is under way.
    **changes
        Fields of `ReportSettings`, over those of `settings`.

    Raises
    ------
    InputError
        When the cache is not found, has none of the model's images, or a setting is wrong.
    CorruptError, IncompatibleError
        When the cache cannot be read, or is not of the model's network.
    StorageError
        When the page cannot be written.
    """
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
    with Cache.opened(_cache_of(model, settings.cache)) as cache:
        parts, names = _predictions(model, cache)
        scores = [compute_scores(some.y, some.probabilities) for some in parts]
        shown = Shown(parts, names, {})
        found = _Found(model, cache, shown, settings)
        drawn = Pictures([""] * len(shown))
        if found.wants("images"):
            named = _named(told, "thumbnails")
            drawn = draw_pictures(model, cache, shown, found.places, settings.most, named)
            shown = replace(shown, evidence=drawn.evidence)
        sections = [
            content.good_part(shown, scores),
            content.wrong_part(shown, settings.most, drawn.words),
        ]
        board = model.report["leaderboard"]
        if board:
            sections.append(content.board_part(board))
        sections.append(content.believe_part(parts[0], scores[0]))
        sections += found.sections(told, shown)
        sections.append(made_part(model, cache, path, out))
    text = render(
        "report.html",
        {
            "classes": [printable(name) for name in model.classes],
            "images": list(content.image_rows(shown)),
            "thumbnails": drawn.thumbnails,
        },
        title=f"featx: {model.head_name} on {model.view.name}",
        headline=content.headline(scores[0], names[0]),
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
    write_page(text, out, overwrite=overwrite)
    return out


def _named(progress: Progress, name: str) -> Progress:
    """Return what tells the progress of one step, with its name."""

    def told(done: int, total: int, detail: int | str | None = None, /) -> None:
        progress(done, total, name)

    return told


def _cache_of(model: Model, given: str | None) -> Path:
    """Return the cache that a model was fitted on."""
    path = Path(given or model.report["train"]["features"])
    if not path.exists():
        raise InputError(
            f"The cache that the model was fitted on is not at {printable(path)}. Say where it is: "
            "--cache features.h5."
        )
    return path


def _predictions(model: Model, cache: Cache) -> tuple[list[Predictions], tuple[str, ...]]:
    """Return the test images and the training images, each predicted by who did not know it."""
    parts, names, problems = [], [], []
    training = "training images, each predicted without it"
    for split, name in ((None, "test images"), ("train", training)):
        try:
            found = evaluate(model, cache, split=split)
        except InputError as error:  # no image is left, or the model has no such probabilities
            problems.append(str(error))
            continue
        parts.append(found.predictions)
        names.append(name)
    if not parts:
        raise InputError(f"{problems[0]} And of the training images: {problems[1]}")
    return parts, tuple(names)


def _about(model: Model, scores: Sequence[Scores]) -> str:
    tuned = f", fine-tuned from {model.tail.layers[0]} on" if model.tail else ""
    images = sum(one.images for one in scores)
    return (
        f"{len(model.classes)} classes, {images} images; the classifier is {model.head_name} on "
        f"what VGG16 sees ({model.view.name}){tuned}."
    )


@dataclass(frozen=True, eq=False)
class _Found:
    """What is computed for the page, part by part."""

    model: Model
    cache: Cache
    shown: Shown
    settings: ReportSettings

    def wants(self, part: str) -> bool:
        """Tell whether a part is not left out."""
        return part not in self.settings.skip

    @property
    def places(self) -> np.ndarray:
        """The index in the cache of each image of the page, int (n,)."""
        at = {str(path): index for index, path in enumerate(self.cache.catalog.paths)}
        return np.array([at[str(path)] for part in self.shown.parts for path in part.paths])

    def sections(self, told: Progress, shown: Shown) -> list[content.Part]:
        """Return the learning curve, the audit and the map, those that are wanted."""
        model, cache, settings = self.model, self.cache, self.settings
        found = []
        if self.wants("curve") and not model.tail:
            grown = curve(
                cache,
                head=model.head_name,
                view=model.view.name,
                seed=settings.seed,
                progress=_named(told, "learning curve"),
            )
            found.append(content.more_part(grown))
        if self.wants("audit"):
            looked = audit(
                cache,
                seed=settings.seed,
                pixels=self.wants("images"),
                progress=_named(told, "reading images"),
                folds_progress=_named(told, "odd images"),
            )
            found.append(content.odd_part(shown, looked, settings.most))
        if self.wants("map"):
            rows = cache.matrix("avg", images=self.places, copies=0).X
            found.append(content.map_part(shown, *embed(rows, settings.seed)))
        return found
