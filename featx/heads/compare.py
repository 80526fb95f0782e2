"""Stage 2a: which head is best on the images of a cache, honestly."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Unpack

from .. import backend
from ..cache.file import Cache
from ..progress import Progress
from .folds import images_to_compare, usable_part
from .leaderboard import CompareResult, rank
from .settings import CompareChanges, CompareSettings

__all__ = ["compare"]


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
        images, folds = images_to_compare(cache, settings.seed)
        return rank(cache, images, settings, folds=folds, more=estimators, progress=progress)
