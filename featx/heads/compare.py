"""Stage 2a: which head is best on the images of a cache, honestly."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from .. import backend
from ..cache.file import Cache
from ..dataset import splits
from ..errors import InputError, printable
from ..progress import Progress
from ..storage import files, locks
from .folds import usable_part
from .leaderboard import CompareResult, rank
from .settings import CompareChanges, CompareSettings

__all__ = ["compare", "write_leaderboard"]


@backend.own_settings()
def compare(
    features: str | os.PathLike[str],
    settings: CompareSettings | None = None,
    *,
    estimators: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    **changes: Unpack[CompareChanges],
) -> CompareResult:
    """Compare heads by cross-validation over images, each with the choice of its settings inside.

    All copies of an image, equal files, and images of one group are always on one side of a
    fold; training uses all copies, validation the originals. A `test` split is never touched; with
    a `val` split beside it, models are trained on `train` and compared on `val`.

    Parameters
    ----------
    features : path or Cache
        A cache made by `extract`.
    settings : CompareSettings, optional
    estimators : mapping, optional
        Name → a scikit-learn classifier of your own. It gets rows of length 1.
    progress : callable, optional
        See `progress.Progress`; the detail is the head of the last fold.
    **changes
        Fields of `CompareSettings`, over those of `settings`.

    Raises
    ------
    InputError
        When the cache cannot be trained on, or a setting is wrong.
    CorruptError, IncompatibleError
        When the cache cannot be read.

    Examples
    --------
    >>> import featx
    >>> from sklearn.naive_bayes import GaussianNB
    >>> board = featx.compare("features.h5", estimators={"mine": GaussianNB()})  # doctest: +SKIP
    >>> board.choice.head  # doctest: +SKIP
    'logreg'
    """
    settings = replace(settings or CompareSettings(), **changes)
    with Cache.opened(features) as whole:
        cache, _ = usable_part(whole, settings.min_per_class)
        images = splits.labelled_images(cache.catalog, cache.digests)
        folds = None
        if cache.catalog.splits[images].any():
            split = splits.train_test(cache.catalog, cache.digests, 0.5, settings.seed)
            images, folds = split.to_compare_on()
        return rank(cache, images, settings, folds=folds, more=estimators, progress=progress)


def write_leaderboard(board: CompareResult, out: Path, *, overwrite: bool = False) -> None:
    """Write a leaderboard as CSV or JSON, by the name of the file.

    Raises
    ------
    InputError
        When the name ends in neither, or the file exists and may not be replaced.
    StorageError
        When it cannot be written.
    """
    import json

    if out.suffix.lower() == ".csv":
        text = board.as_csv()
    elif out.suffix.lower() == ".json":
        text = json.dumps(board.as_dict(), indent=2) + "\n"
    else:
        raise InputError(f"{printable(out)}: expected a name that ends in .csv or .json.")
    with locks.lock_output(out):
        files.require_new(out, overwrite)
        files.write_bytes(out, text.encode())
