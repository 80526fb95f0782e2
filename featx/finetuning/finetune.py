"""Fine-tuning: the last layers trained from the best head, on cached features of the cut."""

import logging
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import backend
from ..cache.file import Cache
from ..dataset import splits
from ..dataset.catalog import Catalog
from ..errors import IncompatibleError, InputError, printable
from ..heads.dense import DenseClassifier
from ..heads.training import Examples
from ..metrics import Paired, Scores, compare_paired, compute_scores
from ..model.file import load, lock_model, save
from ..model.keras_network import build_network, head_as_network, tail_of
from ..model.model import Model, library_versions
from ..model.novelty import Novelty
from ..network.tail import Unfrozen, unfrozen
from ..progress import Progress
from ..scoring.rows import CacheSource
from ..storage import files
from ..storage.unfinished import Checkpoint
from .cut import cache_at, check_trunk
from .epochs import (
    Recipe,
    TrainedEpochs,
    Tuning,
    probabilities,
    seconds_an_epoch,
    train_epochs,
)
from .matching import match_images
from .start import HeadKind

__all__ = ["FinetuneResult", "FinetuneSettings", "finetune"]

log = logging.getLogger("featx")

_TOLERANCE = 1e-3  # of probabilities of the assembled network from those of the head
_CHECKED = 256  # images


@dataclass(frozen=True)
class FinetuneSettings(Recipe):
    """Which layers are trained, and how; see also `tuning.Recipe`.

    Attributes
    ----------
    unfreeze : int
        How many of the last layers, pools included.
    start : str, optional
        The first of them, in place of `unfreeze`.
    dropout : float
        Share of the inputs of the last layer that is left out while training.
    validation : float
        Share of the training images that is held out to choose the epoch by, and whether the
        head stays; a given `val` split is taken instead.
    force : bool
        Keep the tuned network even where it is no better.
    overwrite : bool
        Do not go on from an interrupted run.
    """

    unfreeze: int = 4
    start: str | None = None
    dropout: float = 0.0
    validation: float = 0.15
    force: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout is {self.dropout:g}. Expected 0 to below 1.")
        if not 0 < self.validation <= 0.5:
            raise InputError(f"validation is {self.validation:g}. Expected 0 to 0.5.")


