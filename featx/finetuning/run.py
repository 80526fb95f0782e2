"""One fine-tuning, from a fitted head to the network that held-out images choose."""

import functools
import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import backend
from ..cache.file import Cache
from ..dataset import splits
from ..errors import IncompatibleError, printable
from ..heads.dense import DenseClassifier
from ..heads.training import Examples
from ..metrics import Paired, compare_paired
from ..model.keras_network import build_network, head_as_network, tail_of
from ..model.model import Model
from ..network.tail import Tail, Unfrozen
from ..network.views import make_view
from ..progress import Progress
from ..scoring.rows import CacheSource
from ..storage import files
from ..storage.unfinished import Checkpoint
from .epochs import TrainedEpochs, TrainingImages, probabilities, seconds_an_epoch, train_epochs
from .matching import Matched, match_images
from .recipe import FinetuneSettings
from .start import HeadKind

__all__ = ["FineTuning", "Outcome"]

log = logging.getLogger("featx")

#: How far probabilities of the network that is put together may be from those of the head, where
#: both are computed in float32, and where they are not: each runtime rounds in places of its own
#: (docs/scoring.md has figures).
_TOLERANCE = {True: 1e-3, False: 5e-2}
_CHECKED = 256  # images


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a fine-tuning.

    Attributes
    ----------
    head : DenseClassifier
        The head as Keras layers; `network` shares them.
    network : keras.Model
        Maps features at the cut to probabilities, with the weights that it has now.
    chosen, final : TrainedEpochs
        The training that chose the number of epochs, and that on all training images.
    comparison : Paired
        Compares the head and the fine-tuned network on images that neither was trained on.
    is_better : bool
        Whether the fine-tuned network is better there.
    is_kept : bool
        Whether it is kept: because it is better, or because that was asked for.
    refitted : str
        The head that is fitted again on the tuned layers, in words; "" where the tuned network is
        the model.
    """

    head: DenseClassifier
    network: Any
    chosen: TrainedEpochs
    final: TrainedEpochs
    comparison: Paired
    is_better: bool
    is_kept: bool
    refitted: str = ""

    @property
    def reason(self) -> str:
        """Which model is kept and why, in words."""
        tuned, stays = "The fine-tuned network", "The head stays as it was"
        if self.refitted:
            tuned = f"The head {self.refitted}, fitted again on the fine-tuned layers,"
            stays = f"{stays}, and is not fitted again on the fine-tuned layers"
        if self.is_better:
            return f"{tuned} is kept: {self.comparison}"
        if self.is_kept:
            return f"{tuned} is kept because it was asked for, and is no better: {self.comparison}"
        if self.chosen.best_epoch > 0:
            return f"{stays}: {self.comparison}"
        # The comparison is then of what the network was before the training.
        return (
            f"{stays}: {self.comparison} No epoch had a lower log loss than the network before the "
            "training."
        )


@dataclass(frozen=True, eq=False)
class FineTuning:
    """What a fine-tuning starts from.

    Attributes
    ----------
    model : Model
    cache : Cache
        A cache of features at the cut.
    layers : Unfrozen
    settings : FinetuneSettings
    checkpoint : Checkpoint
    progress : Progress, optional
    """

    model: Model
    cache: Cache
    layers: Unfrozen
    settings: FinetuneSettings
    checkpoint: Checkpoint
    progress: Progress | None = None

    @functools.cached_property
    def images(self) -> Matched:
        """The images of the cache as the model knows them."""
        return match_images(self.model, self.cache)

    @functools.cached_property
    def groups(self) -> np.ndarray:
        """The group of each image of the cache, see `splits.leakage_groups`."""
        return splits.leakage_groups(self.cache.catalog, self.cache.digests)

    @functools.cached_property
    def own(self) -> HeadKind:
        """The kind of head that the model has."""
        return HeadKind.of(self.model)

    @functools.cached_property
    def kind(self) -> HeadKind:
        """The kind of head that is trained on: the model's own, or one that can be layers."""
        return self.own.or_layers(self.model)

    @property
    def refits(self) -> bool:
        """Whether the model's own head is fitted again on what the tuned layers give.

        So it is with a head that cannot become layers: the network is trained from another one.
        """
        return self.kind is not self.own

    @functools.cached_property
    def tail(self) -> Tail:
        """The layers from the cut to the view, as the model has them."""
        return self.model.tail_after(self.layers.cut)

    @functools.cached_property
    def before(self) -> Model:
        """The model with its cut moved to that of the cache."""
        return replace(self.model, tail=self.tail, fingerprint=self.cache.fingerprint)

    @functools.cached_property
    def start(self) -> Model:
        """The same with the view of the head that is trained on."""
        view = make_view(self.kind.view, self.cache.fingerprint, self.model.view.shape)
        return replace(self.before, view=view, novelty=None)

    def run(self) -> "Outcome":
        """Choose the epochs on held-out images, compare, and train on all where that is better."""
        rows = self._examples(self.start)
        if not self.refits:
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
            everything = self._training_images(np.arange(len(rows.y)))
            epochs = chosen.best_epoch or self.settings.epochs
            final = self._train(network, everything, epochs, "final", carried)
        refitted = f"{self.own.name} on {self.own.view}" if self.refits else ""
        return Outcome(head, network, chosen, final, comparison, better, kept, refitted)

    def tail_in(self, network: Any) -> Tail:
        """Return the tail with the weights that its layers have in a network."""
        return tail_of(network, replace(self.tail, precision=self.cache.fingerprint.precision))

    def refitted(self, network: Any, chosen: np.ndarray | None = None) -> tuple[Model, Examples]:
        """Return the model with its own view and head fitted again on a network's layers.

        Parameters
        ----------
        network : keras.Model
            See `Outcome`.
        chosen : ndarray of int, optional
            Which training images they are fitted on, by position; all by default.

        Returns
        -------
        (Model, Examples)
            The examples are all training images as the head sees them.
        """
        chosen = np.arange(len(self.images.train)) if chosen is None else chosen
        view = replace(self.before.view, projection=None)
        model = replace(self.before, view=view, tail=self.tail_in(network), novelty=None)
        blocks = self.cache.blocks(self.images.train[chosen], 0, view)
        view = view.fitted(model.after_tail(some.flat()).folded(1) for _, some in blocks)
        model = replace(model, view=view)
        examples = self._examples(model)
        head = self.own.fitted(examples.take(chosen), self.settings.seed)
        return replace(model, head=head), examples

    def originals(self, model: Model, images: np.ndarray, copies: int = 0) -> np.ndarray:
        """Return rows for the head of a model, (n, 1 + copies, d)."""
        source = CacheSource(model, self.cache, copies=copies)
        return source.picked(images, (), lambda more: None).X

    def _examples(self, model: Model) -> Examples:
        """Return what the head of a model sees of the training images, copies and all."""
        X = self.originals(model, self.images.train, self.cache.fingerprint.copies)
        widths = tuple(model.view.widths.values())
        return Examples(X, self.images.y_train, self.groups[self.images.train], widths=widths)

    def _network(self, head: DenseClassifier) -> Any:
        tail = replace(self.tail, precision=self.cache.fingerprint.precision)
        policy = "mixed_bfloat16" if tail.dtype == "bfloat16" else "float32"
        return build_network(
            tail,
            self.kind.view,
            head,
            trainable=self.layers.layers,
            dropout=self.settings.dropout,
            seed=self.settings.seed,
            dtype=backend.keras().DTypePolicy(policy),
        )

    def _check_equal(self, network: Any, expected: np.ndarray) -> None:
        """Check that trunk, tail and head together give the head's own probabilities."""
        found = probabilities(network, self.cache, self.images.train[: len(expected)])
        off = float(np.abs(found - expected).max())
        precisions = {self.model.fingerprint.precision, self.cache.fingerprint.precision}
        tolerance = _TOLERANCE[precisions == {"float32"}]
        if off > tolerance:
            raise IncompatibleError(
                f"The network put together from {printable(self.cache.path)} and the model does "
                f"not give the model's own probabilities: they differ by up to {off:.2g}, and "
                f"{tolerance:g} is allowed. The cache was made with another preprocessing, "
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

    def _training_images(
        self, chosen: np.ndarray, held_out: np.ndarray | None = None
    ) -> TrainingImages:
        """Return the images of a training, by their position among the training images."""
        images = self.images
        validation, y = images.validation, images.y_validation
        if held_out is not None:
            validation, y = images.train[held_out], images.y_train[held_out]
        train, classes = images.train[chosen], len(self.model.classes)
        return TrainingImages(self.cache, train, images.y_train[chosen], validation, y, classes)

    def _train(
        self,
        network: Any,
        images: TrainingImages,
        epochs: int,
        phase: str,
        carried: dict[str, Any] | None = None,
    ) -> TrainedEpochs:
        return train_epochs(
            network,
            images,
            self.settings,
            epochs,
            phase=phase,
            checkpoint=self.checkpoint,
            carried=carried,
            progress=self.progress,
        )

    def _chosen_on_val(self, network: Any) -> tuple[TrainedEpochs, Paired]:
        """Train the network itself, with the given validation images; compare on them."""
        training = self._training_images(np.arange(len(self.images.train)))
        rows = self.originals(self.before, training.validation)
        before = self.before.predict_proba_rows(rows)
        chosen = self._train(network, training, self.settings.epochs, "choose")
        if self.refits:
            model, _ = self.refitted(network)
            after = model.predict_proba_rows(self.originals(model, training.validation))
        else:
            after = probabilities(network, self.cache, training.validation)
        return chosen, compare_paired(before, after, training.y_validation)

    def _chosen_inside(self, rows: Examples) -> tuple[TrainedEpochs, Paired]:
        """Train from a head fitted on some training images, and compare it on the others."""
        share, seed = self.settings.validation, self.settings.seed
        inside, outside = splits.held_out(rows.y, rows.units, share, seed)
        training = self._training_images(inside, outside)
        own_rows = self._examples(self.before) if self.refits else rows
        fitted = self.own.fitted(own_rows.take(inside), seed)
        before = fitted.predict_proba(own_rows.originals[outside])
        if self.refits:
            fitted = self.kind.fitted(rows.take(inside), seed)
        network = self._network(head_as_network(self.kind.name, fitted))
        chosen = self._train(network, training, self.settings.epochs, "choose")
        if self.refits:
            model, own_rows = self.refitted(network, inside)
            after = model.predict_proba_rows(own_rows.originals[outside])
        else:
            after = probabilities(network, self.cache, training.validation)
        return chosen, compare_paired(before, after, training.y_validation)
