"""Fine-tuning: the last layers trained from the best head, on cached features of the cut."""

import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Unpack

import numpy as np

from .. import backend
from ..cache.file import Cache
from ..dataset.catalog import Catalog
from ..errors import InputError, printable
from ..keywords import takes
from ..metrics import Paired, Scores, compute_scores
from ..model.file import load, lock_model, save
from ..model.model import Model, library_versions
from ..model.novelty import Novelty
from ..network.tail import unfrozen
from ..progress import Progress, as_function, shows_progress
from ..showing.display import Display, Part, Table
from ..showing.drawing import draw_epochs
from ..showing.figures import axes_for
from ..storage.unfinished import Checkpoint
from .cut import cache_at, check_pools, check_trunk
from .epochs import probabilities
from .recipe import FinetuneChanges, FinetuneSettings
from .run import FineTuning, Outcome
from .start import HeadKind

__all__ = ["FinetuneResult", "FinetuneSettings", "finetune"]


@dataclass(frozen=True, eq=False, repr=False)
class FinetuneResult(Display):
    """What `finetune` did.

    Attributes
    ----------
    model : Model
        The model that was saved: the fine-tuned network, or the head where that is no worse.
    kept : bool
        Whether the fine-tuned network is saved.
    reason : str
        A sentence that says why.
    comparison : Paired
    head_test, tuned_test : Scores
        The scores of the head and of the fine-tuned network on the test images.
    cache : Path
        The cache of features at the cut.
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

    def _line(self) -> str:
        what = "the fine-tuned network" if self.kept else "the head, which is no worse,"
        accuracies = f"{self.head_test.accuracy:.4f} → {self.tuned_test.accuracy:.4f}"
        return f"{what} in {printable(self.out)}, test accuracy {accuracies}"

    def _parts(self) -> Iterable[Part]:
        yield self.reason
        yield Table(
            ["", "accuracy", "macro F1", "log loss"],
            [
                [name, test.accuracy, test.macro_f1, test.log_loss]
                for name, test in (("head", self.head_test), ("fine-tuned", self.tuned_test))
            ],
            f"On {self.head_test.images:,} test images, in bold what is saved",
            marked=[int(self.kept)],
        )
        tuning = self.model.report["tuning"]
        yield {
            "layers": ", ".join(tuning["layers"]),
            "epochs": tuning["epochs"],
            "cache": str(self.cache),
            "seconds": f"{self.seconds:.1f}",
        }

    def plot(self, ax: Any = None, *, metric: Literal["loss", "accuracy"] = "loss") -> Any:
        """Plot how fine-tuning went on, epoch by epoch, while the epoch was chosen.

        The validation images were not trained on; the dotted line is the epoch that was chosen, and
        epoch 0 is the head before fine-tuning.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; by default a new figure, which a notebook shows.
        metric : {"loss", "accuracy"}

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        InputError
            When the metric is another one.
        """
        with axes_for(ax, 4.6, 3.5) as axes:
            draw_epochs(axes, self.model.report["tuning"], "choose", metric)
            axes.set(xlabel="epoch", ylabel=metric)
            axes.legend(frameon=False)
        return axes

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


@takes(FinetuneSettings, FinetuneChanges)
@shows_progress
@backend.own_settings()
def finetune(
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    source: str | os.PathLike[str] | Catalog | None = None,
    settings: FinetuneSettings | None = None,
    *,
    weights: str = "auto",
    progress: Progress | bool | None = None,
    extract_progress: Progress | bool | None = None,
    download_progress: Progress | bool | None = None,
    **changes: Unpack[FinetuneChanges],
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
    progress, extract_progress, download_progress : callable or True, optional
        True shows a bar; else see `progress.Progress`.
    **changes
        Fields of `FinetuneSettings`, over those of `settings`.

    Returns
    -------
    FinetuneResult
        The model that was kept, and the scores of the head and of the tuned network.

    Raises
    ------
    InputError
        When a setting is wrong, or the cache is not of the model's training images.
    IncompatibleError
        When the cache is of another network; when the network assembled from trunk, tail and head
        does not give the head's own probabilities; when an interrupted run was another.
    CorruptError, StorageError, LockedError
        When something cannot be read or written.

    Examples
    --------
    >>> import featx
    >>> tuned = featx.finetune("model.featx", "tuned.featx", unfreeze=2, epochs=1)  # doctest: +SKIP
    >>> tuned.tuned_test.images  # doctest: +SKIP
    20
    """
    progress = as_function(progress)
    extract_progress = as_function(extract_progress)
    download_progress = as_function(download_progress)
    settings = replace(settings or FinetuneSettings(), **changes)
    begun = time.monotonic()
    model, out = Path(model), Path(out)
    loaded = load(model, weights=weights, download_progress=download_progress)
    if out.resolve() == model.resolve():
        raise InputError(f"{printable(out)} is the model itself. Give another output.")
    if settings.class_weight is None:
        weight = HeadKind.of(loaded).options.get("class_weight")
        settings = replace(settings, class_weight=weight)
    if loaded.fingerprint.also:
        raise InputError(
            f"{printable(model)} sees images by {len(loaded.fingerprint.each)} networks, and it is "
            "one that is fine-tuned. Fit on one cache first: featx fit features.h5 -o one.featx"
        )
    own = loaded.fingerprint.trunk.cut if loaded.tail else None
    check_pools(loaded)
    row = loaded.fingerprint.trunk.row
    count = row.unfreeze if settings.unfreeze is None else settings.unfreeze
    layers = unfrozen(loaded.until, count, settings.start, own, row.name)
    goes_on = Checkpoint(out, {}).path.exists()
    with lock_model(out, settings.overwrite or goes_on):
        path = cache_at(layers.cut, loaded, source, out, extract_progress)
        with Cache.open(path) as cache:
            check_trunk(loaded, cache, layers.cut)
            checkpoint = Checkpoint(out, _identity(loaded, cache, settings))
            if settings.overwrite:
                checkpoint.remove()
            run = FineTuning(loaded, cache, layers, settings, checkpoint, progress)
            outcome = run.run()
            tuned = run.refitted(outcome.network)[0] if run.refits else _network(run, outcome)
            head_test, tuned_test = _tested(run, outcome, tuned)
            report = _report(run, outcome, head_test, tuned_test)
            made = (
                _kept(run, tuned, tuned_test, report)
                if outcome.is_kept
                else _unchanged(run, report)
            )
            made = replace(made, digest=save(made, out))
            checkpoint.remove()
    return FinetuneResult(
        model=made,
        kept=outcome.is_kept,
        reason=outcome.reason,
        comparison=outcome.comparison,
        head_test=head_test,
        tuned_test=tuned_test,
        cache=path,
        out=out,
        seconds=round(time.monotonic() - begun, 3),
    )


