"""Which images to label next: uncertain, unlike one another, and new to the model."""

import io
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np

from .. import backend
from ..cache.file import Cache
from ..dataset.catalog import NO_LABEL
from ..dataset.scan import Source, paths_of
from ..errors import InputError, printable
from ..images.decode import SkippedImage
from ..keywords import takes
from ..model.file import load
from ..model.model import Model
from ..plain import plain
from ..progress import Progress, adding_up, as_function, shows_progress
from ..storage import files, locks
from .candidates import Candidates, choose
from .display import NextDisplay
from .rows import KNOWN, RowBlock, open_rows
from .tables import DIGITS, CsvTable

__all__ = ["Chosen", "NextChanges", "NextResult", "NextSettings", "choose_next"]

_BLOCK = 2048
_MOST = 1000
#: The columns of the manifest. `label` is to be filled in; extract ignores those after it.
_COLUMNS = {
    "path": str,
    "label": str,
    "predicted": str,
    "confidence": float,
    "margin": float,
    "novelty": float,
}


@dataclass(frozen=True)
class NextSettings:
    """How many images are chosen.

    Attributes
    ----------
    n : int
        Images to choose, 1 to 1,000. After more labels than that, another model is worth asking.
    seed : int
        Seed of the clusters.
    overwrite : bool
        Replace an output that exists.
    """

    n: int = 50
    seed: int = 0
    overwrite: bool = False


class NextChanges(TypedDict, total=False):
    """The fields of `NextSettings` as keywords, for editors and type checkers."""

    n: int
    seed: int
    overwrite: bool


@dataclass(frozen=True)
class Chosen:
    """An image to label.

    Attributes
    ----------
    path : str
        Relative to the folder of the manifest.
    predicted : str
        The most probable class.
    confidence : float
        Its probability.
    margin : float
        By how much it is more probable than the second class.
    novelty : float or None
        See `Model.novelty_of`; None where the model cannot tell.
    """

    path: str
    predicted: str
    confidence: float
    margin: float
    novelty: float | None


