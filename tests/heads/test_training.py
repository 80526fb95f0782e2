"""Heads, their choice of settings, calibration, and the exact reduction."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC

from featx.dataset import splits
from featx.errors import CorruptError, InputError
from featx.heads import registry, training
from featx.heads.calibration import TemperatureScaled, best_inverse_temperature, decision_scores
from featx.heads.dense import DenseClassifier
from featx.heads.rowspace import RowSpace
from featx.heads.training import Examples, train
from featx.metrics import METRICS, compute_scores

ACCURACY = METRICS["accuracy"]


def examples(
    classes: int = 3, each: int = 12, width: int = 40, copies: int = 1, noise: float = 1.0
) -> Examples:
    """Return images of classes that lie in different directions, with noisy copies."""
    random = np.random.default_rng(0)
    y = np.repeat(np.arange(classes), each)
    centres = random.normal(size=(classes, width))
    rows = centres[y][:, np.newaxis] + noise * random.normal(size=(len(y), 1 + copies, width))
    X = normalize(rows.reshape(-1, width)).reshape(rows.shape).astype(np.float32)
    return Examples(X, y, np.arange(len(y)))


def trained(
    name: str, data: Examples, seed: int = 0, epochs: int = 30, **options: object
) -> training.Trained:
    head = registry.HEADS[name]
    if head.keras:
        options["epochs"] = epochs
    return train(head, data, candidates=head.param_candidates(options), metric=ACCURACY, seed=seed)


@pytest.mark.parametrize("name", registry.HEADS)
def test_every_head_is_a_classifier_that_can_be_cloned(name: str) -> None:
    data = examples(noise=0.3)
    head = registry.HEADS[name]
    built = head.build(head.default_params, 0)
    assert clone(built).get_params() == built.get_params()
    found = trained(name, data).classifier
    probabilities = found.predict_proba(data.originals)
    assert probabilities.shape == (36, 3)
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert found.classes_.tolist() == [0, 1, 2]
    if name != "dummy":
        assert (probabilities.argmax(axis=1) == data.y).all()


@pytest.mark.parametrize("name", registry.HEADS)
def test_same_seed_same_head(name: str) -> None:
    data = examples(noise=2.0)
    one, two = (trained(name, data, seed=5, epochs=4).classifier for _ in range(2))
    assert np.array_equal(one.predict_proba(data.originals), two.predict_proba(data.originals))


def test_settings_are_those_of_the_grid_less_what_is_fixed() -> None:
    head = registry.HEADS["rbf-svm"]
    assert len(head.param_candidates({})) == 4
    fixed = head.param_candidates({"C": 1.5})
    assert [found["C"] for found in fixed] == [1.5, 1.5]
    assert {found["gamma"] for found in fixed} == {0.5, 2.0}
    assert registry.HEADS["dense"].parsed("hidden", "256,128") == (256, 128)
    with pytest.raises(InputError, match=r"The option C is '3'\. Expected a value like 10\.0"):
        head.param_candidates({"C": "3"})
    with pytest.raises(InputError, match=r"dropout is 'half'\. Expected a value like 0\.5"):
        registry.HEADS["dense"].parsed("dropout", "half")


def test_the_best_setting_is_chosen_on_inner_folds() -> None:
    data = examples(noise=1.5)
    head = registry.HEADS["knn"]
    # With as many neighbours as images, everything is near everything.
    candidates = [{"n_neighbors": 24}, {"n_neighbors": 5}]
    spoiled = Examples(data.X, data.y, data.units)
    found = train(head, spoiled, candidates=candidates, metric=METRICS["log-loss"], seed=0)
    scores = {}
    for settings in candidates:
        one = train(head, data, candidates=[settings], metric=METRICS["log-loss"], seed=0)
        assert one.out_of_fold is not None
        scores[settings["n_neighbors"]] = METRICS["log-loss"].score(data.y, one.out_of_fold)
    assert found.settings["n_neighbors"] == min(scores, key=scores.__getitem__)


def test_out_of_fold_probabilities_are_by_models_that_did_not_see_the_image() -> None:
    data = examples(noise=0.2, copies=0)
    data.y[0] = 2  # a wrong label, which a model can only have learned by heart
    found = trained("knn", data, n_neighbors=1)
    assert found.out_of_fold is not None
    assert found.out_of_fold[0].argmax() == 0
    by_heart = found.classifier.predict_proba(data.originals)
    assert by_heart[0].argmax() == 2


def test_few_images_are_enough(caplog: pytest.LogCaptureFixture) -> None:
    data = examples(noise=0.3)
    two = trained("knn", data.take(np.array([0, 1, 12, 13, 24, 25])))
    assert two.out_of_fold is not None and two.settings["n_neighbors"] in (1, 5)  # 15 are not there
    assert not caplog.records
    one = trained("logreg", data.take(np.array([0, 12, 24])))
    assert one.settings["C"] == 10.0 and one.out_of_fold is None
    assert "Some class has one image to train on" in caplog.text
    assert (one.classifier.predict(data.originals) == data.y).mean() > 0.8


def test_unknown_heads_are_named() -> None:
    with pytest.raises(InputError, match="Unknown head 'svm'"):
        registry.get_head("svm")


# Calibration --------------------------------------------------------------------------------


def test_temperature_is_found_and_lowers_log_loss() -> None:
    random = np.random.default_rng(0)
    scores = random.normal(size=(4000, 3))
    chances = np.exp(2 * scores) / np.exp(2 * scores).sum(axis=1, keepdims=True)
    y = np.array([random.choice(3, p=row) for row in chances])
    assert best_inverse_temperature(scores, y) == pytest.approx(2, rel=0.1)
    assert best_inverse_temperature(10 * scores, y) == pytest.approx(0.2, rel=0.1)


def test_margins_of_two_classes_become_two_scores() -> None:
    data = examples(classes=2, noise=1.5, copies=0)
    fitted = LinearSVC().fit(data.originals, data.y)
    scaled = TemperatureScaled.of(fitted, 3.0)
    margins = fitted.decision_function(data.originals)
    assert np.allclose(scaled.predict_proba(data.originals)[:, 1], 1 / (1 + np.exp(-3 * margins)))
    assert np.array_equal(scaled.predict(data.originals), fitted.predict(data.originals))
    assert clone(TemperatureScaled(LinearSVC(), 3.0)).fit(data.originals, data.y).classes_.size == 2


def test_svms_are_calibrated_on_images_they_have_not_seen() -> None:
    random = np.random.default_rng(1)
    data = examples(classes=2, each=150, noise=4.0, copies=0)
    half = random.permutation(300)
    found = trained("linear-svm", data.take(half[:150]))
    test = data.take(half[150:])
    calibrated = compute_scores(test.y, found.classifier.predict_proba(test.originals))
    raw = TemperatureScaled.of(found.classifier.estimator_, 20.0)
    assert calibrated.log_loss < compute_scores(test.y, raw.predict_proba(test.originals)).log_loss
    assert calibrated.calibration_error < 0.15


# The exact reduction ------------------------------------------------------------------------


def wide() -> Examples:
    return examples(classes=4, each=10, width=3000, noise=3.0)


def test_row_space_keeps_products() -> None:
    X = wide().X.reshape(80, 3000)
    Z = RowSpace(X).Z
    assert Z.shape[1] <= 80
    assert np.allclose(Z @ Z.T, X.astype(float) @ X.T.astype(float), atol=1e-6)
    twice = RowSpace(np.concatenate([X, X])).Z
    assert twice.shape[1] <= 80


@pytest.mark.parametrize(
    "classifier",
    [
        LogisticRegression(C=10, tol=1e-8, max_iter=10000, solver="newton-cg"),
        LinearSVC(C=1, tol=1e-8, max_iter=100000),
    ],
    ids=["logreg", "linear-svm"],
)
def test_decision_values_are_equal(classifier: object) -> None:
    data = wide()
    X = data.X.reshape(80, 3000).astype(float)
    y = np.repeat(data.y, 2)
    new = normalize(np.random.default_rng(9).normal(size=(25, 3000)))
    space = RowSpace(X)
    direct = clone(classifier).fit(X, y)
    reduced = space.widen(clone(classifier).fit(space.Z, y))
    for rows in (X, new):
        one, two = direct.decision_function(rows), reduced.decision_function(rows)
        assert np.abs(one - two).max() <= 1e-4 * np.abs(one).max()


@pytest.mark.parametrize("name", ["lda", "logreg", "linear-svm"])
def test_linear_heads_take_the_row_space_and_give_back_wide_models(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = wide()
    assert data.is_wide
    reduced, _ = data.in_row_space()
    assert reduced.reduced_from == 3000 and not reduced.is_wide
    found = trained(name, data)
    assert found.classifier.estimator_.coef_.shape == (4, 3000)
    assert found.classifier.predict_proba(data.originals).shape == (40, 4)
    if name != "lda":
        monkeypatch.setattr(training, "_WIDE", 10**9)
        tol = {"tol": 1e-8}
        plain = trained(name, data, **tol).classifier.predict_proba(data.originals)
        assert np.abs(plain - found.classifier.predict_proba(data.originals)).max() < 0.02


# The network --------------------------------------------------------------------------------


def test_network_is_trained_as_keras_trains_it() -> None:
    from featx import backend

    data = examples(noise=3.0)
    X, y = data.originals[:-8], data.y[:-8]  # of the last class there are fewer
    settings = {"hidden": (8,), "l2": 1e-2, "class_weight": "balanced", "learning_rate": 1e-2}
    head = DenseClassifier(**settings, batch_size=8, epochs=4).fit(X, y)
    inside, outside = head._inner_split(y, None)
    network = head._build(X.shape[1])
    adam = backend.keras().optimizers.Adam(1e-2)
    network.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
    weights = dict(enumerate(len(inside) / (3 * np.bincount(y[inside]))))
    random = np.random.default_rng(0)
    random.permutation(inside)
    for epoch in range(4):
        order = random.permutation(inside)
        for start in range(0, len(order), 8):
            rows = order[start : start + 8]
            network.train_on_batch(X[rows], y[rows], class_weight=weights)
        found = network.test_on_batch(X[outside], y[outside], return_dict=True)
        for name, value in found.items():
            assert head.history_[f"val_{name}"][epoch] == pytest.approx(float(value), rel=1e-4)
    assert np.argmin(head.history_["val_loss"]) == 3  # so its weights are the last
    for own, theirs in zip(head.model_.get_weights(), network.get_weights(), strict=True):
        assert np.allclose(own, theirs, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("patience", -1),
        ("learning_rate", np.nan),
        ("dropout", 1.0),
        ("l2", -1.0),
        ("hidden", (8, 0)),
    ],
)
def test_parameters_out_of_range_are_named(name: str, value: object) -> None:
    data = examples()
    with pytest.raises(ValueError, match=f"{name} is .*; expected"):
        DenseClassifier(**{name: value}).fit(data.originals, data.y)


def test_network_stops_early_and_keeps_its_curves() -> None:
    data = examples(noise=5.0)
    X, y = data.X.reshape(-1, 40), np.repeat(data.y, 2)
    head = DenseClassifier(
        hidden=(64,), dropout=0.2, learning_rate=1e-2, patience=2, epochs=60
    ).fit(X, y, groups=np.repeat(data.units, 2))
    assert set(head.history_) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert 1 < len(head.history_["loss"]) < 60
    saved, described = head.to_bytes()
    again = DenseClassifier.from_bytes(saved, described)
    assert np.array_equal(again.predict_proba(X), head.predict_proba(X))
    assert again.get_params() == head.get_params()


def test_network_holds_out_whole_images(monkeypatch: pytest.MonkeyPatch) -> None:
    head = DenseClassifier()
    head.classes_ = np.arange(3)
    groups = np.repeat(np.arange(36), 4)
    inside, outside = head._inner_split(np.repeat(np.arange(3), 48), groups)
    assert len(outside) and not len(np.intersect1d(groups[inside], groups[outside]))


def test_network_files_with_other_weights_are_refused() -> None:
    from safetensors.numpy import load, save

    data = examples()
    head = DenseClassifier(hidden=(8,), epochs=1).fit(data.originals, data.y)
    saved, described = head.to_bytes()
    tensors = load(saved)
    kernel = tensors["dense_1/kernel"]
    for changes, message in (
        ({"dense_2/kernel": kernel}, "weights of the shapes"),
        ({"dense_1/kernel": kernel[:3]}, "weights of the shapes"),
        ({"dense_1/kernel": np.full_like(kernel, np.nan)}, "not all finite"),
    ):
        with pytest.raises(CorruptError, match=message):
            DenseClassifier.from_bytes(save(tensors | changes), described)
    wide = described | {"parameters": described["parameters"] | {"hidden": [1 << 40]}}
    with pytest.raises(CorruptError, match="weights of the shapes"):
        DenseClassifier.from_bytes(saved, wide)
    with pytest.raises(CorruptError, match="cannot be read"):
        DenseClassifier.from_bytes(saved[:-1], described)


def test_class_scores_are_margins_or_else_logarithms_of_probabilities() -> None:
    data = examples(copies=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = LogisticRegression().fit(data.originals, data.y)
    found = decision_scores(fitted, data.originals)
    assert np.allclose(softmax(found, axis=1), fitted.predict_proba(data.originals))
    near = KNeighborsClassifier(3).fit(data.originals, data.y)
    expected = np.log(np.maximum(near.predict_proba(data.originals), 1e-6))
    assert np.allclose(decision_scores(near, data.originals), expected)


def test_inner_folds_keep_copies_and_units_together(monkeypatch: pytest.MonkeyPatch) -> None:
    data = examples()
    data.units[:] = np.arange(36) // 2
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    original = splits.folds

    def spy(*arguments: object) -> list[tuple[np.ndarray, np.ndarray]]:
        seen.extend(original(*arguments))  # type: ignore[arg-type]
        return seen

    monkeypatch.setattr(splits, "folds", spy)
    trained("logreg", data)
    assert seen
    for inside, outside in seen:
        assert not len(np.intersect1d(data.units[inside], data.units[outside]))


_TRAINS = """
import sys
import numpy as np
from featx.heads import registry, training
from featx.metrics import METRICS
random = np.random.default_rng(0)
y = np.arange(120) % 4
X = random.normal(size=(120, 1, int(sys.argv[2]))) + 0.1 * y[:, None, None]
X /= np.linalg.norm(X, axis=2, keepdims=True)
data = training.Examples(X.astype(np.float32), y, np.arange(120))
head = registry.HEADS[sys.argv[1]]
found = training.train(
    head,
    data,
    candidates=head.param_candidates({}),
    metric=METRICS["accuracy"],
    seed=0,
    out_of_fold=True,
)
with training.one_thread():
    again = found.classifier.predict_proba(data.originals)
print(found.settings, found.out_of_fold.tobytes().hex(), again.tobytes().hex())
"""


@pytest.mark.parametrize(
    ("name", "width"),
    [("lda", 800), ("logreg", 3000), ("hist-gradient-boosting", 40)],
    ids=["lda", "logreg in the row space", "hist-gradient-boosting"],
)
def test_the_number_of_threads_changes_nothing(name: str, width: int) -> None:
    found = []
    for count in ("1", "2"):
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), count),
        }
        command = [sys.executable, "-c", _TRAINS, name, str(width)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
        found.append(done.stdout)
    assert found[0] and found[0] == found[1]
