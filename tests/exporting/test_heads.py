"""Every head in every format: which there are, and that docs/export.md says so."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featx import backend
from featx.exporting.about import INPUT
from featx.exporting.formats import FORMATS
from featx.exporting.heads import apply_any_head
from featx.heads import registry
from featx.heads.training import Examples, train
from featx.metrics import get_metric

DOCS = Path(__file__).parents[2] / "docs" / "export.md"
WIDTHS = (10, 14)


def rows(seed: int, each: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of length 1, in two blocks, whose classes overlap."""
    random = np.random.default_rng(seed)
    y = np.repeat(np.arange(classes), each)
    centres = np.random.default_rng(0).random((classes, sum(WIDTHS)))
    X = np.maximum(centres[y] + random.normal(0, 0.45, (len(y), sum(WIDTHS))), 0)
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32), y


def trained(name: str, classes: int) -> Any:
    X, y = rows(1, 12, classes)
    head = registry.HEADS[name]
    options = {"epochs": 3} if head.keras else {}
    examples = Examples(X[:, np.newaxis], y.astype(np.int32), np.arange(len(y)), widths=WIDTHS)
    candidates = head.param_candidates(options)[:1]
    metric = get_metric("accuracy")
    return train(head, examples, candidates=candidates, metric=metric, seed=0).classifier


@pytest.mark.parametrize("name", registry.HEADS)
@pytest.mark.parametrize("classes", [2, 3])
def test_layers_give_the_probabilities_of_the_head(name: str, classes: int) -> None:
    classifier, (X, _) = trained(name, classes), rows(2, 10, classes)
    network = as_network(name, classifier)
    expected = classifier.predict_proba(X)
    assert np.abs(network.predict_on_batch(X) - expected).max() < 1e-4
    assert name == "dummy" or np.ptp(expected[:, 0]) > 0.05  # there is something to get wrong


def as_network(name: str, classifier: Any) -> Any:
    keras = backend.keras()
    taken = keras.Input((sum(WIDTHS),), name=INPUT)
    return keras.Model(taken, apply_any_head(taken, name, classifier))


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.HEADS)
def test_every_format_takes_every_head(name: str, tmp_path: Path) -> None:
    classifier, (X, _) = trained(name, 3), rows(2, 10, 3)
    network, apart = as_network(name, classifier), {}
    for form, row in FORMATS.items():
        path = tmp_path / f"m{row.suffix}"
        row.write(network, {"classes": ["a", "b", "c"]}, path, None)
        apart[form] = np.abs(row.load(path)(X) - classifier.predict_proba(X)).max()
    assert max(apart.values()) < 1e-4, apart
    (line,) = re.findall(rf"^\| `{name}` \|(.*)\|$", DOCS.read_text(), re.M)
    assert [cell.strip() for cell in line.split("|")] == ["yes"] * len(FORMATS)


def test_many_rows_are_approximated_by_landmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featx.heads.ridge._EXACT_ROWS", 20)
    monkeypatch.setattr("featx.heads.ridge._LANDMARKS", 15)
    classifier, (X, _) = trained("kernel-ridge", 3), rows(2, 10, 3)
    assert len(classifier.estimator_.support) == 15
    found = as_network("kernel-ridge", classifier).predict_on_batch(X)
    assert np.abs(found - classifier.predict_proba(X)).max() < 1e-4


def test_a_neighbour_that_is_the_row_itself_decides_alone() -> None:
    classifier, (X, _) = trained("knn", 3), rows(1, 12, 3)
    found = as_network("knn", classifier).predict_on_batch(X)
    assert np.abs(found - classifier.predict_proba(X)).max() < 1e-4
