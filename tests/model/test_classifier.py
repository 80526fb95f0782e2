"""A classifier of scikit-learn over images, and a loaded model as one."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generated import TINY, class_folders, tiny_models
from sklearn.base import clone, is_classifier
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks
from tabular import RowClassifier

import featx

SMALL = {"weights": "random", "size": 32}
QUICK = {"head": "nearest-centroid", "view": "avg", **SMALL}

#: What scikit-learn checks and images cannot have.
CANNOT = {
    "check_class_weight_classifiers": "heads take the class weight 'balanced' alone",
}


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    return sorted(class_folders(tmp_path / "photos", 6).rglob("*.png"))


@pytest.fixture
def labels(photos: list[Path]) -> list[str]:
    return [path.parent.name for path in photos]


# On images that are made of the rows of scikit-learn's tables: see tests/support/tabular.py.
@parametrize_with_checks([RowClassifier(**QUICK)], expected_failed_checks=lambda estimator: CANNOT)
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def test_it_fits_what_featx_fit_fits(photos: list[Path], labels: list[str], tmp_path: Path) -> None:
    featx.extract(tmp_path / "photos", tmp_path / "f.h5", **TINY)
    fitted = featx.fit(tmp_path / "f.h5", tmp_path / "m.featx", head="logreg")
    digests = set(fitted.model.trained_on)
    import hashlib

    trained = [p for p in photos if hashlib.sha256(p.read_bytes()).hexdigest() in digests]
    classifier = featx.ImageClassifier("logreg", **SMALL)
    classifier.fit(trained, [path.parent.name for path in trained])
    assert np.allclose(
        classifier.predict_proba(photos), fitted.model.predict_proba(photos), atol=1e-6
    )


def test_a_saved_classifier_is_a_model(
    photos: list[Path], labels: list[str], tmp_path: Path
) -> None:
    classifier = featx.ImageClassifier(**QUICK).fit(photos, labels)
    path = classifier.save(tmp_path / "model.featx")
    model = featx.load(path)
    assert np.array_equal(model.predict_proba(photos), classifier.predict_proba(photos))
    assert featx.verify(path).problems == []
    assert featx.score(path, photos, tmp_path / "scores.csv").ok == len(photos)
    with pytest.raises(featx.InputError, match="exists"):
        classifier.save(path)
    classifier.save(path, overwrite=True)


def test_the_best_head_is_chosen(photos: list[Path], labels: list[str]) -> None:
    classifier = featx.ImageClassifier(heads=("lda", "nearest-centroid"), **SMALL)
    assert classifier.fit(photos, labels).leaderboard_.choice.head == classifier.model_.head_name
    assert classifier.score(photos, labels) == 1


def test_labels_keep_their_type(photos: list[Path]) -> None:
    y = np.repeat([10, 2, 7], 6)
    classifier = featx.ImageClassifier(**QUICK).fit(photos, y)
    assert classifier.classes_.tolist() == [2, 7, 10]
    assert classifier.predict(photos).tolist() == y.tolist()
    assert classifier.model_.classes == ("2", "7", "10")


def test_a_search_over_heads(photos: list[Path], labels: list[str], tmp_path: Path) -> None:
    classifier = featx.ImageClassifier(cache=tmp_path / "f.h5", **QUICK)
    grid = {"head": ["lda", "nearest-centroid"], "view": ["avg", "max"]}
    search = GridSearchCV(classifier, grid, cv=3, error_score="raise").fit(photos, labels)
    assert search.best_score_ == 1
    with featx.Cache.open(tmp_path / "f.h5") as cache:
        assert len(cache.removed) == len(photos)


def test_it_votes_with_others(photos: list[Path], labels: list[str]) -> None:
    heads = ("lda", "nearest-centroid")
    one, two = (featx.ImageClassifier(head, view="avg", **SMALL) for head in heads)
    vote = VotingClassifier([("one", one), ("two", two)], voting="soft")
    assert vote.fit(photos, labels).score(photos, labels) == 1


def test_wrong_inputs_say_what_is_wrong(photos: list[Path], labels: list[str]) -> None:
    classifier = featx.ImageClassifier(**QUICK)
    with pytest.raises(NotFittedError):
        classifier.predict(photos)
    with pytest.raises(featx.InputError, match="one class"):
        classifier.fit(photos[:6], labels[:6])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        classifier.fit(photos, labels[:-1])
    with pytest.raises(featx.InputError, match="with another label"):
        classifier.fit([*photos, photos[0]], [*labels, "red"])
    with pytest.raises(featx.InputError, match="Unknown head 'svm'"):
        featx.ImageClassifier("svm", **SMALL).fit(photos, labels)
    with pytest.raises(featx.InputError, match="Options belong to a head"):
        featx.ImageClassifier(options={"C": 1.0}, **SMALL).fit(photos, labels)


def test_labels_that_are_missing_are_named(photos: list[Path], labels: list[str]) -> None:
    for missing in (None, float("nan")):
        with pytest.raises(featx.InputError, match="The label at index 2"):
            featx.ImageClassifier(**QUICK).fit(photos, [*labels[:2], missing, *labels[3:]])


def test_whole_numbers_of_pandas_stay_whole(photos: list[Path]) -> None:
    pd = pytest.importorskip("pandas")
    y = pd.Series(np.repeat([0, 1, 2], 6), dtype="Int64")
    assert featx.ImageClassifier(**QUICK).fit(photos, y).model_.classes == ("0", "1", "2")


def test_all_heads_and_whole_options(photos: list[Path], labels: list[str]) -> None:
    classifier = featx.ImageClassifier(heads="nearest-centroid", **SMALL).fit(photos, labels)
    assert classifier.model_.head_name == "nearest-centroid"
    classifier = featx.ImageClassifier("logreg", options={"C": 2}, **SMALL).fit(photos, labels)
    assert classifier.model_.settings["C"] == 2.0


def test_a_model_of_images_in_a_program_says_so(
    photos: list[Path], labels: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for cache in (None, tmp_path / "own.h5"):
        path = (
            featx.ImageClassifier("logreg", view="avg", cache=cache, **SMALL)
            .fit(photos[::2], labels[::2])
            .save(tmp_path / "m.featx", overwrite=True)
        )
        for use in (featx.finetune, featx.report):
            with pytest.raises(featx.InputError, match="images that a Python program gave"):
                use(path, tmp_path / "out.html")
    for use in (featx.compare, featx.audit, lambda path: featx.fit(path, tmp_path / "o.featx")):
        with pytest.raises(featx.InputError, match="lists no images; 9 that"):
            use(tmp_path / "own.h5")
    for use in (
        lambda path: featx.finetune(tmp_path / "m.featx", tmp_path / "t.featx", path),
        lambda path: featx.write_features(path, tmp_path / "x.npz"),
    ):
        with pytest.raises(featx.InputError, match="lists no images"):
            use(tmp_path / "own.h5")
    with pytest.raises(featx.InputError, match="The source lists no images"):
        featx.extract(featx.scan(tmp_path / "photos").take(np.arange(0)), tmp_path / "e.h5")
    with pytest.raises(featx.InputError, match="lists no images"):
        featx.score(path, tmp_path / "own.h5", tmp_path / "s.csv")
    featx.extract(tmp_path / "photos", tmp_path / "own.h5", weights="random", size=32)
    assert featx.finetune(path, tmp_path / "t.featx", tmp_path / "own.h5", epochs=1).out.exists()


# A loaded model ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models(tmp_path_factory.mktemp("models"), 6, "lda")


def test_a_model_is_an_estimator(folder: Path) -> None:
    model = featx.load(folder / "lda.featx")
    paths = sorted((folder / "photos").rglob("*.png"))
    y = [path.parent.name for path in paths]
    assert is_classifier(model) and model.get_params()["head"] == "lda"
    fresh = clone(model)
    assert isinstance(fresh, featx.ImageClassifier) and not hasattr(fresh, "model_")
    assert fresh.get_params() == model.get_params()
    assert cross_val_score(model, paths, y, cv=3, error_score="raise").mean() == 1
    pipeline = Pipeline([("model", model)])
    assert pipeline.score(paths, y) == 1
    search = GridSearchCV(model, {"view": ["avg", "max"]}, cv=2, error_score="raise")
    assert search.fit(paths, y).best_score_ == 1


def test_a_model_is_fitted_anew(folder: Path) -> None:
    model = featx.load(folder / "lda.featx")
    paths = sorted((folder / "photos").rglob("*.png"))
    y = ["red" if path.parent.name == "red" else "other" for path in paths]
    before = model.digest
    assert model.fit(paths, y) is model
    assert list(model.classes_) == ["other", "red"] and model.digest != before
    assert model.score(paths, y) == 1
    assert pickle.loads(pickle.dumps(model)).score(paths, y) == 1
    with pytest.raises(featx.InputError, match="not saved"):
        featx.score(model, paths, folder / "none.csv")


def test_labels_of_a_model_are_texts_one_for_each_image(folder: Path) -> None:
    model = featx.load(folder / "lda.featx")
    paths = sorted((folder / "photos").rglob("*.png"))[:3]
    assert model.score(paths, np.array([["blue"]] * 3)) == 1
    with pytest.raises(featx.InputError, match="A label is 0"):
        model.score(paths, [0, 0, 0])
    with pytest.raises(featx.InputError, match="3 images and 1 labels"):
        model.score(paths, ["blue"])


def test_heads_can_be_searched_from_a_model(folder: Path) -> None:
    paths = sorted((folder / "photos").rglob("*.png"))
    grid = {"head": ["lda", "logreg", "nearest-centroid"]}
    search = GridSearchCV(featx.load(folder / "lda.featx"), grid, cv=2, error_score="raise")
    assert search.fit(paths, [path.parent.name for path in paths]).best_score_ == 1


def test_parameters_of_a_model_are_fixed(folder: Path) -> None:
    model = featx.load(folder / "lda.featx")
    assert model.set_params() is model
    with pytest.raises(featx.InputError, match=r"sklearn\.base\.clone"):
        model.set_params(head="logreg")


def test_a_clone_keeps_what_the_view_sees(tmp_path: Path) -> None:
    class_folders(tmp_path / "photos", 6)
    featx.extract(tmp_path / "photos", tmp_path / "f.h5", weights="random", size=(32, 64),
                  mirror=True, layers=("block4_conv1", "block5_conv3"))  # fmt: skip
    model = featx.fit(tmp_path / "f.h5", tmp_path / "m.featx", head="ridge", view="layers").model
    paths = sorted((tmp_path / "photos").rglob("*.png"))
    fitted = clone(model).fit(paths, [path.parent.name for path in paths])
    assert fitted.model_.view.pooled == model.view.pooled
    assert fitted.model_.fingerprint == model.fingerprint


def test_a_tuned_model_has_no_clone(folder: Path) -> None:
    tuned = featx.finetune(
        folder / "lda.featx", folder / "tuned.featx", unfreeze=1, epochs=1, force=True
    ).model
    with pytest.raises(featx.InputError, match="fine-tuned"):
        clone(tuned)
