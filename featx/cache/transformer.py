"""A network as a transformer of scikit-learn: from images to rows of features."""

import dataclasses
import os
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..images.inputs import Images, list_images
from ..names import (
    LayerName,
    NetworkName,
    PrecisionName,
    PreprocessingName,
    ResizeRule,
    RuntimeName,
    ViewName,
)
from ..network.views import make_view
from .memory import Memory, MemorySettings

__all__ = ["ImageFeatures", "VGG16Features", "memory_of"]


class ImageFeatures(TransformerMixin, BaseEstimator):
    """Images as rows of a network's features, each image computed once.

    The network is frozen. Features are found again by the SHA-256 of an image, so that a search
    over other steps, or over `pool`, computes none of them twice: within a process always, between
    processes and from one day to the next with `cache`.

    Parameters
    ----------
    pool : {"avg", "max", "avgmax", "flatten", "layers", "covariance"}, default="avg"
        What becomes of the features: the mean or the maximum of each channel over the positions,
        both, all positions, mean and maximum of six layers, or how the channels vary together,
        along directions that `fit` finds.
    cache : path, optional
        A cache file of `extract`, or one that is made. Images that it lacks are added to it, and
        the images that it lists stay as they are.
    network : str, optional
        "vgg16", "resnet50" or another key of `NETWORKS`; by default that of the cache, else
        "vgg16".
    cut : str, optional
        The layer at which the network ends; by default its last one.
    size : int or tuple of int, optional
        Pixels a side, a multiple of 32; by default those of the cache, else 224. Of further sizes
        "layers" sees the layers too.
    layers : tuple of str, optional
        The layers that "layers" sees; by default those of the cache, else late ones: VGG16's
        convolutions of blocks 4 and 5.
    mirror : bool, optional
        Whether "layers" sees mirrored images too; by default as in the cache, else not.
    resize : {"crop", "squash"}, optional
        Whether the middle square is taken, or both sides are resized; by default as in the cache,
        else "crop".
    bits : int, optional
        Bits of the values in grey images of 16 bits; by default as in the cache, else 16.
    weights : str, default="auto"
        "auto", "keras", "torchvision", "random" (for tests), or the path of a file.
    preprocessing : {"caffe", "torch", "tf", "lite", "none"}, optional
        For a file that is not a known one.
    precision : {"auto", "float32", "bfloat16", "int8"}, default="auto"
        The precision of the network; by default that of the cache, else the fastest that this
        processor computes natively and that is as accurate.
    runtime : {"auto", "tensorflow", "winograd", "openvino"}, default="auto"
        The library that computes the network.
    verbose : bool, default=False
        Whether a bar shows how far the network is.

    Attributes
    ----------
    fingerprint_ : Fingerprint
        The settings and weights of the features.
    view_ : View
        The pool, with its directions where it has some.

    Raises
    ------
    InputError
        In `fit` and `transform`: when a setting is wrong, or something is no image.
    images.Rejected
        When an image cannot be used; the message names it.
    IncompatibleError
        When the cache has features of another kind.
    CorruptError, StorageError
        When the cache or the weights cannot be read, or the cache cannot be written.

    Notes
    -----
    Rows have length 1. The network is that of Simonyan and Zisserman (2014). Processes that share
    a cache wait for each other while features are added. What is kept within a process is at most
    1 GiB, the last used.

    Examples
    --------
    >>> import featx
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> pipeline = make_pipeline(
    ...     featx.ImageFeatures(pool="avg", cache="features.h5"), LogisticRegression(C=10)
    ... )
    >>> pipeline.fit(paths, labels).predict(["photos/new.jpg"])  # doctest: +SKIP
    array(['bees'], dtype='<U4')
    """

    def __init__(
        self,
        pool: ViewName = "avg",
        *,
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
        self.pool = pool
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

    def fit(self, X: Images, y: object = None) -> Self:
        """Choose what is computed; find the directions of "covariance", which needs the images.

        Parameters
        ----------
        X : iterable of path, bytes, binary file, PIL.Image.Image or ndarray
            As many images as there are; see `Model.predict_proba`.
        y : object
            Not used.
        """
        listed = list_images(X)
        memory = memory_of(self)
        view = make_view(self.pool, memory.fingerprint)
        if not view.is_fitted:
            view = view.fitted(memory.blocks(listed, memory.digests(listed)))
        self.fingerprint_ = memory.fingerprint
        self.view_ = view
        return self

    def transform(self, X: Images) -> np.ndarray:
        """Return images as rows of features, float32 (n, d), each of length 1.

        Parameters
        ----------
        X : iterable of path, bytes, binary file, PIL.Image.Image or ndarray
            See `Model.predict_proba`.
        """
        check_is_fitted(self)
        listed = list_images(X)
        memory = memory_of(self)
        memory.require_same(self.fingerprint_, self.view_)
        blocks = memory.blocks(listed, memory.digests(listed))
        rows = [self.view_.rows(found.originals) for found in blocks]
        return np.concatenate([np.empty((0, self.view_.width), np.float32), *rows])

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Return the names of the columns; see `View.feature_names`."""
        check_is_fitted(self)
        return np.array(self.view_.feature_names(self.fingerprint_.trunk.cut), dtype=object)

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that images come in and not a table."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []  # it is always float32
        tags.no_validation = True
        return tags


#: Its name while VGG16 was the only network.
VGG16Features = ImageFeatures


def memory_of(estimator: Any) -> Memory:
    """Return the memory that the parameters of an estimator describe."""
    names = [field.name for field in dataclasses.fields(MemorySettings) if field.name != "file"]
    file = None if estimator.cache is None else Path(estimator.cache)
    settings = MemorySettings(file=file, **{name: getattr(estimator, name) for name in names})
    return Memory(settings, verbose=bool(estimator.verbose))
