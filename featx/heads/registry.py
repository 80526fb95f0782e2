"""The table of heads: classifiers over rows of features that were brought to length 1.

What counts is the mix of features, not their amount, so every head works on rows of length 1.
Defaults and grids were chosen on photographs: see docs/results.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from types import MappingProxyType
from typing import Any

from ..errors import InputError, one_of, require_one_of
from ..network.fingerprint import Fingerprint
from ..network.views import views_of

__all__ = ["DEFAULT_HEADS", "HEADS", "Head", "from_estimator", "get_head"]

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Head:
    """A row of the table, whose order is that of the work they are: cheapest first.

    Attributes
    ----------
    summary : str
        What it is, in a few words.
    build : callable
        (options, seed) → a classifier that is not fitted.
    default_params : mapping
        The parameters that `--set` can change; a value has the type of its default.
    param_grid : mapping
        Values of parameters among which a choice is made on inner folds.
    views : tuple of str
        The views that it is compared on by default.
    default : bool
        Whether it is compared by default: it can win, at a cost that is small beside the others'.
    calibrated : bool
        Whether temperature scaling is fitted on inner folds.
    linear : bool
        Whether it is linear with an L2 penalty or the like: rows can be trained on in the space
        that they span, and the result has a `coef_`.
    distances : bool
        Whether it depends on products and distances of rows only, and so is the same in the space
        that the rows span.
    keras : bool
        Whether it is a `DenseClassifier`.
    leaves_out : bool
        Whether it is a `RidgeKernelClassifier`, which chooses its strength and predicts images that
        are left out by itself.
    layers : bool
        Whether it can become exact Keras layers.
    balances : bool
        Whether it takes `class_weight`.
    by_rows : callable, optional
        Number of training rows → parameters that depend on it.
    types : tuple of str
        The types beyond skops's own that its saved form may hold.
    """

    summary: str
    build: Callable[[Options, int], Any]
    default_params: Options = field(default_factory=dict)
    param_grid: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    views: tuple[str, ...] = ("avg",)
    default: bool = False
    calibrated: bool = True
    linear: bool = False
    distances: bool = False
    keras: bool = False
    leaves_out: bool = False
    layers: bool = False
    balances: bool = False
    by_rows: Callable[[int], dict[str, Any]] | None = None
    types: tuple[str, ...] = ()

    def views_in(self, made: Fingerprint) -> tuple[str, ...]:
        """Return the views that it is compared on by default, of those that a cache has."""
        found = dict.fromkeys(name for name in self.views if name in views_of(made))
        if made.keep == "pooled" and len(found) < len(self.views):
            found["avgmax"] = None  # in the place of positions, which are not there
        return tuple(found)

    @property
    def has_arrays(self) -> bool:
        """Whether it is kept as plain arrays, and not as an estimator of scikit-learn."""
        return self.keras or self.leaves_out

    def from_bytes(self, data: bytes, described: Options) -> Any:
        """Return the fitted head that its `to_bytes` wrote.

        Raises
        ------
        LookupError, ValueError, TypeError, CorruptError
            When it is something else.
        """
        if self.keras:
            from .dense import DenseClassifier

            return DenseClassifier.from_bytes(data, described)
        from .ridge import RidgeKernelClassifier

        return RidgeKernelClassifier.from_bytes(data, described)

    def param_candidates(self, overrides: Options) -> list[dict[str, Any]]:
        """Return all parameters to try: the defaults, the overrides, and the values of the grid.

        A parameter that is set explicitly is removed from the grid.

        Raises
        ------
        InputError
            When there is no such option, or its value is of another type.
        """
        overrides = {name: self._checked(name, value) for name, value in overrides.items()}
        free = {name: values for name, values in self.param_grid.items() if name not in overrides}
        return [
            {**self.default_params, **overrides, **dict(zip(free, values, strict=True))}
            for values in product(*free.values())
        ]

    def overrides(self, options: Options, class_weight: str | None) -> dict[str, Any]:
        """Return parameters with the class weight, for a head that takes one.

        Raises
        ------
        InputError
            When there is no such class weight.
        """
        if class_weight is not None:
            require_one_of("class weight", class_weight, ("balanced",))
        own = {"class_weight": class_weight} if class_weight and self.balances else {}
        return {**options, **own}

    def _checked(self, name: str, value: Any) -> Any:
        """Return the value of an option, a whole number as a float where it is to be one."""
        if name == "class_weight" and self.balances and value in (None, "balanced"):
            return value
        if name not in self.default_params:
            known = ", ".join(self.default_params) or "none"
            raise InputError(f"There is no option {name!r} here. Expected one of: {known}.")
        default = self.default_params[name]
        if type(default) is float and type(value) is int:
            return float(value)
        if type(value) is not type(default):
            raise InputError(f"The option {name} is {value!r}. Expected a value like {default!r}.")
        return value

    def parsed(self, name: str, text: str) -> Any:
        """Return the value of an option from its text: ``"0.5"``, ``"256"``, ``"256,128"``.

        Raises
        ------
        InputError
            When there is no such option, or the text is of another type.
        """
        if name not in self.default_params:
            self._checked(name, text)
        default = self.default_params[name]
        try:
            if isinstance(default, tuple):
                return tuple(int(part) for part in text.split(",") if part)
            return type(default)(text)
        except ValueError as error:
            raise InputError(
                f"The option {name} is {text!r}. Expected a value like {default!r}."
            ) from error


def _dummy(options: Options, seed: int) -> Any:
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="prior")


def _nearest_centroid(options: Options, seed: int) -> Any:
    from sklearn.neighbors import NearestCentroid

    return NearestCentroid(priors="empirical")


def _lda(options: Options, seed: int) -> Any:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage=options["shrinkage"])


def _logreg(options: Options, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(
        C=options["C"],
        max_iter=5000,
        tol=options["tol"],
        solver="newton-cg",  # several times faster than lbfgs here, most of all at a small tol
        class_weight=options.get("class_weight"),
        random_state=seed,
    )


def _linear_svm(options: Options, seed: int) -> Any:
    from sklearn.svm import LinearSVC

    return LinearSVC(
        C=options["C"],
        max_iter=20000,
        tol=options["tol"],
        class_weight=options.get("class_weight"),
        random_state=seed,
    )


def _rbf_svm(options: Options, seed: int) -> Any:
    from sklearn.svm import SVC

    return SVC(C=options["C"], gamma=options["gamma"], class_weight=options.get("class_weight"))


def _knn(options: Options, seed: int) -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(options["n_neighbors"], weights="distance", algorithm="brute")


def _random_forest(options: Options, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(
        options["n_estimators"],
        min_samples_leaf=options["min_samples_leaf"],
        class_weight=options.get("class_weight"),
        random_state=seed,
    )


def _hist_gradient_boosting(options: Options, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        learning_rate=options["learning_rate"],
        max_iter=options["max_iter"],
        max_leaf_nodes=options["max_leaf_nodes"],
        max_features=0.1,
        early_stopping=False,  # "auto" would depend on the number of rows
        class_weight=options.get("class_weight"),
        random_state=seed,
    )


def _ridge(kernel: str) -> Callable[[Options, int], Any]:
    def build(options: Options, seed: int) -> Any:
        from .ridge import RidgeKernelClassifier

        return RidgeKernelClassifier(kernel, **options, random_state=seed)

    return build


def _keras(options: Options, seed: int) -> Any:
    from .dense import DenseClassifier

    return DenseClassifier(**options, random_state=seed)


_NETWORK = {"learning_rate": 3e-3, "epochs": 100, "batch_size": 32, "patience": 8, "l2": 0.0}

HEADS: Mapping[str, Head] = MappingProxyType(
    {
        "dummy": Head("the share of each class, whatever the image", _dummy, calibrated=False),
        "nearest-centroid": Head(
            "nearest mean of a class",
            _nearest_centroid,  # which divides columns by their deviation: no distances
            views=("avgmax",),
            layers=True,
        ),
        "lda": Head(
            "linear discriminant analysis with shrinkage",
            _lda,
            default_params={"shrinkage": 0.3},
            param_grid={"shrinkage": (0.1, 0.3, 0.6)},
            views=("avgmax",),
            linear=True,
            distances=True,
            layers=True,
        ),
        "ridge": Head(
            "linear, by regularised least squares",
            _ridge("linear"),
            default_params={"alpha": 0.0},
            views=("layers", "covariance"),
            default=True,
            leaves_out=True,
            layers=True,
            balances=True,
        ),
        "kernel-ridge": Head(
            "Gaussian kernels, by regularised least squares",
            _ridge("rbf"),
            default_params={"alpha": 0.0},
            views=("layers", "covariance"),
            default=True,
            leaves_out=True,
            balances=True,
        ),
        "logreg": Head(
            "logistic regression",
            _logreg,
            default_params={"C": 10.0, "tol": 1e-4},
            param_grid={"C": (3.0, 10.0, 30.0, 100.0, 300.0)},
            linear=True,
            distances=True,
            layers=True,
            balances=True,
        ),
        "linear-svm": Head(
            "linear support vector machine",
            _linear_svm,
            default_params={"C": 1.0, "tol": 1e-4},
            param_grid={"C": (0.3, 1.0, 3.0)},
            linear=True,
            views=("avgmax",),
            distances=True,
            layers=True,
            balances=True,
        ),
        "softmax": Head(
            "one dense softmax layer",
            _keras,
            default_params=_NETWORK,
            calibrated=False,
            keras=True,
            layers=True,
            balances=True,
        ),
        "knn": Head(
            "nearest neighbours, weighted by distance",
            _knn,
            default_params={"n_neighbors": 5},
            param_grid={"n_neighbors": (1, 5, 15)},
            views=("avgmax",),
            distances=True,
        ),
        "rbf-svm": Head(
            "support vector machine with a Gaussian kernel",
            _rbf_svm,
            default_params={"C": 10.0, "gamma": 1.0},
            param_grid={"C": (3.0, 10.0), "gamma": (0.5, 2.0)},
            views=("avgmax",),
            distances=True,
            balances=True,
        ),
        "random-forest": Head(
            "random forest",
            _random_forest,
            default_params={"n_estimators": 100, "min_samples_leaf": 1},
            balances=True,
            types=("sklearn.tree._tree.Tree",),
        ),
        "dense": Head(
            "dense hidden layers with dropout",
            _keras,
            default_params={"hidden": (256,), "dropout": 0.5, **_NETWORK},
            calibrated=False,
            keras=True,
            layers=True,
            balances=True,
        ),
        "hist-gradient-boosting": Head(
            "gradient boosting over histograms",
            _hist_gradient_boosting,
            default_params={"learning_rate": 0.1, "max_iter": 40, "max_leaf_nodes": 6},
            balances=True,
            # The default of 20 rows a leaf leaves few images without any split.
            by_rows=lambda rows: {"min_samples_leaf": min(20, max(1, rows // 4))},
            types=("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",),
        ),
    }
)


#: The heads that are compared by default.
DEFAULT_HEADS = tuple(name for name, head in HEADS.items() if head.default)


def from_estimator(estimator: Any) -> Head:
    """Return a row for a scikit-learn classifier from outside the table, taken as it is."""

    def build(options: Options, seed: int) -> Any:
        from sklearn.base import clone

        return clone(estimator)

    return Head(type(estimator).__name__, build, calibrated=not hasattr(estimator, "predict_proba"))


def get_head(name: str) -> Head:
    """Return the row of the head called `name`, or raise an `InputError`."""
    return one_of("head", name, HEADS)
