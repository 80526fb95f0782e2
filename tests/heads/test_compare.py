import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from generated import TINY, write_image
from scipy import stats
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from toywork import cluster_of

import featx
from featx import metrics
from featx.dataset import splits
from featx.errors import InputError
from featx.heads import crossval, leaderboard, registry, training
from featx.heads.entry import rank_entries
from featx.heads.leaderboard import rank
from featx.heads.settings import CompareSettings
from featx.heads.training import Examples
from featx.heads.written import write_result
from featx.network.views import make_view

QUICK = ("nearest-centroid", "lda", "logreg")


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache of two classes that are hard to tell apart, with three copies each."""
    root = tmp_path_factory.mktemp("compare")
    for hue, name in enumerate(("blue", "green")):
        for number in range(20):
            path = write_image(
                root / "photos" / name / f"{number}.png", 100 * hue + number, number % 3
            )
            if number % 4 == 0:
                write_image(path, 100 * hue + number, 2 * hue)
    featx.extract(root / "photos", root / "f.h5", copies=3, **TINY)
    return root / "f.h5"


@pytest.fixture(scope="module")
def board(features: Path) -> leaderboard.CompareResult:
    return featx.compare(features, heads=QUICK, folds=4, repeats=2)


def test_entries_are_ranked_and_tied(board: leaderboard.CompareResult) -> None:
    scores = [entry.score for entry in board.entries]
    assert scores == sorted(scores, reverse=True)
    assert {entry.head for entry in board.entries} == {*QUICK, "dummy"}
    assert board.entries[0].tied
    tied = [entry for entry in board.entries if entry.tied]
    assert board.choice in tied
    assert board.choice.log_loss == min(e.log_loss for e in tied if e.head != "dummy")
    assert (board.folds, board.repeats, board.images) == (4, 2, 40)
    for entry in board.entries:
        assert entry.fit_seconds > 0 and entry.score_seconds > 0 and entry.ci95_half_width >= 0


def test_out_of_fold_probabilities_are_one_a_image(board: leaderboard.CompareResult) -> None:
    for entry in board.entries:
        assert entry.out_of_fold is not None
        assert entry.out_of_fold.shape == (40, 2)
        assert np.allclose(entry.out_of_fold.sum(axis=1), 1)


def test_interval_is_nadeau_and_bengios() -> None:
    values = np.array([0.8, 0.9, 0.85, 0.95, 0.9])
    expected = stats.t.ppf(0.975, 4) * np.sqrt((1 / 5 + 1 / 4) * values.var(ddof=1))
    assert metrics.corrected_half_width(values, 1 / 4) == pytest.approx(expected)


def test_same_seed_same_board(features: Path, board: leaderboard.CompareResult) -> None:
    again = featx.compare(features, heads=QUICK, folds=4, repeats=2)
    assert [e.score for e in again.entries] == [e.score for e in board.entries]
    assert again.choice.head == board.choice.head
    other = featx.compare(features, heads=("lda",), folds=4, repeats=2, seed=1)
    mine = next(entry for entry in board.entries if entry.head == "lda")
    assert not np.array_equal(other.entries[0].out_of_fold, mine.out_of_fold)


def test_the_backend_that_the_caller_chose_does_the_folds(
    features: Path, board: leaderboard.CompareResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    here: list[str] = []
    done = crossval._outcome
    monkeypatch.setattr(crossval, "_outcome", lambda *given: here.append("") or done(*given))
    with joblib.parallel_config("threading", n_jobs=2):
        again = featx.compare(features, heads=QUICK, folds=4, repeats=2)
    assert len(here) == 4 * 4 * 2  # with the dummy, in threads of this process, and in no other one
    assert [e.score for e in again.entries] == [e.score for e in board.entries]


@pytest.mark.slow
def test_a_dask_cluster_does_the_folds(
    features: Path, board: leaderboard.CompareResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(crossval, "_outcome", None)  # in this process
    with (
        cluster_of(2) as cluster,
        distributed.Client(cluster.address),
        joblib.parallel_config("dask"),
    ):
        again = featx.compare(features, heads=QUICK, folds=4, repeats=2)
        where = {"backend": "dask", "scheduler": cluster.address}
        named = featx.compare(features, heads=QUICK, folds=4, repeats=2, **where)
    assert [e.score for e in again.entries] == [e.score for e in board.entries]
    assert [e.score for e in named.entries] == [e.score for e in board.entries]
    with pytest.raises(InputError, match="needs the address of a scheduler"):
        featx.compare(features, backend="dask")


def test_scores_are_those_of_training_on_each_fold(features: Path) -> None:
    """Do by hand what rank does, for one head."""
    found = featx.compare(features, heads=("lda",), folds=4).entries[0]
    with featx.Cache.open(features) as cache:
        images = np.arange(40)
        units = splits.leakage_groups(cache.catalog, cache.digests)
        view = make_view("avgmax", cache.fingerprint)
        data = crossval.examples_of(cache, view, images, units)
    head, scores = registry.HEADS["lda"], []
    assert data.is_wide  # 160 rows of 1,024 columns: compared in the space that all of them span
    data = data.in_row_space()[0]
    for inside, outside in splits.folds(data.y, data.units, 4, 0):
        fitted = training.train(
            head, data.take(inside), candidates=head.param_candidates({}),
            metric=metrics.METRICS["accuracy"], seed=0,
        )  # fmt: skip
        with training.one_thread():
            probabilities = fitted.classifier.predict_proba(data.originals[outside])
        assert np.array_equal(found.out_of_fold[outside], probabilities)
        scores.append((probabilities.argmax(axis=1) == data.y[outside]).mean())
    assert found.head == "lda" and found.score == np.mean(scores)


class Memory(ClassifierMixin, BaseEstimator):
    """A nearest neighbour: it knows what it has seen, and guesses the rest."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> "Memory":
        self.X_, self.y_, self.classes_ = X, y, np.unique(y)
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        nearest = (X @ self.X_.T).argmax(axis=1)
        return np.eye(len(self.classes_))[self.y_[nearest]]


