"""The model: a fitted model of images, with all that scoring needs.

How it is kept as a file is in `model.file`.
"""

import contextlib
import functools
import importlib.metadata
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import __version__, backend
from ..errors import IncompatibleError, InputError
from ..heads.training import one_thread
from ..images.inputs import Images, as_readable
from ..images.reader import Read, Reader
from ..images.sandbox import Job
from ..network.activations import Activations, PooledLayers
from ..network.fingerprint import Fingerprint
from ..network.networks import DEFAULT
from ..network.runtime import choose_here
from ..network.tail import Tail
from ..network.trunk import Trunk, same_trunk
from ..network.views import View
from ..progress import Progress
from .display import ModelDisplay
from .estimator import ModelEstimator
from .novelty import Novelty

__all__ = ["FORMAT", "VERSION", "VERSION_OF_OTHERS", "Model", "library_versions"]

log = logging.getLogger("featx")

FORMAT = "featx-model"
VERSION = 3
#: Of models of several networks, or of another one than VGG16, which an earlier featx cannot run.
VERSION_OF_OTHERS = 4

_LIBRARIES = ("scikit-learn", "numpy", "skops", "keras", "tensorflow")


@dataclass(frozen=True, eq=False, repr=False)
class Model(ModelEstimator, ModelDisplay):
    """A fitted model of images: it behaves as a scikit-learn classifier over them.

    Attributes
    ----------
    head : estimator
        The fitted classifier over rows of length 1; its classes are indices into `classes`.
    head_name : str
        Its key in `registry.HEADS`.
    settings : dict
        The head's parameters, with its view and seed.
    view : View
        The view that makes features and layer pools the head's rows.
    classes : tuple of str
        Class names.
    fingerprint : Fingerprint
        The settings and weights of the features that the head was fitted on, by one network or by
        several side by side.
    provider : str
        Who provides the trunk's weights, for people to read; of several networks joined by " + ".
    report : dict
        Scores on the training and test images, and the leaderboard that led to this head.
    versions : dict
        Versions of the libraries that the model was made with.
    training : dict of ndarray
        For the training images, in the same order: `digests` uint8 (n, 32), `labels` int32 (n,),
        the head's probabilities `fitted` float32 (n, classes), and, where they were computed,
        the out-of-fold `probabilities` float32 (n, classes).
    novelty : Novelty or None
        The reference for the novelty score.
    tail : Tail or None
        The fine-tuned layers between the cut and the view.
    digest : str
        SHA-256 of the file; "" while the model is not saved.
    weights : str
        Source of the trunk's weights, for `weights.resolve_weights`.
    runtime : {"auto", "tensorflow", "winograd", "openvino"}
        Runtime of the trunk; auto is the one that computed the features of the fit.
    precision : {"auto", "float32", "bfloat16", "int8"}
        Precision of the trunk; auto is the precision of those features where this machine has
        it natively, else float32.
    download_progress : callable, optional
        See `progress.Progress`; in bytes.
    """

    head: Any
    head_name: str
    settings: dict[str, Any]
    view: View
    classes: tuple[str, ...]
    fingerprint: Fingerprint
    provider: str
    report: dict[str, Any]
    versions: dict[str, str]
    training: dict[str, np.ndarray]
    novelty: Novelty | None = None
    tail: Tail | None = None
    digest: str = ""
    weights: str = "auto"
    runtime: str = "auto"
    precision: str = "auto"
    download_progress: Progress | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out of a pickle what each process makes for itself."""
        cached = {"trunk", "computing", "_tail_here"}
        state = {name: value for name, value in vars(self).items() if name not in cached}
        return {**state, "download_progress": None}

    @property
    def classes_(self) -> np.ndarray:
        """Class names, in the order of the columns of `predict_proba`."""
        return np.array(self.classes, dtype=object)

    @functools.cached_property
    def computing(self) -> tuple[str, str]:
        """Runtime and precision in which this machine computes the network.

        Of several networks they are joined by "+", and so they can be asked for again.

        Raises
        ------
        InputError
            When the runtime or the precision that was asked for is unknown.
        """
        found = [self._computing(at, made) for at, made in enumerate(self.fingerprint.each)]
        runtimes, precisions = zip(*found, strict=True)
        return "+".join(runtimes), "+".join(precisions)

    def _computing(self, at: int, made: Fingerprint) -> tuple[str, str]:
        """Return runtime and precision of the network at a position."""
        runtime, precision = choose_here(
            made.runtime,
            made.precision,
            runtime=_asked(self.runtime, at),
            precision=_asked(self.precision, at),
            size=made.trunk.size,
            network=made.trunk.network,
        )
        if precision != made.precision:
            log.info(
                "The model was made in %s; here the network is computed in %s by %s. "
                "Probabilities differ a little: docs/scoring.md says how much.",
                made.precision,
                precision,
                runtime,
            )
        return runtime, precision

    @functools.cached_property
    def trunk(self) -> Trunk:
        """The network, with the very weights that the model was fitted with.

        Raises
        ------
        IncompatibleError, StorageError
            When these weights are not at hand and cannot be fetched; the message says what to do.
        InputError
            When the runtime is unknown.
        """
        runtimes, precisions = (text.split("+") for text in self.computing)
        providers = self.provider.split(" + ")
        several = zip(self.fingerprint.each, runtimes, precisions, providers, strict=True)
        first, *others = (self._trunk_of(*one) for one in several)
        return first.beside(others)

    def _trunk_of(self, made: Fingerprint, runtime: str, precision: str, provider: str) -> Trunk:
        """Return one network.

        Weights that are given are those of one of several networks; the others find their own.
        """

        def found(weights: str) -> Trunk:
            return same_trunk(
                made,
                "The model",
                weights=weights,
                runtime=runtime,
                precision=precision,
                provider=provider,
                progress=self.download_progress,
            )

        try:
            return found(self.weights)
        except (InputError, IncompatibleError):
            if not self.fingerprint.also or self.weights == "auto":
                raise
            return found("auto")

    def predict_proba(self, images: Images) -> np.ndarray:
        """Return the probability of each class for each image.

        Parameters
        ----------
        images : iterable of path, bytes, binary file, PIL.Image.Image or ndarray
            Image files by their paths, their bytes or open files; Pillow's images; or uint8
            arrays, upright, of shape (height, width) for grey, (height, width, 3) for RGB, or
            (height, width, 4) for RGBA, which is laid over white.

        Returns
        -------
        ndarray of float64, shape (n, len(classes_))
            Rows sum to 1; columns are in the order of `classes_`.

        Raises
        ------
        images.Rejected
            When an image cannot be used; the message says which.
        InputError
            When one image is given and no list, or something that is no image.
        """
        trunk = self.fingerprint.trunk
        size, *more = self.fingerprint.sizes_in_all
        job = Job(size, trunk.resize, bits=trunk.bits, more_sizes=tuple(more))
        reader = Reader(job)
        given = as_readable(images, job)

        def usable(reads: Iterable[Read]) -> Iterator[Read]:
            for read in reads:
                read.require_usable()
                yield read

        batch = self.trunk.batch
        with contextlib.closing(reader.ahead(given, 4 * batch)) as reads, one_thread():
            rows = [
                self.predict_proba_activations(found.flat())
                for _, found in self.trunk.stream(usable(reads), batch)
            ]
        return np.concatenate(rows) if rows else np.empty((0, len(self.classes)))

    def predict_proba_activations(self, activations: Activations) -> np.ndarray:
        """Return the probabilities for what the trunk gives for n images."""
        return self.predict_proba_rows(self.rows(activations))

    def rows(self, activations: Activations) -> np.ndarray:
        """Return what the trunk gives for n images as rows for the head, float32 (n, d)."""
        return self.view.rows(self.after_tail(activations))

    def after_tail(self, activations: Activations) -> Activations:
        """Return what the view sees of n images: what the trunk gives, gone through the tail.

        Layer pools that the view sees are the tail's own where they are of its layers.
        """
        if not self._tail_here:
            return activations
        pooled = self.view.pooled if self.view.kind.layers else PooledLayers()
        return self._tail_here.activations(activations, pooled)

    @functools.cached_property
    def _tail_here(self) -> Tail | None:
        """The tail in the precision that this machine computes in."""
        return replace(self.tail, precision=self.computing[1]) if self.tail else None

    @backend.own_settings()
    def predict_proba_rows(self, X: np.ndarray) -> np.ndarray:
        """Return the probabilities for rows, as `rows` or `Cache.matrix` with this view gives.

        Parameters
        ----------
        X : ndarray of float, shape (n, d) or (n, 1 + copies, d)
            With copies, the probabilities are the mean over an image and its copies.

        Returns
        -------
        ndarray of float64, shape (n, len(classes_))
        """
        if not len(X):
            return np.empty((0, len(self.classes)))
        rows = X.reshape(-1, X.shape[-1])
        found = np.asarray(self.head.predict_proba(rows), np.float64)
        return found.reshape(len(X), -1, len(self.classes)).mean(axis=1)

    @backend.own_settings()
    def novelty_of(self, activations: Activations, rows: np.ndarray) -> np.ndarray:
        """Return how unlike the training images n images are.

        Parameters
        ----------
        activations : Activations
            What the trunk gives for them.
        rows : ndarray of float, shape (n, d)
            The same as rows for the head, as `rows` gives them.

        Returns
        -------
        ndarray of float64, shape (n,)
            0 to 1, see `novelty`; not a number where the model cannot tell.
        """
        if not len(rows) or self.novelty is None:
            return np.full(len(rows), np.nan)
        view = self.view.for_novelty
        if view is not self.view:
            rows = view.rows(self.after_tail(activations))
        return self.novelty.score(rows)

    @property
    def trained_on(self) -> list[str]:
        """SHA-256 of the file of each training image, in hexadecimal."""
        return [digest.tobytes().hex() for digest in self.training["digests"]]

    def out_of_fold(self, digests: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what classifiers said of training images that they were not trained on.

        Parameters
        ----------
        digests : ndarray of str, shape (n,)
            SHA-256 of image files.

        Returns
        -------
        (ndarray of int, ndarray of float64)
            Positions in `digests` of the images that the model was trained on, shape (m,), and the
            probabilities of the classes for each, shape (m, classes).

        Raises
        ------
        InputError
            When the model has no such probabilities.
        """
        if "probabilities" not in self.training:
            raise InputError(
                "The model has no out-of-fold probabilities of its training images: a fine-tuned "
                "model has none, and a network head only with --target-precision. Give a model "
                "that featx fit made of another head."
            )
        rows = {digest: at for at, digest in enumerate(self.trained_on)}
        there = [at for at, digest in enumerate(digests) if digest in rows]
        probabilities = self.training["probabilities"][[rows[digests[at]] for at in there]]
        return np.array(there, np.int64), probabilities.astype(np.float64)

    def predict(self, images: Images) -> np.ndarray:
        """Return the name of the most probable class for each image; see `predict_proba`."""
        return self.classes_[self.predict_proba(images).argmax(axis=1)]

    @property
    def until(self) -> str:
        """The layer whose features the view takes: the cut, or the last layer of the tail."""
        return self.tail.until if self.tail else self.fingerprint.trunk.cut

    def tail_after(self, cut: str) -> Tail:
        """Return the layers after a cut that is this one or before it, with the weights they have.

        Raises
        ------
        IncompatibleError, StorageError
            When the network's weights are needed and are not at hand.
        """
        trunk = self.fingerprint.trunk
        own = self.tail.arrays if self.tail else {}
        steps, between = trunk.row.steps, trunk.row.layers_between(cut, self.until)
        needed = {name for name in between if steps.variables(name)}
        arrays = own if needed <= set(own) else {**self.trunk.weights.arrays(), **own}
        kept = {name: arrays[name] for name in needed}
        return Tail(cut, self.until, trunk.shape_at(cut), kept, network=trunk.network)

    @property
    def _version(self) -> int:
        networks = [one.trunk.network for one in self.fingerprint.each]
        return VERSION if networks == [DEFAULT] else VERSION_OF_OTHERS

    def as_dict(self) -> dict[str, Any]:
        """Return all but the head itself as plain values."""
        return {
            "format": FORMAT,
            "version": self._version,
            "featx": __version__,
            "head": self.head_name,
            "settings": self.settings,
            "view": self.view.name,
            "tail": {"until": self.tail.until} if self.tail else None,
            "classes": list(self.classes),
            "weights": self.provider,
            "fingerprint": self.fingerprint.as_dict(),
            **self.report,
            "versions": self.versions,
        }


def _asked(text: str, at: int) -> str:
    """Return what is asked for of the network at a position: the same of all, or of each."""
    each = text.split("+")
    return each[at] if at < len(each) else each[0]


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that a model depends on."""
    return {name: importlib.metadata.version(name) for name in _LIBRARIES}
