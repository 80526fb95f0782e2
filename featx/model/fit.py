"""Stage 2: a head trained on the cache, tested on images it has not seen, saved as a model."""

import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from .. import backend
from ..cache.file import Cache
from ..dataset import splits
from ..dataset.splits import Split
from ..errors import InputError
from ..heads import registry
from ..heads.crossval import examples_of
from ..heads.folds import usable_part
from ..heads.leaderboard import CompareResult, rank
from ..heads.settings import CompareSettings
from ..heads.training import Examples, Trained, train
from ..metrics import Scores, compute_scores, get_metric
from ..network.views import View, make_view
from ..network.weights import provider_of
from ..plain import plain
from ..progress import Progress
from .file import lock_model, save
from .model import Model, library_versions
from .novelty import Novelty
from .predictions import Mistake, Predictions
from .settings import BEST, FitChanges, FitSettings
from .threshold import Threshold, coverage_at, find_threshold

__all__ = ["FitResult", "fit"]


@dataclass(frozen=True, eq=False)
class FitResult:
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


@backend.own_settings()
def fit(
    features: str | os.PathLike[str],
    out: str | os.PathLike[str],
    settings: FitSettings | None = None,
    *,
    progress: Progress | None = None,
    **changes: Unpack[FitChanges],
) -> FitResult:
    """Choose and train a head on a cache, test it once on unseen images, and save the model.

    The head is trained on all copies of the training images and tested on the originals of the
    test images.

    Parameters
    ----------
    features : path or Cache
        A cache made by `extract`.
    out : path
        The model to write.
    settings : FitSettings, optional
    progress : callable, optional
        See `progress.Progress`; the detail is the head of the last fold.
    **changes
        Fields of `FitSettings` that replace those of `settings`.

    Raises
    ------
    InputError
        When the cache cannot be trained on, or a setting is wrong.
    CorruptError, IncompatibleError
        When the cache cannot be read.
    StorageError, LockedError
        When the model cannot be written.
    """
    settings = replace(settings or FitSettings(), **changes)
    begun = time.monotonic()
    out = Path(out)
    _check(settings)
    with Cache.opened(features) as whole, lock_model(out, settings.overwrite):
        cache, rare = usable_part(whole, settings.min_per_class, holds_out=True)
        catalog = cache.catalog
        split = splits.train_test(catalog, cache.digests, settings.test_size, settings.seed)
        board, name, view = _chosen(cache, split, settings, progress)
        view = view.fitted(some for _, some in cache.blocks(split.train, 0, view))
        units = splits.leakage_groups(catalog, cache.digests)
        examples = examples_of(cache, view, split.train, units)
        trained = _trained(examples, name, settings)
        test = cache.matrix(view, images=split.test, copies=0)
        made = cache.fingerprint if view.kind.layers else cache.fingerprint.without_layers()
        model = Model(
            head=trained.classifier,
            head_name=name,
            settings={"view": view.name, "seed": settings.seed, **_plain(trained.settings)},
            view=view,
            classes=catalog.classes,
            fingerprint=made,
            provider=provider_of(cache.fingerprint.trunk.weights),
            report={},
            versions=library_versions(),
            training=_training(cache, split.train, trained, examples.originals),
            novelty=_novelty(cache, split.train, examples, view, settings.seed),
        )
        rows = len(split.train) * (1 + cache.fingerprint.copies)
        probabilities = model.predict_proba_rows(test.X)
        found = compute_scores(test.y, probabilities)
        limit = _threshold(examples.y, trained, settings.target_precision)
        limit_test = coverage_at(test.y, probabilities, limit.confidence) if limit else None
        report = {
            "train": {
                "images": len(split.train),
                "rows": rows,
                "features": os.path.abspath(cache.path),
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


def _check(settings: FitSettings) -> None:
    """Raise an `InputError` for wrong settings, before anything is computed."""
    get_metric(settings.metric)
    if settings.target_precision is not None and not 0 < settings.target_precision <= 1:
        raise InputError(
            f"The target precision is {settings.target_precision:g}. Expected a share above 0, "
            "such as 0.99."
        )
    if settings.head == BEST and settings.options:
        raise InputError("Options belong to a head. Name it, for example --head logreg.")
    if settings.head != BEST:
        registry.get_head(settings.head).param_candidates(settings.options)


def _chosen(
    cache: Cache, split: Split, settings: FitSettings, progress: Progress | None
) -> tuple[CompareResult | None, str, View]:
    """Return the comparison, where there is something to choose, and the head and its view."""
    made = cache.fingerprint
    names = [settings.view] if settings.view else []
    if settings.head != BEST:
        names = names or list(registry.get_head(settings.head).views_in(made))
    if settings.head != BEST and len(names) == 1:
        return None, settings.head, make_view(names[0], made)
    board = _compared(cache, split, settings, progress)
    return board, board.choice.head, make_view(board.choice.view, made)


def _compared(
    cache: Cache, split: Split, settings: FitSettings, progress: Progress | None
) -> CompareResult:
    images, folds = split.to_compare_on()
    one = settings.head != BEST
    wanted = CompareSettings(
        heads=(settings.head,) if one else settings.heads,
        options={settings.head: settings.options} if one else {},
        prefer=settings.prefer,
        views=(settings.view,) if settings.view else (),
        metric=settings.metric,
        folds=settings.folds,
        repeats=settings.repeats,
        seed=settings.seed,
        budget=settings.budget,
        class_weight=settings.class_weight,
    )
    return rank(cache, images, wanted, folds=folds, progress=progress)


def _trained(examples: Examples, name: str, settings: FitSettings) -> Trained:
    head = registry.get_head(name)
    return train(
        head,
        examples,
        candidates=head.param_candidates(head.overrides(settings.options, settings.class_weight)),
        metric=get_metric(settings.metric),
        seed=settings.seed,
        # A network is trained several times for it, which takes long, so only where it is needed.
        out_of_fold=settings.target_precision is not None or not head.keras,
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


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with lists for tuples, as they are after a round trip through JSON."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items()}


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


def _novelty(
    cache: Cache, images: np.ndarray, examples: Examples, view: View, seed: int
) -> Novelty | None:
    rows, last = examples.originals, examples.widths[-1]
    if view.for_novelty is not view:
        rows = cache.matrix(view.for_novelty, images=images, copies=0).X
        last = rows.shape[1]
    return Novelty.of(rows, examples.units, seed, last)


def _training(
    cache: Cache, images: np.ndarray, trained: Trained, rows: np.ndarray
) -> dict[str, np.ndarray]:
    digests = [list(bytes.fromhex(digest)) for digest in cache.digests[images]]
    kept = {
        "digests": np.array(digests, np.uint8),
        "labels": cache.labels[images],
        "fitted": trained.classifier.predict_proba(rows).astype(np.float32),
    }
    if trained.out_of_fold is not None:
        kept["probabilities"] = trained.out_of_fold.astype(np.float32)
    return kept