@dataclass(frozen=True, eq=False, repr=False)
class NextResult(NextDisplay):
    """What `choose_next` chose.

    Attributes
    ----------
    chosen : list of Chosen
        The most uncertain first. They are fewer than asked for where there are no more that differ.
    listed : int
        Images in the source.
    trained_on : int
        Images left out because the model was trained on their very bytes.
    labelled : int
        Images left out because they have a label.
    outside : bool
        Whether some are not below the folder of the manifest, so that it is read with
        `allow_outside`.
    skipped : list of SkippedImage
    out : Path
    seconds : float
    """

    chosen: list[Chosen]
    listed: int
    trained_on: int
    labelled: int
    outside: bool
    skipped: list[SkippedImage]
    out: Path
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain values, for JSON."""
        found: dict[str, Any] = plain(self)
        return found


@takes(NextSettings, NextChanges)
@shows_progress
@backend.own_settings()
def choose_next(
    model: Model | str | os.PathLike[str],
    source: Source | Cache,
    out: str | os.PathLike[str],
    settings: NextSettings | None = None,
    *,
    progress: Progress | bool | None = None,
    **changes: Unpack[NextChanges],
) -> NextResult:
    """Choose the images whose labels would teach a model most, and write them as a manifest.

    Of the ten times as many images whose two most probable classes are closest, clusters are made,
    and the most uncertain image of each is chosen. Equal files and images that are nearly equal
    are chosen once. Images that have a label, or that the model was trained on, are left out. Only
    the candidates are in memory, and the paths of all images.

    Parameters
    ----------
    model : Model or path
    source : path, several paths, Catalog, or Cache
        A folder, a manifest, images, or a cache made with the model's network.
    out : path
        Ends in .csv; its column `label` is empty, to be filled in.
    settings : NextSettings, optional
    progress : callable or True, optional
        True shows a bar; else see `progress.Progress`.
    **changes
        Fields of `NextSettings`, over those of `settings`.

    Returns
    -------
    NextResult
        The images that would teach the model most, in the order in which to label them.

    Raises
    ------
    InputError
        When a setting is wrong, or no image is left to choose.
    CorruptError, IncompatibleError
        When a cache cannot be read, or is not of the model's network.

    Examples
    --------
    >>> import featx
    >>> told = featx.choose_next("model.featx", "photos", "next.csv", n=5)  # doctest: +SKIP
    >>> len(told.chosen)  # doctest: +SKIP
    5
    """
    progress = as_function(progress)
    settings = replace(settings or NextSettings(), **changes)
    begun = time.monotonic()
    out = Path(out)
    _check(source, out, settings)
    if not isinstance(model, Model):
        model = load(model)
    known = set(model.trained_on)
    found = Candidates.none(len(model.classes))
    trained_on, skipped = 0, []
    with locks.lock_output(out), open_rows(model, source) as opened:
        listed, root = len(opened.catalog), opened.catalog.root
        images = np.flatnonzero(opened.catalog.labels == NO_LABEL)
        if not len(images):
            raise InputError(
                f"All {listed} images have labels. Give images that are still to be labelled: a "
                "folder, or a manifest without labels."
            )
        advance = adding_up(progress, len(images))
        for start in range(0, len(images), _BLOCK):
            block = opened.picked(images[start : start + _BLOCK], known, advance)
            found = found.joined(_candidates(model, block)).most_uncertain(settings.n)
            trained_on += block.reasons.count(KNOWN)
            skipped += _skipped(block)
        if not len(found):
            raise InputError(
                f"No image is left to choose: of {len(images)} without a label, the model was "
                f"trained on {trained_on}, and {len(skipped)} cannot be used. Give other images."
            )
        found = choose(found, settings.n, settings.seed)
        chosen, outside = _chosen(found, model.classes, root, out)
        files.require_new(out, settings.overwrite)
        files.write_bytes(out, _manifest(chosen))
    return NextResult(
        chosen=chosen,
        listed=listed,
        trained_on=trained_on,
        labelled=listed - len(images),
        outside=outside,
        skipped=skipped,
        out=out,
        seconds=round(time.monotonic() - begun, 3),
    )


def _check(source: Source | Cache, out: Path, settings: NextSettings) -> None:
    if not 1 <= settings.n <= _MOST:
        raise InputError(
            f"n is {settings.n}. Expected a number of images from 1 to {_MOST:,}: label these, "
            "and ask the model that they make for more."
        )
    if out.suffix.lower() != ".csv":
        raise InputError(f"{printable(out)}: expected a name that ends in .csv.")
    files.require_new(out, settings.overwrite)
    if out.resolve() in (path.resolve() for path in paths_of(source)):
        raise InputError(f"{printable(out)} is the source itself. Give another output.")


def _candidates(model: Model, block: RowBlock) -> Candidates:
    """Return the images of a block that have rows."""
    ok = np.flatnonzero(block.is_ok)
    return Candidates(
        paths=np.array([block.paths[at] for at in ok], object),
        digests=np.array([block.digests[at] for at in ok], object),
        rows=block.X[:, 0],
        probabilities=model.predict_proba_rows(block.X),
        novelty=block.novelty,
    )


def _skipped(block: RowBlock) -> list[SkippedImage]:
    return [
        SkippedImage(path, reason, detail)
        for path, reason, detail in zip(block.paths, block.reasons, block.details, strict=True)
        if reason not in ("", KNOWN)
    ]


def _chosen(
    found: Candidates, classes: tuple[str, ...], root: Path, out: Path
) -> tuple[list[Chosen], bool]:
    """Return the images with paths that the manifest can have, and whether one lies outside."""
    folder = os.path.realpath(out.parent)
    chosen, outside = [], False
    for at, path in enumerate(found.paths):
        where, name = os.path.split(root / path)
        full = os.path.join(os.path.realpath(where), name)
        outside |= not os.path.realpath(full).startswith(os.path.join(folder, ""))
        probabilities, novelty = found.probabilities[at], float(found.novelty[at])
        chosen.append(
            Chosen(
                path=_plain_start(os.path.relpath(full, folder)),
                predicted=classes[int(probabilities.argmax())],
                confidence=round(float(probabilities.max()), DIGITS),
                margin=round(float(found.margin[at]), DIGITS),
                novelty=None if np.isnan(novelty) else round(novelty, DIGITS),
            )
        )
    return chosen, outside


def _plain_start(path: str) -> str:
    """Return a path that neither a spreadsheet nor the reader of manifests takes for another."""
    return path if path[0].isalnum() or path.startswith("../") else f"./{path}"


def _manifest(chosen: list[Chosen]) -> bytes:
    table = CsvTable(_COLUMNS, {})
    block = {name: [getattr(row, name, None) for row in chosen] for name in _COLUMNS}
    text = io.BytesIO()
    table.join(text, [table.encode(block)])  # type: ignore[arg-type]
    return text.getvalue()