def right(fitted: Memory, X: np.ndarray, y: np.ndarray) -> float:
    return float((fitted.predict_proba(X).argmax(axis=1) == y).mean())


def test_a_planted_leak_inflates_what_the_honest_split_reports() -> None:
    """Labels are random: nothing can be learned, but copies of an image look alike."""
    random = np.random.default_rng(0)
    images, each = 120, 4
    originals = random.normal(size=(images, 1, 64))
    X = originals + 0.1 * random.normal(size=(images, each, 64))
    X /= np.linalg.norm(X, axis=2, keepdims=True)
    y = random.permutation(np.arange(images) % 2)
    data = Examples(X.astype(np.float32), y, np.arange(images))
    head = registry.from_estimator(Memory())
    honest = []
    for inside, outside in splits.folds(data.y, data.units, 5, 0):
        fitted = training.train(
            head, data.take(inside), candidates=[{}], metric=metrics.METRICS["accuracy"], seed=0
        ).classifier
        honest.append(right(fitted, data.originals[outside], y[outside]))
    rows, labels = data.X.reshape(-1, 64), np.repeat(y, each)
    leaking = [
        right(Memory().fit(rows[a], labels[a]), rows[b], labels[b])
        for a, b in StratifiedKFold(5, shuffle=True, random_state=0).split(rows, labels)
    ]
    assert np.mean(honest) < 0.65
    assert np.mean(leaking) > 0.95


class Broken(ClassifierMixin, BaseEstimator):
    def fit(self, X: np.ndarray, y: np.ndarray) -> "Broken":
        raise RuntimeError("out of order")

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        raise NotImplementedError


def test_own_estimators_are_compared_and_a_failure_is_a_row(features: Path) -> None:
    found = featx.compare(
        features, heads=("lda",), estimators={"mine": GaussianNB(), "broken": Broken()}, folds=3
    )
    rows = {entry.head: entry for entry in found.entries}
    assert rows["mine"].score > 0
    assert rows["broken"].error == "RuntimeError: out of order"
    assert found.entries[-1].head == "broken" and not rows["broken"].tied
    assert rows["broken"].as_dict()["score"] is None
    row = rows["mine"].as_dict()
    assert row["ci95_half_width"] == row["half_width"] == round(rows["mine"].half_width, 6)


