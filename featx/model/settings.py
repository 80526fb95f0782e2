"""What a fit is asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from ..names import BackendName, ClassWeight, HeadName, MetricName, Preference, ViewName

__all__ = ["BEST", "FitChanges", "FitSettings"]

#: The name of a head that stands for the best one.
BEST = "best"


@dataclass(frozen=True)
class FitSettings:
    """How a head is chosen, trained and tested.

    Attributes
    ----------
    head : str
        The head to train; "best" is the one with the lowest log loss of the heads that are not
        significantly worse than the best of a comparison on the training images. A head with
        several views is compared on each, unless `view` names one.
    heads : tuple of str
        The heads that are compared, or "all"; by default those that can win at a small cost.
    view : str, optional
        What heads see of an image; by default each head has its own.
    options : mapping
        Parameters of the head that are set; they are removed from its grid.
    class_weight : {None, "balanced"}
        Balanced weights classes inversely to their frequency, as in scikit-learn.
    metric : str
        The metric that heads and parameters are chosen by.
    folds, repeats : int
        Folds and repeats of the cross-validation that compares heads.
    min_per_class : int
        Classes with fewer different images to train on are left out, with a warning.
    prefer : {"best", "small", "fast"}
        Which of the tied heads is chosen: the one with the lowest log loss, the smallest in bytes,
        or the quickest to score with: of several networks, that which costs an image the least.
    budget : float, optional
        Seconds after which the comparison starts no further fold.
    test_size : float
        Share of the images held out for the test, when the images are not split.
    target_precision : float, optional
        Find the lowest confidence above which this share of the labels is right, by
        out-of-fold probabilities.
    seed : int
        Seed of the held-out images, of the folds and of the head.
    overwrite : bool
        Replace a model that exists.
    backend : {"local", "dask"}
        Where folds are computed: on this machine, or by the workers of a Dask cluster.
    scheduler : str, optional
        The address of the scheduler of a Dask cluster, such as "tcp://host:8786".
    """

    head: str = BEST
    heads: Sequence[str] = ()
    view: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    class_weight: str | None = None
    metric: str = "accuracy"
    folds: int = 5
    repeats: int = 1
    min_per_class: int = 2
    prefer: str = "best"
    budget: float | None = None
    test_size: float = 0.2
    target_precision: float | None = None
    seed: int = 0
    overwrite: bool = False
    backend: str = "local"
    scheduler: str | None = None


class FitChanges(TypedDict, total=False):
    """The fields of `FitSettings` as keywords, for editors and type checkers."""

    head: HeadName | Literal["best"]
    heads: Sequence[HeadName | Literal["all"]]
    view: ViewName | None
    options: Mapping[str, Any]
    class_weight: ClassWeight | None
    metric: MetricName
    folds: int
    repeats: int
    min_per_class: int
    prefer: Preference
    budget: float | None
    test_size: float
    target_precision: float | None
    seed: int
    overwrite: bool
    backend: BackendName
    scheduler: str | None
