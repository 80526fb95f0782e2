"""A model from images of a cache: its head chosen and trained, and all that scoring needs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..cache.file import Cache
from ..dataset import splits
from ..errors import InputError
from ..heads import registry
from ..heads.candidates import Candidate
from ..heads.crossval import Fold, examples_of
from ..heads.leaderboard import CompareResult, rank
from ..heads.settings import CompareSettings
from ..heads.training import Examples, Trained, train
from ..metrics import get_metric
from ..network.views import View, make_view
from ..network.weights import provider_of
from ..progress import Progress
from .model import Model, library_versions
from .novelty import Novelty
from .settings import BEST, FitSettings

__all__ = ["check_settings", "choose_head", "train_model"]


def check_settings(settings: FitSettings) -> None:
    """Refuse wrong settings before anything is computed.

    Raises
    ------
    InputError
        When a setting is wrong.
    """
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


def train_model(
    cache: Cache, images: np.ndarray, name: str, view: View, settings: FitSettings
) -> tuple[Model, Trained]:
    """Return a model whose head is trained on images of a cache, and how the head was trained.

    The model has no report, and is not saved.

    Parameters
    ----------
    cache : Cache
    images : ndarray of int
        Labelled images, which are trained on with all their copies.
    name : str
        A key of `registry.HEADS`.
    view : View
    settings : FitSettings

    Raises
    ------
    InputError
        When the head cannot be trained on them.
    """
    view = view.fitted(some for _, some in cache.blocks(images, 0, view))
    units = splits.leakage_groups(cache.catalog, cache.digests)
    examples = examples_of(cache, view, images, units)
    trained = _trained(examples, name, settings)
    made = cache.fingerprint.in_full if view.kind.layers else cache.fingerprint.without_layers()
    model = Model(
        head=trained.classifier,
        head_name=name,
        settings={"view": view.name, "seed": settings.seed, **_plain(trained.settings)},
        view=view,
        classes=cache.catalog.classes,
        fingerprint=made,
        provider=" + ".join(provider_of(one.trunk.weights) for one in cache.fingerprint.each),
        report={},
        versions=library_versions(),
        training=_training(cache, images, trained, examples.originals),
        novelty=_novelty(cache, images, examples, view, settings.seed),
    )
    return model, trained


def choose_head(
    candidates: Sequence[Candidate],
    images: np.ndarray,
    folds: Sequence[Fold] | None,
    settings: FitSettings,
    progress: Progress | None = None,
) -> tuple[CompareResult | None, Cache, str, View]:
    """Return the comparison, where there is something to choose; features, head and view.

    Parameters
    ----------
    candidates : sequence of Candidate
        The features to choose from.
    images : ndarray of int
        Labelled images to compare on.
    folds : sequence of (ndarray, ndarray), optional
        See `leaderboard.rank`.
    settings : FitSettings
    progress : callable, optional
        See `progress.Progress`.

    Raises
    ------
    InputError
        When a setting is wrong, or there are too few images of a class.
    """
    cache = candidates[0].cache
    names = [settings.view] if settings.view else []
    if settings.head != BEST:
        names = names or list(registry.get_head(settings.head).views_in(cache.fingerprint))
    if settings.head != BEST and len(names) == len(candidates) == 1:
        return None, cache, settings.head, make_view(names[0], cache.fingerprint)
    board = _compared(candidates, images, folds, settings, progress)
    choice = board.choice
    cache = next(one.cache for one in candidates if one.network == choice.network)
    return board, cache, choice.head, make_view(choice.view, cache.fingerprint)


def _compared(
    candidates: Sequence[Candidate],
    images: np.ndarray,
    folds: Sequence[Fold] | None,
    settings: FitSettings,
    progress: Progress | None,
) -> CompareResult:
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
    return rank(candidates, images, wanted, folds=folds, progress=progress)


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


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with lists for tuples, as they are after a round trip through JSON."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items()}


def _novelty(
    cache: Cache, images: np.ndarray, examples: Examples, view: View, seed: int
) -> Novelty | None:
    rows, last = examples.originals, examples.widths[-1]
    if view.for_novelty is not view:
        rows = cache.matrix(view.for_novelty, images=images, copies=0).X
        last = list(view.for_novelty.widths.values())[-1]
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