def _identity(model: Model, cache: Cache, settings: FinetuneSettings) -> dict[str, Any]:
    """Return what must be equal for an interrupted run to go on."""
    identity = {"model": model.digest, "cache": cache.recorded_digest(), **asdict(settings)}
    del identity["overwrite"]
    return identity


def _tested(run: FineTuning, outcome: Outcome, tuned: Model) -> tuple[Scores, Scores]:
    """Return the scores of the head and of the tuned model on the test images."""
    images = run.images
    rows = run.originals(run.before, images.test)
    head = compute_scores(images.y_test, run.before.predict_proba_rows(rows))
    if run.refits:
        found = tuned.predict_proba_rows(run.originals(tuned, images.test))
    else:
        found = probabilities(outcome.network, run.cache, images.test)
    return head, compute_scores(images.y_test, found)


def _report(
    run: FineTuning, outcome: Outcome, head_test: Scores, tuned_test: Scores
) -> dict[str, Any]:
    chosen, settings = outcome.chosen, run.settings
    return {
        "kept": outcome.is_kept,
        "reason": outcome.reason,
        "cut": run.layers.cut,
        "layers": list(run.layers.layers),
        "head": run.kind.name,
        "epochs": (chosen.best_epoch or settings.epochs) if outcome.is_kept else 0,
        "settings": asdict(settings),
        "validation": vars(outcome.comparison),
        "history": {
            "head": getattr(run.model.head, "history_", {}),
            "choose": chosen.history,
            "final": outcome.final.history,
        },
        "test": {"head": head_test.as_dict(), "tuned": tuned_test.as_dict()},
    }


def _unchanged(run: FineTuning, report: dict[str, Any]) -> Model:
    """Return the model as it was, with what was tried."""
    return replace(run.model, digest="", report={**run.model.report, "tuning": report})


def _network(run: FineTuning, outcome: Outcome) -> Model:
    """Return the model that is the network with the weights it has now."""
    kind, head = run.kind, outcome.head
    options = {k: list(v) if isinstance(v, tuple) else v for k, v in kind.options.items()}
    return replace(
        run.start,
        head=head,
        head_name="dense" if head.hidden else "softmax",
        settings={
            "view": kind.view,
            "seed": run.settings.seed,
            "tuned_from": kind.name,
            **options,
        },
        tail=run.tail_in(outcome.network),
    )


def _kept(run: FineTuning, tuned: Model, test: Scores, report: dict[str, Any]) -> Model:
    """Return a tuned model with what is reported of it, and what it knows of training images."""
    before, train = run.model, run.images.train
    model = replace(
        tuned,
        versions=library_versions(),
        digest="",
        report={
            **before.report,
            "train": {**before.report["train"], "features": os.path.abspath(run.cache.path)},
            "test": test.as_dict(),
            "threshold": None,
            "tuning": report,
        },
    )
    rows = run.originals(model, train)[:, 0]
    training = {name: model.training[name] for name in ("digests", "labels")}
    training["fitted"] = model.predict_proba_rows(rows).astype(np.float32)
    view = model.view.for_novelty
    if view is not model.view:
        rows = run.originals(replace(model, view=view), train)[:, 0]
    last = list(view.widths.values())[-1]
    novelty = Novelty.of(rows, run.groups[train], run.settings.seed, last)
    return replace(model, training=training, novelty=novelty)
