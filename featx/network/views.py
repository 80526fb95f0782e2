"""Views: which row a head sees of an image, from its features and its layer pools.

A row has length 1: what counts is the mix of features, not their amount. It consists of blocks of
columns, of about equal lengths; most views have one. Sources: square roots before the length is set
to 1, Perronnin, Sánchez and Mensink (2010); layers of all depths, Garcia-Gasulla et al. (2017);
covariance of positions with a matrix square root, Lin, RoyChowdhury and Maji (2015) and Li et al.
(2017). Of several networks, the rows of each stand side by side, and the whole has length 1.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from ..errors import InputError, one_of
from .activations import Activations, PooledLayers, pool_features
from .covariance import Moments, Projection
from .fingerprint import Fingerprint
from .naming import network_names

__all__ = ["VIEWS", "View", "ViewKind", "make_view", "views_of"]


@dataclass(frozen=True)
class ViewKind:
    """A row of the table of views.

    Attributes
    ----------
    summary : str
        What it is, in a few words.
    pool : callable, optional
        For a view of the features at the cut: float32 (n, height, width, channels) → (n, d).
    halves : slice, optional
        For a view of their mean or maximum alone, which of the two: of `pool_features`.
    layers : bool
        Whether it sees the layer pools.
    projected : bool
        Whether it has a projection that is fitted on training images.
    """

    summary: str
    pool: Callable[[np.ndarray], np.ndarray] | None = None
    halves: slice | None = None
    layers: bool = False
    projected: bool = False

    @property
    def positions(self) -> bool:
        """Whether it sees single positions of the features at the cut, and not pools alone."""
        return self.halves is None and not self.layers


def _average(features: np.ndarray) -> np.ndarray:
    return features.mean(axis=(1, 2))


def _maximum(features: np.ndarray) -> np.ndarray:
    return features.max(axis=(1, 2))


def _flatten(features: np.ndarray) -> np.ndarray:
    return features.reshape(len(features), math.prod(features.shape[1:]))


#: The views, by name.
VIEWS: Mapping[str, ViewKind] = MappingProxyType(
    {
        "avg": ViewKind("the mean of each channel over the positions", _average, slice(0, 1)),
        "max": ViewKind("the maximum of each channel over the positions", _maximum, slice(1, 2)),
        "avgmax": ViewKind("mean and maximum side by side", pool_features, slice(0, 2)),
        "flatten": ViewKind("all positions one by one", _flatten),
        "layers": ViewKind("mean and maximum of several layers, a block each", layers=True),
        "covariance": ViewKind("how the channels vary together over the positions", projected=True),
    }
)


@dataclass(frozen=True, eq=False)
class View:
    """A view of images of one network, or the same view of several side by side.

    Attributes
    ----------
    name : str
        A key of `VIEWS`.
    shape : tuple of int
        Shape of the features that it sees, (height, width, channels).
    pooled : PooledLayers
        The layer pools that it sees, if any.
    projection : Projection, optional
        Of the covariance, once it is fitted.
    also : tuple of View
        The views of further networks, each of one.
    network : str
        Where there are several, what the first is called.
    """

    name: str
    shape: tuple[int, int, int]
    pooled: PooledLayers
    projection: Projection | None = None
    also: tuple["View", ...] = ()
    network: str = ""

    @property
    def kind(self) -> ViewKind:
        """Its row of the table."""
        return VIEWS[self.name]

    @property
    def each(self) -> tuple["View", ...]:
        """The view of each network by itself, the first's first."""
        return (replace(self, also=()), *self.also) if self.also else (self,)

    @property
    def widths(self) -> dict[str, int]:
        """The blocks of a row, in order: name → number of columns."""
        if not self.also:
            return self._own_widths
        return {
            f"{name} of {view.network}": width
            for view in self.each
            for name, width in view._own_widths.items()
        }

    @property
    def _own_widths(self) -> dict[str, int]:
        if self.kind.layers:
            widths = {name: span.stop - span.start for name, span in self.pooled.columns.items()}
            sizes = self.pooled.sizes
            return {f"{name} at {size}": width for size in sizes for name, width in widths.items()}
        if self.kind.projected:
            return {self.name: Projection.width(self.shape[2])}
        height, width, channels = self.shape
        columns = {"avgmax": 2 * channels, "flatten": height * width * channels}
        return {self.name: columns.get(self.name, channels)}

    def feature_names(self, *cuts: str) -> list[str]:
        """Return a name for each column of a row, such as ``block5_pool_avg_0``.

        Parameters
        ----------
        *cuts : str
            The layer that the features are of, for each network. The names of several begin with
            that of the network.
        """
        if self.also:
            return [
                f"{view.network} {name}"
                for view, cut in zip(self.each, cuts, strict=True)
                for name in view.feature_names(cut)
            ]
        (cut,) = cuts
        height, width, channels = self.shape
        if self.kind.layers:
            names = [
                f"{layer}{f'_{size}' if len(self.pooled.sizes) > 1 else ''}_{pool}_{channel}"
                for size in self.pooled.sizes
                for layer, span in self.pooled.columns.items()
                for pool in ("avg", "max")
                for channel in range((span.stop - span.start) // 2)
            ]
        elif self.name == "flatten":
            places = itertools.product(range(height), range(width), range(channels))
            names = [f"{cut}_{row}_{column}_{channel}" for row, column, channel in places]
        else:
            pools = ("avg", "max") if self.name == "avgmax" else (self.name,)
            each = self.width // len(pools)
            names = [f"{cut}_{pool}_{number}" for pool in pools for number in range(each)]
        if len(names) != self.width:
            raise AssertionError(f"{len(names)} names for {self.width} columns")
        return names

    @property
    def width(self) -> int:
        """Number of columns of a row."""
        return sum(self.widths.values())

    def is_seen_in(self, made: Fingerprint) -> bool:
        """Tell whether a cache has the layer pools, or the features, that it sees."""
        if self.also or made.also:
            views, several = self.each, made.each
            return len(views) == len(several) and all(map(View.is_seen_in, views, several))
        if self.kind.layers:
            return made.pooled == self.pooled
        return made.keep == "all" or not self.kind.positions

    @property
    def for_novelty(self) -> "View":
        """The view by which an image is told to be unlike others.

        That is this one, or the maximum where directions were fitted: an image of quite another
        kind has little along them, and its covariance is near that of anything.
        """
        if not self.kind.projected:
            return self
        also = tuple(view.for_novelty for view in self.also)
        return replace(self, name="max", projection=None, also=also)

    @property
    def is_fitted(self) -> bool:
        """Whether it can make rows: it has its projection, or needs none."""
        return not self.kind.projected or all(view.projection for view in self.each)

    def fitted(self, blocks: Iterable[Activations]) -> "View":
        """Return the view with its projection, fitted on the originals of training images.

        A view that needs none, or has one, is returned as it is, and nothing is read.

        Parameters
        ----------
        blocks : iterable of Activations
            Images with their copies, (n, 1 + copies).
        """
        if self.is_fitted:
            return self
        moments = [Moments() for _ in self.each]
        for some in blocks:
            for one, own in zip(moments, (some, *some.also), strict=True):
                one.add(own.features[:, 0])
        return self.projected([one.projection() for one in moments])

    def projected(self, projections: Sequence[Projection]) -> "View":
        """Return the view with a projection for each network."""
        own, *others = projections
        also = [replace(view, projection=p) for view, p in zip(self.also, others, strict=True)]
        return replace(self, projection=own, also=tuple(also))

    def rows(self, activations: Activations) -> np.ndarray:
        """Return single images as rows, float32 (n, width).

        Parameters
        ----------
        activations : Activations
            Of n images, without an axis of copies.
        """
        if not self.also:
            return self._own_rows(activations)
        seen = zip(self.each, (activations, *activations.also), strict=True)
        return _of_length_one(np.concatenate([view._own_rows(some) for view, some in seen], axis=1))

    def _own_rows(self, activations: Activations) -> np.ndarray:
        if self.kind.layers:
            return self._layer_rows(activations.pools)
        features = activations.features
        if self.kind.projected:
            if self.projection is None:
                raise AssertionError(f"the view {self.name} is not fitted")
            return self.projection.rows(features)
        if activations.cut_pools is not None and self.kind.halves is not None:
            some = activations.cut_pools.reshape(len(activations), 2, -1)[:, self.kind.halves]
            return _of_length_one(some.reshape(len(some), -1).copy())
        if self.kind.pool is None:
            raise AssertionError(f"the view {self.name} has no pool")
        return _of_length_one(self.kind.pool(features.astype(np.float32)))

    def _layer_rows(self, pools: np.ndarray) -> np.ndarray:
        """Return the blocks of each size side by side; those of a mirrored image are added.

        Mean and maximum of a layer are square-rooted and brought to length 1, one by one.
        """
        rows = np.empty((len(pools), sum(self._own_widths.values())), np.float32)
        start = 0
        for size in self.pooled.sizes:
            numbers = [i for i, one in enumerate(self.pooled.passes) if one.size == size]
            for span in self.pooled.columns.values():
                middle = (span.start + span.stop) // 2
                for half in (slice(span.start, middle), slice(middle, span.stop)):
                    own = [_rooted(pools[:, number, half]) for number in numbers]
                    stop = start + half.stop - half.start
                    rows[:, start:stop] = sum(own)
                    start = stop
        return _of_length_one(rows)


def _rooted(values: np.ndarray) -> np.ndarray:
    exact = values.astype(np.float32)
    return _of_length_one(np.copysign(np.sqrt(np.abs(exact)), exact))


def _of_length_one(rows: np.ndarray) -> np.ndarray:
    """Return rows of length 1; one of zeros, or with values that are not finite, stays as it is."""
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.sqrt((rows * rows).sum(axis=1))  # each row's does not depend on the others
    usable = np.isfinite(lengths) & (lengths > 0)
    rows /= np.where(usable, lengths, 1)[:, np.newaxis]
    return rows


def views_of(made: Fingerprint) -> tuple[str, ...]:
    """Return the views that a cache has: all, or those that need no more than it keeps."""
    return tuple(
        name
        for name, kind in VIEWS.items()
        if all(
            (one.layers or not kind.layers) and (one.keep == "all" or not kind.positions)
            for one in made.each
        )
    )


def make_view(
    name: str, fingerprint: Fingerprint, shape: tuple[int, int, int] | None = None
) -> View:
    """Return a view of what a cache or a model has of an image.

    Parameters
    ----------
    name : str
        A key of `VIEWS`.
    fingerprint : Fingerprint
    shape : tuple of int, optional
        Shape of the features, where they are not those at the cut.

    Raises
    ------
    InputError
        When there is no such view; when it needs layer pools and no layer is pooled; or when it
        needs features that are not kept.
    """
    kind = one_of("view", name, VIEWS)
    if kind.layers and not fingerprint.layers:
        raise InputError(
            f"The view {name} needs layer pools, which are not there: extract again, into another "
            "output or with --overwrite and without --layers none."
        )
    if kind.positions and fingerprint.keep != "all":
        raise InputError(
            f"The view {name} sees the features at {fingerprint.trunk.cut} one by one, and the "
            f"cache keeps their mean and maximum alone. Give one of "
            f"{', '.join(views_of(fingerprint))}; or extract again, into another output or with "
            "--overwrite, and without --keep pooled."
        )
    view = View(name, shape or fingerprint.trunk.shape, fingerprint.pooled)
    if not fingerprint.also:
        return view
    own, *others = network_names(fingerprint.each)
    also = [
        replace(make_view(name, one), network=called)
        for one, called in zip(fingerprint.also, others, strict=True)
    ]
    return replace(view, network=own, also=tuple(also))