class Narrow(Memory):
    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return np.ones((len(X), 3)) / 3  # of two classes


def test_own_estimators_are_checked(features: Path) -> None:
    found = featx.compare(features, heads=("lda",), estimators={"narrow": Narrow()}, folds=3)
    assert found.entries[-1].head == "narrow" and found.entries[-1].error
    with pytest.raises(InputError, match="The name 'lda' is that of a head of the table"):
        featx.compare(features, estimators={"lda": GaussianNB()})


def test_scikit_learn_heads_need_no_framework(features: Path, tmp_path: Path) -> None:
    (tmp_path / "torch.py").touch()  # scikit-learn's list of estimators imports what it finds
    code = (
        "import sys, featx\n"
        "if __name__ == '__main__':\n"
        "    featx.compare(sys.argv[1], heads=('lda', 'rbf-svm'), folds=3)\n"
        "    featx.fit(sys.argv[1], sys.argv[2], heads=('lda', 'logreg'), folds=3)\n"
        "    featx.load(sys.argv[2])\n"
        "    names = ('tensorflow', 'keras', 'torch')\n"
        "    print([name for name in names if name in sys.modules])\n"
    )
    command = [sys.executable, "-c", code, str(features), str(tmp_path / "m.featx")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == "[]"


def test_views_and_options(features: Path) -> None:
    found = featx.compare(
        features, heads=("lda", "knn"), views=("max", "avg"), folds=3,
        options={"knn": {"n_neighbors": 2}},
    )  # fmt: skip
    keys = {(entry.head, entry.view) for entry in found.entries}
    assert keys == {
        ("dummy", "avg"),
        ("lda", "avg"),
        ("lda", "max"),
        ("knn", "avg"),
        ("knn", "max"),
    }
    chosen = [entry.settings for entry in found.entries if entry.head == "knn"]
    assert chosen == [{"n_neighbors": 2}] * 2


def test_the_dummy_is_never_chosen_and_a_tie_with_it_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(24):
        write_image(tmp_path / "photos" / "ab"[number % 2] / f"{number}.png", number)
    featx.extract(tmp_path / "photos", tmp_path / "f.h5", **TINY)
    found = featx.compare(tmp_path / "f.h5", heads=("lda", "nearest-centroid"), folds=3)
    assert found.choice.head in ("lda", "nearest-centroid")
    assert "No head can be told from one that ignores the images" in caplog.text
    with pytest.raises(InputError, match="No head but the dummy was compared"):
        featx.compare(tmp_path / "f.h5", heads=("dummy",), folds=3)


def test_a_budget_stops_the_run_and_says_so(features: Path) -> None:
    for budget in (0, 1e-9):
        with pytest.raises(InputError, match=r"No head could be compared.*not finished within"):
            featx.compare(features, heads=("lda",), folds=3, budget=budget)


@pytest.mark.parametrize("metric", metrics.METRICS)
def test_metrics(features: Path, metric: str) -> None:
    found = featx.compare(features, heads=("lda",), folds=3, metric=metric)
    assert np.isfinite(found.entries[0].score)
    assert metrics.METRICS[metric].sign == (-1 if metric == "log-loss" else 1)
    assert found.entries[0].score > 0
    with featx.Cache.open(features) as cache:
        y = cache.catalog.labels
        folds = splits.folds(y, splits.leakage_groups(cache.catalog, cache.digests), 3, 0)
    assert found.entries[0].out_of_fold is not None
    expected = [
        metrics.compute_scores(y[outside], found.entries[0].out_of_fold[outside])
        for _, outside in folds
    ]
    if metric != "roc-auc":
        name = metric.replace("-", "_")
        assert found.entries[0].score == np.mean([getattr(scores, name) for scores in expected])


def test_a_log_loss_is_positive_and_the_lowest_is_first(features: Path, tmp_path: Path) -> None:
    found = featx.compare(features, heads=QUICK, folds=3, metric="log-loss")
    scores = [entry.score for entry in found.entries]
    assert scores == sorted(scores) and 0 < scores[0] < scores[-1]
    assert found.entries[0].tied
    assert [row["score"] for row in found.as_dict()["entries"]] == [round(s, 6) for s in scores]


def test_ties_are_the_same_for_a_metric_and_its_negative() -> None:
    random = np.random.default_rng(0)
    folds = [(np.arange(30), np.arange(10))] * 4
    draws = 0.6 + 0.05 * random.normal(size=(8, 4)) + 0.02 * np.arange(8)[:, np.newaxis]
    ranked = []
    for sign in (1, -1):
        entries = [
            leaderboard.Entry(str(n), "avg", score=float((sign * d).mean()), _draws=sign * d)
            for n, d in enumerate(draws)
        ]
        found = rank_entries(entries, folds, sign)
        ranked.append([(entry.head, entry.tied) for entry in found])
    assert ranked[0] == ranked[1]
    assert {tied for _, tied in ranked[0]} == {True, False}


def split_cache(tmp_path: Path, parts: dict[str, int]) -> Path:
    """Return a cache whose images are in splits, so many of each class."""
    number = 0
    for split, count in parts.items():
        for hue, name in enumerate(("blue", "green")):
            for _ in range(count):
                write_image(tmp_path / "photos" / split / name / f"{number}.png", number, 2 * hue)
                number += 1
    featx.extract(tmp_path / "photos", tmp_path / "f.h5", **TINY)
    return tmp_path / "f.h5"


def test_the_test_split_is_never_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = split_cache(tmp_path, {"train": 8, "val": 3, "test": 4})
    asked: list[Any] = []
    original = featx.Cache.matrix

    def spy(self: featx.Cache, view: Any, *, images: np.ndarray, copies: int | None = None) -> Any:
        asked.append(set(self.catalog.splits[images]))
        return original(self, view, images=images, copies=copies)

    monkeypatch.setattr(featx.Cache, "matrix", spy)
    found = featx.compare(cache, heads=("lda",), repeats=3)
    assert asked and all(some <= {"train", "val"} for some in asked)
    assert found.rule == "trained on the train split, compared on the val split"
    # Trained on train, compared on val: one fold, and an interval all the same.
    assert (found.images, found.folds, found.repeats) == (22, 1, 1)
    assert np.isfinite(found.entries[0].ci95_half_width)
    assert found.entries[0].out_of_fold is not None
    assert np.isnan(found.entries[0].out_of_fold[:16]).all()


def test_features_that_are_not_numbers_are_counted(
    features: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = featx.Cache.matrix

    def spoiled(self: featx.Cache, *arguments: Any, **options: Any) -> Any:
        found = original(self, *arguments, **options)
        found.X[8:12, 3] = np.nan
        return found

    monkeypatch.setattr(featx.Cache, "matrix", spoiled)
    with pytest.raises(InputError, match="1 of 40 images have features that are not finite"):
        featx.compare(features, heads=("lda",))


def test_leaderboards_are_written(board: leaderboard.CompareResult, tmp_path: Path) -> None:
    write_result(board, tmp_path / "b.csv")
    with open(tmp_path / "b.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["head"] for row in rows] == [entry.head for entry in board.entries]
    assert float(rows[0]["score"]) == pytest.approx(board.entries[0].score, abs=1e-6)
    write_result(board, tmp_path / "b.json")
    assert json.loads((tmp_path / "b.json").read_text()) == json.loads(json.dumps(board.as_dict()))
    with pytest.raises(InputError, match=r"ends in \.csv or \.json"):
        write_result(board, tmp_path / "b.txt")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"heads": ("svm",)}, "Unknown head 'svm'"),
        ({"views": ("mean",)}, "Unknown view 'mean'"),
        ({"options": {"logreg": {"C": 1.0}}}, "options of logreg, which is not compared"),
        ({"metric": "mse"}, "Unknown metric 'mse'"),
        ({"folds": 1}, "The number of folds is 1"),
        ({"repeats": 0}, "The number of repeats is 0"),
        ({"class_weight": "even"}, "Unknown class weight 'even'"),
        ({"heads": ("lda",), "options": {"lda": {"C": 1.0}}}, "no option 'C' here"),
    ],
)
def test_wrong_settings(features: Path, settings: dict[str, Any], message: str) -> None:
    with featx.Cache.open(features) as cache, pytest.raises(InputError, match=message):
        rank(cache, np.arange(40), CompareSettings(**settings))


