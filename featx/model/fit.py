"""Stage 2: a head trained on the cache, tested on images it has not seen, saved as a model."""

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from .. import backend
from ..cache.file import Cache, CacheLike
from ..dataset import splits
from ..engines.backends import chosen_backend
from ..errors import InputError
from ..heads.candidates import candidates_of
from ..heads.folds import usable_part
from ..heads.leaderboard import CompareResult
from ..heads.training import Trained
from ..keywords import takes
from ..metrics import Scores, compute_scores
from ..plain import plain
from ..progress import Progress, as_function, shows_progress
from .assembly import check_settings, choose_head, train_model
from .display import FitDisplay
from .file import lock_model, save
from .model import Model
from .predictions import Mistake, Predictions
from .settings import FitChanges, FitSettings
from .threshold import Threshold, coverage_at, find_threshold

__all__ = ["FitResult", "fit"]


@dataclass(frozen=True, eq=False, repr=False)
class FitResult(FitDisplay):
    """The fitted model and its test.

    Attributes
    ----------
    model : Model
        The model that was saved.
    test : Scores
        Scores on the images that were not trained on.
    train_images, train_rows : int
        Number of training images, and of them with their augmented copies.
    rule : str
        A sentence that says which images were tested on.
    left_out : int
        Training images left out because they equal a test image or share its group.
    left_out_classes : dict of int
        Classes that were left out because of `min_per_class`, with the number of their different
        images to train on.
    unlabelled : int
        Images without a label, which were neither trained nor tested on.
    leaderboard : Leaderboard or None
        The comparison that the head was chosen by.
    target_precision : float or None
        The precision that was asked for.
    threshold, threshold_test : Threshold or None
        The confidence that reaches the target precision, with coverage and precision on the
        training images (out of fold) and on the test images; None when no precision was asked
        for or it cannot be reached.
    tested : Predictions
        The test images, one by one.
    out_of_fold : Predictions or None
        The training images, one by one, each by a classifier that was not trained on it; None
        where such probabilities were not computed.
    out : Path
    seconds : float
    """

    model: Model
    test: Scores
    train_images: int
    train_rows: int
    rule: str
    left_out: int
    left_out_classes: dict[str, int]
    unlabelled: int
    leaderboard: CompareResult | None
    target_precision: float | None
    threshold: Threshold | None
    threshold_test: Threshold | None
    tested: Predictions
    out_of_fold: Predictions | None
    out: Path
    seconds: float

    @property
    def mistakes(self) -> list[Mistake]:
        """Test images that the model gets wrong, the most confident first."""
        return self.tested.mistakes()

    @property
    def training_mistakes(self) -> list[Mistake]:
        """Training images that classifiers get wrong which were not trained on them."""
        return self.out_of_fold.mistakes() if self.out_of_fold else []

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain values, for JSON."""
        return {
            "head": self.model.head_name,
            "settings": self.model.settings,
            "classes": list(self.model.classes),
            "train": self.model.report["train"],
            "test": self.model.report["test"],
            "split": self.rule,
            "left_out": self.left_out,
            "left_out_classes": self.left_out_classes,
            "unlabelled": self.unlabelled,
            "leaderboard": self.model.report["leaderboard"],
            "threshold": self.model.report["threshold"],
            "mistakes": plain(self.mistakes),
            "training_mistakes": plain(self.training_mistakes),
            "out": str(self.out),
            "seconds": self.seconds,
        }


@takes(FitSettings, FitChanges)
@shows_progress
@backend.own_settings()
def fit(
    features: CacheLike | Sequence[CacheLike],
    out: str | os.PathLike[str],
    settings: FitSettings | None = None,
    *,
    progress: Progress | bool | None = None,
    **changes: Unpack[FitChanges],
) -> FitResult:
    """Choose and train a head on a cache, test it once on unseen images, and save the model.

    The head is trained on all copies of the training images and tested on the originals of the
    test images.

    Parameters
    ----------
    features : path or Cache, or a sequence of them
        A cache made by `extract`, or several of the same images by other networks: then the head is
        chosen over the features of each, and of each two side by side.
    out : path
        The model to write.
    settings : FitSettings, optional
    progress : callable or True, optional
        True shows a bar; else see `progress.Progress`;
        the detail is the head of the last fold.
    **changes
        Fields of `FitSettings` that replace those of `settings`.

    Returns
    -------
    FitResult
        The model, its scores on the test images, and how the head was chosen.

    Raises
    ------
    InputError
        When the cache cannot be trained on, or a setting is wrong; or when several caches are not
        of the same images, with the same labels, splits and groups.
    CorruptError, IncompatibleError
        When the cache cannot be read.
    StorageError, LockedError
        When the model cannot be written.

    Examples
    --------
    >>> import featx
    >>> fitted = featx.fit("features.h5", "model.featx", head="logreg")  # doctest: +SKIP
    >>> fitted.model.head_name, fitted.test.images  # doctest: +SKIP
    ('logreg', 20)
    """
    progress = as_function(progress)
    settings = replace(settings or FitSettings(), **changes)
    begun = time.monotonic()
    out = Path(out)
    check_settings(settings)
    with Cache.opened_all(features) as caches, lock_model(out, settings.overwrite):
        whole = caches[0]
        cache, rare = usable_part(whole, settings.min_per_class, holds_out=True)
        several = [one.without_classes(rare) for one in candidates_of(caches)]
        catalog = cache.catalog
        split = splits.train_test(catalog, cache.digests, settings.test_size, settings.seed)
        images, folds = split.to_compare_on()
        with chosen_backend(settings.backend, settings.scheduler):
            board, cache, name, view = choose_head(several, images, folds, settings, progress)
        model, trained = train_model(cache, split.train, name, view, settings)
        test = cache.matrix(model.view, images=split.test, copies=0)
        rows = len(split.train) * (1 + cache.fingerprint.copies)
        probabilities = model.predict_proba_rows(test.X)
        found = compute_scores(test.y, probabilities)
        limit = _threshold(cache.labels[split.train], trained, settings.target_precision)
        limit_test = coverage_at(test.y, probabilities, limit.confidence) if limit else None
        report = {
            "train": {
                "images": len(split.train),
                "rows": rows,
                "features": _paths(cache),
            },
            "test": found.as_dict(),
            "leaderboard": board.as_dict() if board else None,
            "tuning": None,
            "threshold": {
                "target_precision": settings.target_precision,
                "out_of_fold": asdict(limit),
                "test": asdict(limit_test),
            }
            if limit and limit_test
            else None,
        }
        model = replace(model, report=report)
        model = replace(model, digest=save(model, out))
        tested = _predictions(cache, split.test, probabilities)
        outside = trained.out_of_fold
        out_of_fold = None if outside is None else _predictions(cache, split.train, outside)
    return FitResult(
        model=model,
        test=found,
        train_images=len(split.train),
        train_rows=rows,
        rule=split.rule,
        left_out=split.left_out,
        left_out_classes=rare,
        unlabelled=int((whole.labels < 0).sum()),
        leaderboard=board,
        target_precision=settings.target_precision,
        threshold=limit,
        threshold_test=limit_test,
        tested=tested,
        out_of_fold=out_of_fold,
        out=out,
        seconds=round(time.monotonic() - begun, 3),
    )


def _threshold(y: np.ndarray, trained: Trained, precision: float | None) -> Threshold | None:
    if precision is None:
        return None
    if trained.out_of_fold is None:
        raise InputError(
            "Some class has one image to train on, so there are no out-of-fold probabilities to "
            "find a threshold by. Add images, or leave --target-precision out."
        )
    return find_threshold(y, trained.out_of_fold, precision)


def _paths(cache: Cache) -> str | list[str]:
    """Return where the features are: one path, or that of each cache."""
    found = [os.path.abspath(path) for path in cache.paths]
    return found if len(found) > 1 else found[0]


def _predictions(cache: Cache, images: np.ndarray, probabilities: np.ndarray) -> Predictions:
    catalog = cache.catalog
    return Predictions(
        catalog.classes,
        catalog.root,
        catalog.paths[images],
        cache.digests[images],
        catalog.labels[images],
        probabilities,
    )
