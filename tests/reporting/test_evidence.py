"""Where a classifier looked adds up to what it says."""

from pathlib import Path

import numpy as np
import pytest
from generated import tiny_models

import featx
from featx.dataset import splits
from featx.heads.calibration import decision_scores
from featx.reporting.evidence import find_evidence


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache with features of 2 × 2 positions, and models."""
    root = tiny_models(tmp_path_factory.mktemp("evidence"), 8)
    featx.extract(root / "photos", root / "wide.h5", weights="random", size=64)
    return root


@pytest.mark.parametrize("head", ["logreg", "lda", "linear-svm", "ridge"])
@pytest.mark.parametrize("classes", [2, 3])
def test_positions_add_up_to_the_score(made: Path, tmp_path: Path, head: str, classes: int) -> None:
    with featx.Cache.open(made / "wide.h5") as whole:
        cache = whole.without_classes(["red"] if classes == 2 else [])
        model = featx.fit(cache, tmp_path / "m.featx", head=head, view="avg").model
        units = splits.leakage_groups(cache.catalog, cache.digests)
        found = find_evidence(model, cache, np.arange(0), units)
        assert found is not None and found.is_of_model and found.head == head
        features = cache.features[:8, 0]
        X = cache.matrix("avg", images=np.arange(8)).X
        inner = model.head.estimator_
        scores = decision_scores(inner, X)
        constant = np.asarray(inner.intercept_, np.float64)
        if classes == 2 and len(constant) == 1:
            constant = np.array([-constant[0], constant[0]]) / 2
        for label in range(classes):
            maps = found.maps(features, [label] * 8)
            assert maps.shape == (8, 2, 2)
            added = maps.sum(axis=(1, 2)) + constant[label]
            assert np.allclose(added, scores[:, label], atol=1e-4)


def test_a_companion_where_the_model_sees_no_positions(made: Path, tmp_path: Path) -> None:
    with featx.Cache.open(made / "wide.h5") as cache:
        units = splits.leakage_groups(cache.catalog, cache.digests)
        fitted = featx.fit(made / "wide.h5", tmp_path / "m.featx", head="knn", view="avg")
        found = find_evidence(fitted.model, cache, np.arange(len(cache)), units)
        assert found is not None and not found.is_of_model and found.head == "logreg"
        assert find_evidence(fitted.model, cache, np.arange(4), units) is None  # one class
