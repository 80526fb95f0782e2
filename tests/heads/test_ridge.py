"""Regularised least squares: leaving out in closed form, kernels, and the file."""

import numpy as np
import pytest

from featx.heads import ridge
from featx.heads.calibration import best_inverse_temperature
from featx.heads.leave_out import left_out, left_out_linear
from featx.heads.ridge import RidgeKernelClassifier


def rows(count: int = 40, width: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of length 1 of three classes that overlap."""
    random = np.random.default_rng(seed)
    y = np.arange(count) % 3
    X = random.normal(size=(3, width))[y] + 1.5 * random.normal(size=(count, width))
    return X / np.linalg.norm(X, axis=1, keepdims=True), y


def problem() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, targets, noise that differs between rows, and units of one to three rows."""
    X, y = rows()
    targets = np.where(y[:, np.newaxis] == np.arange(3), 1.0, -1.0)
    noise = np.random.default_rng(1).uniform(0.005, 0.05, len(X))
    groups = np.concatenate([np.arange(25), [25, 25, 26, 26, 26, 3], np.arange(27, 36)])
    return X, targets, noise, groups


def by_refitting(
    gram: np.ndarray, targets: np.ndarray, noise: np.ndarray, groups: np.ndarray
) -> np.ndarray:
    """Return the predictions for each unit by a fit on all other rows."""
    found = np.empty(targets.shape)
    for unit in np.unique(groups):
        out = groups == unit
        inside = gram[np.ix_(~out, ~out)] + np.diag(noise[~out])
        found[out] = gram[np.ix_(out, ~out)] @ np.linalg.solve(inside, targets[~out])
    return found


def test_leaving_units_out_equals_the_loop_that_refits() -> None:
    X, targets, noise, groups = problem()
    gram = np.exp(-((X[:, np.newaxis] - X) ** 2).sum(axis=2))
    duals, found = left_out(gram, targets, noise, groups)
    assert np.allclose((gram + np.diag(noise)) @ duals, targets, atol=1e-8)
    assert np.abs(found - by_refitting(gram, targets, noise, groups)).max() < 1e-8


def test_many_rows_with_few_columns_give_the_same() -> None:
    X, targets, noise, groups = problem()
    coef, found = left_out_linear(X, targets, noise, groups)
    expected = by_refitting(X @ X.T, targets, noise, groups)
    assert np.abs(found - expected).max() < 1e-8
    duals, _ = left_out(X @ X.T, targets, noise, groups)
    assert np.allclose(coef, duals.T @ X, atol=1e-8)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("width", [12, 80])
def test_scores_of_left_out_rows_are_those_of_a_classifier_without_them(
    kernel: str, width: int
) -> None:
    X, y = rows(width=width)
    fitted = RidgeKernelClassifier(kernel, alpha=0.05).fit(X, y)
    for out in (0, 7):
        rest = np.delete(np.arange(len(X)), out)
        without = RidgeKernelClassifier(kernel, alpha=0.05).fit(X[rest], y[rest])
        # The bandwidth and the steps of 1/127 are those of all rows or of the rest.
        near = 1e-5 if kernel == "linear" else 0.05
        assert np.allclose(without.decision_function(X[[out]]), fitted.left_out_[out], atol=near)


def test_kernels_of_blocks_are_averaged_each_with_its_own_bandwidth() -> None:
    X, y = rows()
    scaled = np.concatenate([X, 100 * X], axis=1)  # one block in another unit
    one = RidgeKernelClassifier(alpha=0.01).fit(X, y)
    two = RidgeKernelClassifier(alpha=0.01).fit(scaled, y, widths=(12, 12))
    assert np.allclose(one.decision_function(X), two.decision_function(scaled), atol=1e-3)


def test_the_strength_is_chosen_by_left_out_units() -> None:
    X, y = rows(150)
    twice, labels = np.repeat(X, 2, axis=0), np.repeat(y, 2)
    random = np.random.default_rng(0)
    labels = random.permutation(labels[::2]).repeat(2)  # nothing can be learned
    units = np.repeat(np.arange(150), 2)
    honest = RidgeKernelClassifier().fit(twice, labels, groups=units)
    cheated = RidgeKernelClassifier().fit(twice, labels)
    assert honest.alpha_ in ridge.ALPHAS
    assert (honest.left_out_.argmax(axis=1) == labels).mean() < 0.5
    assert (cheated.left_out_.argmax(axis=1) == labels).mean() > 0.9  # the twin gives it away


def test_balanced_weights_help_the_rare_class() -> None:
    X, y = rows(120)
    keep = (y != 2) | (np.arange(120) % 5 == 0)
    plain = RidgeKernelClassifier(alpha=0.1).fit(X[keep], y[keep])
    balanced = RidgeKernelClassifier(alpha=0.1, class_weight="balanced").fit(X[keep], y[keep])
    recalled = [(one.predict(X[y == 2]) == 2).mean() for one in (plain, balanced)]
    assert recalled[1] > recalled[0]


def test_very_many_rows_are_approximated_by_landmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = rows(600)
    exact = RidgeKernelClassifier(alpha=0.1).fit(X, y)
    monkeypatch.setattr(ridge, "_EXACT_ROWS", 500)
    monkeypatch.setattr(ridge, "_LANDMARKS", 200)
    near = RidgeKernelClassifier(alpha=0.1).fit(X, y)
    assert near.support_.shape == (200, 12) and near.left_out_.shape == (600, 3)
    other = rows(300, seed=5)[0]
    assert (near.predict(other) == exact.predict(other)).mean() > 0.9


def test_choice_by_some_of_the_rows_takes_whole_units(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = np.repeat(np.arange(50), 3)
    chosen = ridge._some_units(groups, 60, 0)
    assert len(chosen) == 60 and set(np.bincount(groups[chosen])) <= {0, 3}
    monkeypatch.setattr(ridge, "_CHOICE_ROWS", 60)
    X, y = rows(150)
    assert RidgeKernelClassifier().fit(X, y, groups=groups).left_out_.shape == (150, 3)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_bytes_give_the_same_scores(kernel: str) -> None:
    X, y = rows()
    fitted = RidgeKernelClassifier(kernel, alpha=0.01).fit(X, y, widths=(5, 7))
    again = RidgeKernelClassifier.from_bytes(*fitted.to_bytes())
    assert np.allclose(again.decision_function(X), fitted.decision_function(X), atol=1e-5)
    assert np.array_equal(again.predict(X), fitted.predict(X))
    with pytest.raises(ValueError, match="13 columns, expected 12"):
        again.decision_function(np.zeros((1, 13)))


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("support", lambda old: old.astype(np.float32)),
        ("support", lambda old: old[:, :3]),
        ("duals", lambda old: old * np.nan),
        ("medians", lambda old: -old),
        ("widths", lambda old: old + 1),
        ("steps", lambda old: old[:1]),
        ("duals", lambda old: None),
    ],
)
def test_bytes_that_do_not_fit_are_refused(name: str, changed: object) -> None:
    from featx.storage.tensors import load_tensors, save_tensors

    X, y = rows()
    data, described = RidgeKernelClassifier(alpha=0.1).fit(X, y, widths=(5, 7)).to_bytes()
    arrays = load_tensors(data)
    arrays[name] = changed(arrays[name])  # type: ignore[operator]
    kept = {key: array for key, array in arrays.items() if array is not None}
    with pytest.raises(ValueError, match=r"it has|its arrays"):
        RidgeKernelClassifier.from_bytes(save_tensors(kept), described)


