"""VGG16 as a transformer of scikit-learn."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generated import TINY, class_folders
from PIL import Image
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks
from tabular import RowFeatures

import featx

SMALL = {"weights": "random", "size": 32}


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    return sorted(class_folders(tmp_path / "photos", 6).rglob("*.png"))


@pytest.fixture
def labels(photos: list[Path]) -> list[str]:
    return [path.parent.name for path in photos]


# On images that are made of the rows of scikit-learn's tables: see tests/support/tabular.py.
@parametrize_with_checks([RowFeatures(**SMALL)])
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("pool", ["avg", "max", "avgmax", "flatten", "layers"])
def test_rows_are_those_of_the_cache(photos: list[Path], tmp_path: Path, pool: str) -> None:
    featx.extract(tmp_path / "photos", tmp_path / "f.h5", **TINY)
    with featx.Cache.open(tmp_path / "f.h5") as cache:
        expected = cache.matrix(pool).X
        files = [cache.catalog.file(index) for index in range(len(cache))]
    transformer = featx.ImageFeatures(pool, **SMALL)
    assert np.array_equal(transformer.fit_transform(files), expected)
    names = transformer.get_feature_names_out()
    assert names.shape == (expected.shape[1],) and len(set(names)) == len(names)


def test_directions_of_covariance_are_those_of_the_images_that_it_was_fitted_on(
    photos: list[Path],
) -> None:
    few = featx.ImageFeatures("covariance", **SMALL).fit(photos[:9]).transform(photos)
    all_ = featx.ImageFeatures("covariance", **SMALL).fit(photos).transform(photos)
    assert few.shape == all_.shape and not np.allclose(few, all_)


def test_a_search_over_the_pool_and_a_head(photos: list[Path], labels: list[str]) -> None:
    pipeline = make_pipeline(featx.ImageFeatures(**SMALL), LogisticRegression())
    grid = {"imagefeatures__pool": ["avg", "layers"], "logisticregression__C": [0.1, 10]}
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(photos, labels)
    assert search.best_score_ == 1
    assert set(search.predict(list(map(str, photos)))) == {"blue", "green", "red"}


@pytest.mark.parametrize("backend", [pytest.param("loky", marks=pytest.mark.slow), "threading"])
def test_folds_in_processes_and_threads(
    photos: list[Path], labels: list[str], tmp_path: Path, backend: str
) -> None:
    import joblib

    pipeline = make_pipeline(
        featx.ImageFeatures(cache=tmp_path / "f.h5", **SMALL), PCA(3), LogisticRegression()
    )
    with joblib.parallel_config(backend, n_jobs=2):
        scores = cross_val_score(pipeline, photos, labels, cv=3, error_score="raise")
    one = cross_val_score(pipeline, photos, labels, cv=3)
    assert np.array_equal(scores, one)


def test_folds_are_those_of_a_comparison(photos: list[Path], tmp_path: Path) -> None:
    """A search on the folds of `compare` finds the scores that `compare` finds."""
    class_folders(tmp_path / "lies", 14, lies=4)
    featx.extract(tmp_path / "lies", tmp_path / "f.h5", **TINY)
    models = {f"C={C}": LogisticRegression(C=C) for C in (0.1, 1.0)}
    board = featx.compare(
        tmp_path / "f.h5", heads=("dummy",), views=("avg", "max"), estimators=models
    )
    assert len(board.cv) == board.folds == 5 and len(board.files) == board.images
    pipeline = make_pipeline(featx.ImageFeatures(cache=tmp_path / "f.h5"), LogisticRegression())
    grid = {"imagefeatures__pool": ["avg", "max"], "logisticregression__C": [0.1, 1.0]}
    search = GridSearchCV(pipeline, grid, cv=board.cv, error_score="raise")
    search.fit(board.files, board.y)
    expected = {(entry.view, entry.head): entry.score for entry in board.entries}
    found = search.cv_results_
    for params, score in zip(found["params"], found["mean_test_score"], strict=True):
        key = params["imagefeatures__pool"], f"C={params['logisticregression__C']}"
        assert score == pytest.approx(expected[key], abs=1e-12)
    assert len(set(found["mean_test_score"])) > 1


def test_names_of_columns_and_pandas(photos: list[Path]) -> None:
    pd = pytest.importorskip("pandas")
    transformer = featx.ImageFeatures(**SMALL).set_output(transform="pandas")
    frame = transformer.fit_transform(photos)
    assert isinstance(frame, pd.DataFrame) and frame.shape == (len(photos), 512)
    assert frame.columns[0] == "block5_pool_avg_0"


def test_a_column_of_a_table(photos: list[Path]) -> None:
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame({"photo": list(map(str, photos)), "weight": np.arange(len(photos))})
    columns = make_column_transformer(
        (featx.ImageFeatures(**SMALL), "photo"), ("passthrough", ["weight"])
    )
    assert columns.fit_transform(table).shape == (len(photos), 513)


def test_a_pickle_of_it_gives_the_same_rows(photos: list[Path]) -> None:
    transformer = featx.ImageFeatures("covariance", **SMALL).fit(photos)
    again = pickle.loads(pickle.dumps(transformer))
    assert np.array_equal(again.transform(photos), transformer.transform(photos))


def test_wrong_inputs_say_what_is_wrong(photos: list[Path], tmp_path: Path) -> None:
    with pytest.raises(featx.InputError, match="Unknown view 'mean'"):
        featx.ImageFeatures("mean", **SMALL).fit(photos)
    with pytest.raises(featx.InputError, match="a list of images is expected"):
        featx.ImageFeatures(**SMALL).fit(str(photos[0]))
    with pytest.raises(featx.InputError, match="The image at index 1 is 3"):
        featx.ImageFeatures(**SMALL).fit([photos[0], 3])
    with pytest.raises(featx.InputError, match="multiple of 32"):
        featx.ImageFeatures(size=33, weights="random").fit(photos)
    (tmp_path / "note.h5").write_text("no cache")
    with pytest.raises(featx.FeatxError, match=r"note\.h5"):
        featx.ImageFeatures(cache=tmp_path / "note.h5", **SMALL).fit(photos)


def test_images_that_can_be_gone_through_once_are_refused(photos: list[Path]) -> None:
    with pytest.raises(featx.InputError, match=r"list\(images\)"):
        featx.ImageFeatures(**SMALL).fit_transform(path for path in photos)


def test_open_files_stay_where_they_are(photos: list[Path]) -> None:
    files = [path.open("rb") for path in photos]
    found = featx.ImageFeatures(**SMALL).fit_transform(files)
    assert np.array_equal(found, featx.ImageFeatures(**SMALL).fit(files).transform(files))
    with pytest.raises(featx.InputError, match='Open it with mode "rb"'):
        featx.ImageFeatures(**SMALL).fit([photos[0].open()])


def test_a_column_is_taken_and_a_table_is_not(photos: list[Path]) -> None:
    pd = pytest.importorskip("pandas")
    names = list(map(str, photos))
    expected = featx.ImageFeatures(**SMALL).fit_transform(names)
    table = pd.DataFrame({"path": names, "weight": 1.0})
    for column in (np.array(names)[:, np.newaxis], table[["path"]], table["path"]):
        assert np.array_equal(featx.ImageFeatures(**SMALL).fit_transform(column), expected)
    with pytest.raises(featx.InputError, match="This is a table"):
        featx.ImageFeatures(**SMALL).fit(table)


def test_images_in_memory_are_named(photos: list[Path]) -> None:
    with Image.open(photos[0]) as image:
        hsv = image.convert("HSV")
    with pytest.raises(featx.FeatxError, match="The image at index 1"):
        featx.ImageFeatures(**SMALL).fit_transform([photos[0], hsv])
    with pytest.raises(featx.InputError, match="The image at index 1: An array of float64"):
        featx.ImageFeatures(**SMALL).fit_transform([photos[0], np.zeros((9, 9))])


def test_other_features_than_those_it_was_fitted_on_are_refused(photos: list[Path]) -> None:
    transformer = featx.ImageFeatures(**SMALL).fit(photos)
    assert clone(transformer).get_params() == transformer.get_params()
    transformer.set_params(size=64)
    with pytest.raises(featx.IncompatibleError, match="Fit it again"):
        transformer.transform(photos)


def test_no_images_give_no_rows(photos: list[Path]) -> None:
    transformer = featx.ImageFeatures(**SMALL).fit(photos)
    assert transformer.transform([]).shape == (0, 512)
