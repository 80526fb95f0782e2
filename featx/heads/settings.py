"""What a comparison of heads is asked for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from ..names import BackendName, ClassWeight, HeadName, MetricName, Preference, ViewName

__all__ = ["CompareChanges", "CompareSettings", "as_names"]


@dataclass(frozen=True)
class CompareSettings:
    """Which heads are compared, and how.

    Attributes
    ----------
    heads : tuple of str
        The heads to compare; "all" for all, and by default those that can win. "dummy" is always
        among them.
    views : tuple of str
        Views that every head is tried on, or "all"; by default each head's own.
    metric : str
        The metric that heads and their parameters are ranked and chosen by.
    folds, repeats : int
        Cross-validation over images, each repeat with folds of its own. Where a class has fewer
        different images than there are folds, there are as many folds as it has.
    min_per_class : int
        Classes with fewer different images to train on are left out, with a warning.
    seed : int
        Seed of the folds and of the heads.
    budget : float, optional
        Seconds after which no further fold is started.
    class_weight : {None, "balanced"}
        For the heads that take it.
    options : mapping
        Head → changes of its options.
    prefer : {"best", "small", "fast"}
        Which of the tied heads is chosen: the one with the lowest log loss, the smallest in bytes,
        or the quickest to score with: of several networks, that which costs an image the least.
    backend : {"local", "dask"}
        Where folds are computed: on this machine, or by the workers of a Dask cluster.
    scheduler : str, optional
        The address of the scheduler of a Dask cluster, such as "tcp://host:8786".
    """

    heads: Sequence[str] = ()
    views: Sequence[str] = ()
    metric: str = "accuracy"
    folds: int = 5
    repeats: int = 1
    min_per_class: int = 2
    seed: int = 0
    budget: float | None = None
    class_weight: str | None = None
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    prefer: str = "best"
    backend: str = "local"
    scheduler: str | None = None


class CompareChanges(TypedDict, total=False):
    """The fields of `CompareSettings` as keywords, for editors and type checkers."""

    heads: Sequence[HeadName | Literal["all"]]
    views: Sequence[ViewName | Literal["all"]]
    metric: MetricName
    folds: int
    repeats: int
    min_per_class: int
    seed: int
    budget: float | None
    class_weight: ClassWeight | None
    options: Mapping[str, Mapping[str, Any]]
    prefer: Preference
    backend: BackendName
    scheduler: str | None


def as_names(given: str | Iterable[str]) -> tuple[str, ...]:
    """Return names, each once, in order; one name may be given without a list."""
    return (given,) if isinstance(given, str) else tuple(dict.fromkeys(given))
