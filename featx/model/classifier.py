"""A classifier of scikit-learn over images: `fit` by the labels that are given."""

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from .. import backend
from ..cache.file import Cache
from ..cache.transformer import memory_of
from ..dataset import splits
from ..errors import InputError
from ..heads.candidates import candidates_of
from ..heads.settings import as_names
from ..heads.training import one_thread
from ..images.inputs import Images, list_images
from ..names import (
    ClassWeight,
    HeadName,
    LayerName,
    MetricName,
    NetworkName,
    PrecisionName,
    PreprocessingName,
    ResizeRule,
    RuntimeName,
    ViewName,
)
from . import file
from .assembly import check_settings, choose_head, train_model
from .settings import FitSettings

__all__ = ["ImageClassifier"]


class ImageClassifier(ClassifierMixin, BaseEstimator):
    """Images to classes: a head over a network's features, chosen and trained by `fit`.

    It is what `featx.fit` makes, for programs that have images and labels in memory and split them
    by themselves: all images given are trained on. Features are found again by the SHA-256 of an
    image, as `ImageFeatures` does it, so that cross-validation computes each once.

    Parameters
    ----------
    head : str, default="best"
        The head to train; "best" is the one with the lowest log loss of the heads that are not
        significantly worse than the best of a comparison on the images.
    view : str, optional
        What heads see of an image; by default each head has its own.
    heads : tuple of str, default=()
        The heads that are compared, or "all"; by default those that can win at a small cost.
    options : mapping, optional
        Parameters of the head that are set; others are chosen from a grid.
    class_weight : {"balanced"}, optional
        Weights classes inversely to their frequency.
    metric : str, default="accuracy"
        The metric that heads and parameters are chosen by.
    random_state : int, default=0
        Seed of the folds and of the head.
    network, cut, size, layers, mirror, resize, bits, preprocessing
        What the features are; see `ImageFeatures`.
    cache, weights, precision, runtime
        Where they are kept, and what computes them; see there.
    verbose : bool, default=False
        Whether a bar shows how far the network is.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
        The different values of `y`, sorted.
    model_ : Model
        The fitted model, whose class names are those of `classes_` as text.
    leaderboard_ : CompareResult or None
        The comparison that the head was chosen by.

    Raises
    ------
    InputError
        In `fit`: when a setting is wrong, something is no image, there are fewer than two classes,
        or the same image has two labels.
    images.Rejected
        When an image cannot be used; the message names it.
    IncompatibleError, CorruptError, StorageError
        See `ImageFeatures`.

    Examples
    --------
    >>> import featx
    >>> from sklearn.model_selection import cross_val_score
    >>> classifier = featx.ImageClassifier(head="logreg", cache="features.h5")
    >>> cross_val_score(classifier, paths, labels, cv=5).mean()  # doctest: +SKIP
    0.95
    >>> classifier.fit(paths, labels).predict(["photos/new.jpg"])  # doctest: +SKIP
    array(['bees'], dtype='<U4')
    >>> classifier.save("model.featx")  # for featx score  # doctest: +SKIP
    """

    def __init__(
        self,
        head: HeadName | Literal["best"] = "best",
        *,
        view: ViewName | None = None,
        heads: Sequence[HeadName | Literal["all"]] | Literal["all"] = (),
        options: Mapping[str, Any] | None = None,
        class_weight: ClassWeight | None = None,
        metric: MetricName = "accuracy",
        random_state: int = 0,
        cache: str | os.PathLike[str] | None = None,
        network: NetworkName | str | None = None,
        cut: LayerName | str | None = None,
        size: int | tuple[int, ...] | None = None,
        layers: tuple[LayerName | str, ...] | None = None,
        mirror: bool | None = None,
        resize: ResizeRule | None = None,
        bits: int | None = None,
        weights: str = "auto",
        preprocessing: PreprocessingName | None = None,
        precision: PrecisionName = "auto",
        runtime: RuntimeName = "auto",
        verbose: bool = False,
    ) -> None:
        self.head = head
        self.view = view
        self.heads = heads
        self.options = options
        self.class_weight = class_weight
        self.metric = metric
        self.random_state = random_state
        self.cache = cache
        self.network = network
        self.cut = cut
        self.size = size
        self.layers = layers
        self.mirror = mirror
        self.resize = resize
        self.bits = bits
        self.weights = weights
        self.preprocessing = preprocessing
        self.precision = precision
        self.runtime = runtime
        self.verbose = verbose

    @backend.own_settings()
    def fit(self, X: Images, y: Any) -> Self:
        """Choose and train a head on images.

        Parameters
        ----------
        X : iterable of path, bytes, binary file, PIL.Image.Image or ndarray
            See `Model.predict_proba`.
        y : array-like of str or int, shape (n,)
        """
        if y is None:
            raise InputError(
                "ImageClassifier requires y to be passed, but the target y is None. Expected a "
                "label for each image."
            )
        listed = list_images(X)
        y = _labels(y)
        check_consistent_length(listed.paths, y)
        check_classification_targets(y)
        classes, labels = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise InputError(
                f"All {len(y)} labels are of one class. Expected images of two classes or more."
            )
        names = tuple(map(str, classes.tolist()))
        listed = replace(listed, labels=labels.astype(np.int32), classes=names)
        settings = FitSettings(
            head=self.head,
            heads=as_names(self.heads),
            view=self.view,
            options=dict(self.options or {}),
            class_weight=self.class_weight,
            metric=self.metric,
            seed=self.random_state,
        )
        check_settings(settings)
        memory = memory_of(self)
        digests = memory.digests(listed)
        with tempfile.TemporaryDirectory(prefix="featx-") as folder:
            path = Path(folder) / "features.h5"
            memory.write(path, listed, digests)
            with Cache.open(path) as cache:
                images = splits.labelled_images(cache.catalog, cache.digests)
                features = candidates_of([cache])
                board, _, name, view = choose_head(features, images, None, settings)
                model, _ = train_model(cache, images, name, view, settings)
        kept = "" if self.cache is None else _listing(Path(self.cache), digests)
        rows = len(images) * (1 + memory.fingerprint.copies)
        report = {
            "train": {"images": len(images), "rows": rows, "features": kept},
            "test": None,
            "leaderboard": board.as_dict() if board else None,
            "tuning": None,
            "threshold": None,
        }
        self.classes_ = classes
        self.leaderboard_ = board
        self.model_ = replace(model, report=report, weights=self.weights)
        return self

    def predict_proba(self, X: Images) -> np.ndarray:
        """Return the probability of each class for each image, float64 (n, n_classes).

        Parameters
        ----------
        X : iterable of path, bytes, binary file, PIL.Image.Image or ndarray
            See `Model.predict_proba`.
        """
        check_is_fitted(self)
        listed = list_images(X)
        memory = memory_of(self)
        model = self.model_
        memory.require_same(model.fingerprint, model.view)
        blocks = memory.blocks(listed, memory.digests(listed))
        with one_thread():
            rows = [model.predict_proba_activations(found.originals) for found in blocks]
        return np.concatenate([np.empty((0, len(self.classes_))), *rows])

    def predict(self, X: Images) -> np.ndarray:
        """Return the most probable class of each image; see `predict_proba`."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def save(self, out: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the fitted model as a file for `featx.load` and the command line.

        Raises
        ------
        InputError
            When `out` exists, and `overwrite` is not set.
        StorageError, LockedError
            When it cannot be written.
        """
        check_is_fitted(self)
        path = Path(out)
        with file.lock_model(path, overwrite):
            self.model_ = replace(self.model_, digest=file.save(self.model_, path))
        return path

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that images come in and not a table."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.input_tags.string = True
        tags.no_validation = True
        return tags


def _labels(y: Any) -> np.ndarray:
    """Return labels as an array, none of them missing.

    Raises
    ------
    InputError
        When one is None or not a number.
    """
    # Whole numbers of pandas that can be missing would become floating-point numbers.
    found = column_or_1d(np.array(y.tolist()) if hasattr(y, "array") else y, warn=True)
    for index, label in enumerate(y if isinstance(y, list | tuple) else found.tolist()):
        if label is None or label != label:
            raise InputError(f"The label at index {index} is {label}. Expected one for each image.")
    return found


def _listing(path: Path, digests: Iterable[str]) -> str:
    """Return a cache file by its whole path, where it lists all these images, or ""."""
    with Cache.open(path) as cache:
        return os.path.abspath(path) if set(digests) <= cache.index().keys() else ""
