"""What scikit-learn asks of a model that was loaded: parameters, clones, and another fit."""

import importlib
from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from ..errors import InputError
from ..heads import registry
from ..images.inputs import Images
from ..network.fingerprint import Fingerprint
from ..network.networks import DEFAULT
from ..network.tail import Tail
from ..network.views import View

__all__ = ["ModelEstimator"]


class ModelEstimator:
    """The part of `Model` that makes it an estimator of scikit-learn.

    Its clone is an `ImageClassifier` that is not fitted, with the settings of the model.
    """

    head_name: str
    settings: dict[str, Any]
    view: View
    fingerprint: Fingerprint
    provider: str
    tail: Tail | None
    weights: str
    precision: str
    runtime: str

    def predict(self, images: Images) -> np.ndarray:
        """Return the name of the most probable class for each image."""
        raise NotImplementedError

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters of the `ImageClassifier` that fits such models.

        Parameters
        ----------
        deep : bool
            Not used: no parameter is an estimator.
        """
        if self.fingerprint.also:
            raise InputError(
                "The model sees images by several networks, and an ImageClassifier by one, so it "
                "has no parameters that fit such models. featx.fit(caches, out) does."
            )
        made, trunk = self.fingerprint, self.fingerprint.trunk
        head = registry.get_head(self.head_name)
        options = {
            name: type(default)(self.settings[name])
            for name, default in head.default_params.items()
            if name in self.settings
            and name not in head.param_grid
            and type(default)(self.settings[name]) != default
        }
        pooled = self.view.pooled if self.view.kind.layers else None
        return {
            "head": self.head_name,
            "view": self.view.name,
            "heads": (),
            "options": options or None,
            "class_weight": self.settings.get("class_weight"),
            "metric": "accuracy",
            "random_state": self.settings.get("seed", 0),
            "cache": None,
            "network": None if trunk.network == DEFAULT else trunk.network,
            "cut": trunk.cut,
            "size": pooled.sizes if pooled and len(pooled.sizes) > 1 else trunk.size,
            "layers": pooled.names if pooled else None,
            "mirror": pooled.mirror if pooled else None,
            "resize": trunk.resize,
            "bits": trunk.bits,
            "weights": self.weights if self.provider == "file" else self.provider,
            "preprocessing": trunk.preprocessing,
            "precision": self.precision if self.precision != "auto" else made.precision,
            "runtime": self.runtime if self.runtime != "auto" else made.runtime,
            "verbose": False,
        }

    def set_params(self, **params: Any) -> Self:
        """Refuse to change parameters: a model is fitted, and stays what it is.

        Raises
        ------
        InputError
            When there is any parameter.
        """
        if params:
            raise InputError(
                f"A fitted model has fixed parameters, so {', '.join(params)} cannot be set. Its "
                "clone, sklearn.base.clone(model), is an ImageClassifier that takes them."
            )
        return self

    def __sklearn_clone__(self) -> Any:
        """Return an `ImageClassifier` that fits such models.

        Raises
        ------
        InputError
            When the model is fine-tuned.
        """
        if self.tail:
            raise InputError(
                "A fine-tuned model has layers that no fit makes. Fit a head with featx.fit or "
                "featx.ImageClassifier, and fine-tune it with featx.finetune."
            )
        return _classifier()(**self.get_params())

    def fit(self, X: Images, y: Iterable[Any]) -> Self:
        """Forget what the model was fitted on, and fit it anew; see `ImageClassifier.fit`.

        Raises
        ------
        InputError
            When the model is fine-tuned; see also `ImageClassifier`.
        """
        fitted = self.__sklearn_clone__().fit(X, y).model_
        vars(self).clear()
        vars(self).update(vars(fitted))
        return self

    def score(self, images: Images, y: Iterable[str]) -> float:
        """Return the share of images whose class is the one named in `y`.

        Raises
        ------
        InputError
            When there is not one label for each image, or a label is no text.
        """
        names = np.ravel(np.array(y if isinstance(y, np.ndarray) else list(y), dtype=object))
        for name in names:
            if not isinstance(name, str):
                raise InputError(
                    f"A label is {name!r}, and the classes of a model are texts. Give labels that "
                    "are texts, such as str(label)."
                )
        predicted = self.predict(images)
        if len(names) != len(predicted) or not len(names):
            raise InputError(
                f"There are {len(predicted)} images and {len(names)} labels. Expected one for each."
            )
        return float(np.mean(predicted == names))

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that this is a classifier of images."""
        return _classifier()().__sklearn_tags__()

    def __sklearn_is_fitted__(self) -> bool:
        return True


def _classifier() -> Any:
    # By its name: it is made of models, and to import it here would be a circle.
    return importlib.import_module(".classifier", __package__).ImageClassifier
