"""Stage 2a: which head is best on the images of a cache, honestly."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack

from .. import backend
from ..cache.file import Cache, CacheLike
from ..engines.backends import chosen_backend
from ..keywords import takes
from ..progress import Progress, as_function, shows_progress
from .candidates import candidates_of
from .folds import images_to_compare, usable_part
from .leaderboard import CompareResult, rank
from .settings import CompareChanges, CompareSettings

__all__ = ["compare"]


@takes(CompareSettings, CompareChanges)
@shows_progress
@backend.own_settings()
def compare(
    features: CacheLike | Sequence[CacheLike],
    settings: CompareSettings | None = None,
    *,
    estimators: Mapping[str, Any] | None = None,
    progress: Progress | bool | None = None,
    **changes: Unpack[CompareChanges],
) -> CompareResult:
    """Compare heads by cross-validation over images, each with the choice of its settings inside.

    All copies of an image, equal files, and images of one group are always on one side of a
    fold; training uses all copies, validation the originals. A `test` split is never touched; with
    a `val` split beside it, models are trained on `train` and compared on `val`.

    Parameters
    ----------
    features : path or Cache, or a sequence of them
        A cache made by `extract`, or several of the same images by other networks: then heads are
        compared on the features of each, and on those of each two side by side.
    settings : CompareSettings, optional
    estimators : mapping, optional
        Name → a scikit-learn classifier of your own. It gets rows of length 1.
    progress : callable or True, optional
        True shows a bar; else see `progress.Progress`; the detail is the head of the last fold.
    **changes
        Fields of `CompareSettings`, over those of `settings`.

    Returns
    -------
    CompareResult
        Every head with its score, best first, and the choice among those that are tied.

    Raises
    ------
    InputError
        When the cache cannot be trained on, or a setting is wrong; or when several caches are not
        of the same images, with the same labels, splits and groups.
    CorruptError, IncompatibleError
        When the cache cannot be read.

    Examples
    --------
    >>> import featx
    >>> from sklearn.naive_bayes import GaussianNB
    >>> board = featx.compare("features.h5", estimators={"mine": GaussianNB()})  # doctest: +SKIP
    >>> sorted({entry.head for entry in board.entries})  # doctest: +SKIP
    ['dummy', 'kernel-ridge', 'mine', 'ridge']
    """
    progress = as_function(progress)
    settings = replace(settings or CompareSettings(), **changes)
    where = chosen_backend(settings.backend, settings.scheduler)
    with where, Cache.opened_all(features) as caches:
        cache, rare = usable_part(caches[0], settings.min_per_class)
        several = [one.without_classes(rare) for one in candidates_of(caches)]
        images, folds = images_to_compare(cache, settings.seed)
        return rank(several, images, settings, folds=folds, more=estimators, progress=progress)