@dataclass(frozen=True, eq=False)
class FinetuneResult:
    """What `finetune` did.

    Attributes
    ----------
    model : Model
        The model, as it was saved: the tuned one, or the head where that is no worse.
    kept : bool
        Whether it is the tuned one.
    reason : str
        Why, in words.
    comparison : Paired
    head_test, tuned_test : Scores
        On the test images.
    cache : Path
        Of features at the cut.
    out : Path
    seconds : float
    """

    model: Model
    kept: bool
    reason: str
    comparison: Paired
    head_test: Scores
    tuned_test: Scores
    cache: Path
    out: Path
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain values, for JSON."""
        return {
            "kept": self.kept,
            "reason": self.reason,
            **self.model.report["tuning"],
            "cache": str(self.cache),
            "out": str(self.out),
            "seconds": self.seconds,
        }


def finetune(
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    source: str | os.PathLike[str] | Catalog | None = None,
    settings: FinetuneSettings | None = None,
    *,
    weights: str = "auto",
    progress: Progress | None = None,
    extract_progress: Progress | None = None,
    download_progress: Progress | None = None,
    **changes: Any,
) -> FinetuneResult:
    """Train the last layers of the network from a fitted head, and keep them if they are better.

    The layers before them are frozen, so what comes out of them is cached once. The epoch is
    chosen, and the tuned network compared with the head, on training images that both have not
    seen; then the chosen number of epochs is run on all training images.

    Parameters
    ----------
    model : path
        From `fit`, or from `finetune`.
    out : path
        The model to write.
    source : path or Catalog, optional
        A cache at the cut; or a cache at another cut, or a folder, that is extracted at this one;
        by default the cache that the model was fitted on.
    settings : FinetuneSettings, optional
    weights : str
        See `file.load`.
    progress, extract_progress, download_progress : callable, optional
        See `progress.Progress`.
    **changes
        Fields of `FinetuneSettings`, over those of `settings`.

    Raises
    ------
    InputError
        When a setting is wrong, or the cache is not of the model's training images.
    IncompatibleError
        When the cache is of another network; when the network assembled from trunk, tail and head
        does not give the head's own probabilities; when an interrupted run was another.
    CorruptError, StorageError, LockedError
        When something cannot be read or written.
    """
    settings = replace(settings or FinetuneSettings(), **changes)
    begun = time.monotonic()
    model, out = Path(model), Path(out)
    loaded = load(model, weights=weights, download_progress=download_progress)
    if out.resolve() == model.resolve():
        raise InputError(f"{printable(out)} is the model itself. Give another output.")
    if settings.class_weight is None:
        weight = HeadKind.of(loaded).options.get("class_weight")
        settings = replace(settings, class_weight=weight)
    own = loaded.fingerprint.trunk.cut if loaded.tail else None
    layers = unfrozen(loaded.until, settings.unfreeze, settings.start, own)
    with lock_model(out):
        path = cache_at(layers.cut, loaded, source, out, extract_progress)
        with Cache.open(path) as cache:
            check_trunk(loaded, cache, layers.cut)
            run = _Run(loaded, cache, layers, settings, out, progress)
            found = run.finish()
            tuned = replace(found, cache=path, seconds=round(time.monotonic() - begun, 3))
            digest = save(tuned.model, out)
            run.checkpoint.remove()
    return replace(tuned, model=replace(tuned.model, digest=digest))


class _Run:
    """One fine-tuning under way."""

    def __init__(
        self,
        model: Model,
        cache: Cache,
        layers: Unfrozen,
        settings: FinetuneSettings,
        out: Path,
        progress: Progress | None,
    ) -> None:
        self.model = model
        self.cache = cache
        self.layers = layers
        self.settings = settings
        self.out = out
        self.progress = progress
        self.images = match_images(model, cache)
        self.units = splits.leakage_groups(cache.catalog, cache.digests)
        self.own = HeadKind.of(model)
        self.kind = self.own.or_layers(model)
        self.tail = model.tail_after(layers.cut)
        # The model with its cut moved to that of the cache, and the same with the head's pool.
        self.before = replace(model, tail=self.tail, fingerprint=cache.fingerprint)
        self.start = replace(self.before, pool=self.kind.pool)
        identity = {"model": model.digest, "cache": cache.recorded_digest(), **asdict(settings)}
        del identity["overwrite"]
        self.checkpoint = Checkpoint(out, identity)
        if settings.overwrite:
            self.checkpoint.remove()

    def finish(self) -> FinetuneResult:
        """Train, compare, and return what came of it."""
        rows = self._examples(self.start)
        if self.kind is self.own:
            head = head_as_network(self.model.head_name, self.model.head)
            expected = self.model.training["fitted"]
        else:
            fitted = self.kind.fitted(rows, self.settings.seed)
            head = head_as_network(self.kind.name, fitted)
            expected = fitted.predict_proba(rows.originals[:_CHECKED])
        network = self._network(head)
        self._check_equal(network, expected[:_CHECKED])
        self._tell_cost(network)
        state = self.checkpoint.load()
        if state and state.values["phase"] == "final":
            chosen = TrainedEpochs(**state.values["carried"]["chosen"])
            comparison = Paired(**state.values["carried"]["comparison"])
        elif len(self.images.validation):
            chosen, comparison = self._chosen_on_val(network)
        else:
            chosen, comparison = self._chosen_inside(rows)
        better = comparison.is_better and chosen.best_epoch > 0
        kept = better or self.settings.force
        final = TrainedEpochs(0, {})
        if kept and not len(self.images.validation):
            carried = {"chosen": vars(chosen), "comparison": vars(comparison)}
            everything = self._tuning(np.arange(len(rows.y)))
            epochs = chosen.best_epoch or self.settings.epochs
            final = self._tuned_by(network, everything, epochs, "final", carried)
        reason = _reason(comparison, better, kept)
        return self._result(head, network, chosen, final, comparison, kept, reason)

    def _originals(self, model: Model, images: np.ndarray, copies: int = 0) -> np.ndarray:
        """Return rows for the head of a model, (n, 1 + copies, d)."""
        source = CacheSource(model, self.cache, copies=copies)
        return source.picked(images, (), lambda more: None).X

    def _examples(self, model: Model) -> Examples:
        """Return what the head of a model sees of the training images, copies and all."""
        from sklearn.preprocessing import normalize

        X = self._originals(model, self.images.train, self.cache.fingerprint.copies)
        X = normalize(X.reshape(-1, X.shape[2])).reshape(X.shape)
        return Examples(X, self.images.y_train, self.units[self.images.train])

    def _network(self, head: DenseClassifier) -> Any:
        bfloat16 = self.cache.fingerprint.precision == "bfloat16"
        return build_network(
            self.tail,
            self.kind.pool,
            head,
            trainable=self.layers.layers,
            dropout=self.settings.dropout,
            seed=self.settings.seed,
            dtype=backend.keras().DTypePolicy("mixed_bfloat16" if bfloat16 else "float32"),
        )

    def _check_equal(self, network: Any, expected: np.ndarray) -> None:
        """Check that trunk, tail and head together give the head's own probabilities."""
        found = probabilities(network, self.cache, self.images.train[: len(expected)])
        off = float(np.abs(found - expected).max())
        if off > _TOLERANCE:
            raise IncompatibleError(
                f"The network put together from {printable(self.cache.path)} and the model does "
                f"not give the model's own probabilities: they differ by up to {off:.2g}, and "
                f"{_TOLERANCE:g} is allowed. The cache was made with another preprocessing, "
                "resize rule or weights than it says. Leave it out to have one made."
            )
        log.info(
            "The network gives the head's own probabilities: at most %.1e apart on %d images.",
            off,
            len(expected),
        )

    def _tell_cost(self, network: Any) -> None:
        trained = [layer.name for layer in network.layers if layer.trainable_weights]
        count = len(self.images.train)
        seconds = seconds_an_epoch(network, count)
        log.info(
            "%d layers with weights are trained: %s. The cache has %.0f MB; an epoch over %d "
            "images takes about %.0f s.",
            len(trained),
            ", ".join(trained),
            files.file_size(self.cache.path) / 1e6,
            count,
            seconds,
        )

    def _tuning(self, chosen: np.ndarray, held_out: np.ndarray | None = None) -> Tuning:
        """Return the images of a training, by their position among the training images."""
        images = self.images
        validation, y = images.validation, images.y_validation
        if held_out is not None:
            validation, y = images.train[held_out], images.y_train[held_out]
        train, classes = images.train[chosen], len(self.model.classes)
        return Tuning(self.cache, train, images.y_train[chosen], validation, y, classes)

    def _tuned_by(
        self,
        network: Any,
        tuning: Tuning,
        epochs: int,
        phase: str,
        carried: dict[str, Any] | None = None,
    ) -> TrainedEpochs:
        return train_epochs(
            network,
            tuning,
            self.settings,
            epochs,
            phase=phase,
            checkpoint=self.checkpoint,
            carried=carried,
            progress=self.progress,
        )

    def _chosen_on_val(self, network: Any) -> tuple[TrainedEpochs, Paired]:
        """Tune the network itself, with the given validation images; compare on them."""
        tuning = self._tuning(np.arange(len(self.images.train)))
        rows = self._originals(self.before, tuning.validation)
        before = self.before.predict_proba_rows(rows)
        chosen = self._tuned_by(network, tuning, self.settings.epochs, "choose")
        after = probabilities(network, self.cache, tuning.validation)
        return chosen, compare_paired(before, after, tuning.y_validation)

    def _chosen_inside(self, rows: Examples) -> tuple[TrainedEpochs, Paired]:
        """Tune from a head fitted on some training images, and compare it on the others."""
        share, seed = self.settings.validation, self.settings.seed
        inside, outside = splits.held_out(rows.y, rows.units, share, seed)
        tuning = self._tuning(inside, outside)
        own_rows = rows if self.kind is self.own else self._examples(self.before)
        fitted = self.own.fitted(own_rows.take(inside), seed)
        before = fitted.predict_proba(own_rows.originals[outside])
        if self.kind is not self.own:
            fitted = self.kind.fitted(rows.take(inside), seed)
        network = self._network(head_as_network(self.kind.name, fitted))
        chosen = self._tuned_by(network, tuning, self.settings.epochs, "choose")
        after = probabilities(network, self.cache, tuning.validation)
        return chosen, compare_paired(before, after, tuning.y_validation)

    def _result(
        self,
        head: DenseClassifier,
        network: Any,
        chosen: TrainedEpochs,
        final: TrainedEpochs,
        comparison: Paired,
        kept: bool,
        reason: str,
    ) -> FinetuneResult:
        """Test the head and the tuned network, once, and say which is kept."""
        images = self.images
        rows = self._originals(self.before, images.test)
        head_test = compute_scores(images.y_test, self.before.predict_proba_rows(rows))
        tuned_test = compute_scores(images.y_test, probabilities(network, self.cache, images.test))
        report = {
            "kept": kept,
            "reason": reason,
            "cut": self.layers.cut,
            "layers": list(self.layers.layers),
            "head": self.kind.name,
            "epochs": (chosen.best_epoch or self.settings.epochs) if kept else 0,
            "settings": asdict(self.settings),
            "validation": vars(comparison),
            "history": {
                "head": getattr(self.model.head, "history_", {}),
                "choose": chosen.history,
                "final": final.history,
            },
            "test": {"head": head_test.as_dict(), "tuned": tuned_test.as_dict()},
        }
        if kept:
            model = self._kept(network, head, tuned_test)
        else:
            model = replace(self.model, digest="", report=dict(self.model.report))
        model.report["tuning"] = report
        return FinetuneResult(
            model=model,
            kept=kept,
            reason=reason,
            comparison=comparison,
            head_test=head_test,
            tuned_test=tuned_test,
            cache=self.cache.path,
            out=self.out,
            seconds=0.0,
        )

    def _kept(self, network: Any, head: DenseClassifier, test: Scores) -> Model:
        """Return the model with the weights that the network has now."""
        from sklearn.preprocessing import normalize

        before, train = self.model, self.images.train
        options = {k: list(v) if isinstance(v, tuple) else v for k, v in self.kind.options.items()}
        model = replace(
            self.start,
            head=head,
            head_name="dense" if head.hidden else "softmax",
            settings={
                "pool": self.kind.pool,
                "seed": self.settings.seed,
                "tuned_from": self.kind.name,
                **options,
            },
            tail=tail_of(network, replace(self.tail, precision=self.cache.fingerprint.precision)),
            versions=library_versions(),
            digest="",
            report={
                **before.report,
                "train": {**before.report["train"], "features": os.path.abspath(self.cache.path)},
                "test": test.as_dict(),
                "threshold": None,
            },
        )
        rows = self._originals(model, train)[:, 0]
        training = {name: model.training[name] for name in ("digests", "labels")}
        training["fitted"] = model.predict_proba_rows(rows).astype(np.float32)
        novelty = Novelty.of(normalize(rows), self.units[train], self.settings.seed)
        return replace(model, training=training, novelty=novelty)


def _reason(comparison: Paired, better: bool, kept: bool) -> str:
    if better:
        return f"The tuned network is kept: {comparison}"
    if kept:
        return f"The tuned network is kept because it was asked for, and is no better: {comparison}"
    return f"The head stays as it was: {comparison}"