def test_a_system_without_semaphores_does_the_folds_in_one_process(
    features: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = featx.compare(features, heads=("lda", "knn"), folds=2)

    for error in (OSError(38, "Function not implemented"), ImportError("no sem_open")):

        def missing(*_: object, error: BaseException = error) -> None:
            raise error

        monkeypatch.setattr("multiprocessing.context.BaseContext.Semaphore", missing)
        caplog.clear()
        found = featx.compare(features, heads=("lda", "knn"), folds=2)
        assert "no semaphores" in caplog.text
        assert [(entry.head, entry.score) for entry in found.entries] == [
            (entry.head, entry.score) for entry in expected.entries
        ]


@pytest.mark.parametrize("head", ["ridge", "kernel-ridge"])
def test_directions_are_found_on_the_images_that_are_trained_on(features: Path, head: str) -> None:
    """Do by hand what rank does, for a view that is fitted: in each fold, without the others."""
    found = featx.compare(features, heads=(head,), views=("covariance",), folds=4).entries
    entry = next(one for one in found if one.head == head)
    row = registry.HEADS[head]
    with featx.Cache.open(features) as cache:
        images, units = np.arange(40), splits.leakage_groups(cache.catalog, cache.digests)
        for inside, outside in splits.folds(cache.labels, units, 4, 0):
            view = make_view("covariance", cache.fingerprint)
            view = view.fitted(some for _, some in cache.blocks(inside, 0, view))
            data = crossval.examples_of(cache, view, images, units)
            fitted = training.train(
                row, data.take(inside), candidates=row.param_candidates({}),
                metric=metrics.METRICS["accuracy"], seed=0,
            )  # fmt: skip
            with training.one_thread():
                probabilities = fitted.classifier.predict_proba(data.originals[outside])
            assert np.allclose(entry.out_of_fold[outside], probabilities, atol=1e-6)


def test_a_planted_leak_does_not_flatter_left_out_images() -> None:
    """Labels are random, and copies of an image look alike: left out alone, each is known."""
    random = np.random.default_rng(0)
    images, each = 60, 4
    X = random.normal(size=(images, 1, 64)) + 0.1 * random.normal(size=(images, each, 64))
    X = (X / np.linalg.norm(X, axis=2, keepdims=True)).astype(np.float32)
    y = random.permutation(np.arange(images) % 2)
    for name in ("ridge", "kernel-ridge"):
        row = registry.HEADS[name]
        accuracies = []
        for units in (np.arange(images), np.arange(images) // 2):
            data = training.Examples(X, y, units)
            fitted = training.train(
                row, data, candidates=row.param_candidates({}),
                metric=metrics.METRICS["accuracy"], seed=0,
            )  # fmt: skip
            assert fitted.out_of_fold is not None and fitted.out_of_fold.shape == (images, 2)
            accuracies.append((fitted.out_of_fold.argmax(axis=1) == y).mean())
        assert max(accuracies) < 0.7  # chance, and the best of three strengths


def test_rows_of_folds_that_do_not_fit_into_memory_are_made_again(
    features: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = {"heads": ("ridge", "kernel-ridge"), "views": ("covariance",), "folds": 3}
    expected = [entry.score for entry in featx.compare(features, **both).entries]
    monkeypatch.setattr(crossval, "_MOST_KEPT", 1)
    assert [entry.score for entry in featx.compare(features, **both).entries] == expected