def test_a_negative_strength_is_refused() -> None:
    with pytest.raises(ValueError, match="alpha is -1, expected 0"):
        RidgeKernelClassifier(alpha=-1.0).fit(*rows())


def test_rows_that_are_all_the_same_are_no_error() -> None:
    X = np.zeros((6, 4), np.float32)
    fitted = RidgeKernelClassifier(alpha=0.1).fit(X, np.array([0, 1] * 3))
    assert np.isfinite(fitted.decision_function(X)).all()


@pytest.mark.parametrize("each", [5, 10, 20, 200])
def test_no_confidence_beyond_what_so_few_images_support(each: int) -> None:
    """Two classes that are told apart without a mistake: an error is still to be expected."""
    random = np.random.default_rng(0)
    y = np.repeat([0, 1], each)
    centres = np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0]])
    X = centres[y] + 0.05 * random.normal(size=(2 * each, 4))
    fitted = RidgeKernelClassifier().fit(X, y)
    assert np.array_equal(fitted.left_out_.argmax(axis=1), y)
    factor = best_inverse_temperature(fitted.left_out_, y)
    other = centres[np.repeat([0, 1], 100)] + 0.05 * random.normal(size=(200, 4))
    scores = factor * fitted.decision_function(other)
    confidence = (np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)).max(axis=1)
    assert confidence.mean() < 1 - 1 / (2 * each + 2) + 0.02
    assert confidence.mean() > 0.8


def test_calibration_does_not_depend_on_the_scale_of_the_scores() -> None:
    scores, y = np.random.default_rng(0).normal(size=(50, 3)), np.arange(50) % 3
    scores[np.arange(50), y] += 1
    one, other = (best_inverse_temperature(scale * scores + 5, y) for scale in (1, 1000))
    assert one == pytest.approx(1000 * other, rel=1e-3)
    assert best_inverse_temperature(np.zeros((4, 2)), np.array([0, 1, 0, 1])) == 1


@pytest.mark.parametrize("alpha", [np.inf, np.nan])
def test_a_strength_that_is_no_number_is_refused(alpha: float) -> None:
    X, y = np.eye(6, dtype=np.float32), np.arange(6) % 2
    with pytest.raises(ValueError, match="expected 0"):
        RidgeKernelClassifier(alpha=alpha).fit(X, y)
