"""Fitting and models, over the table of heads."""

import hashlib
import io
import json
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from generated import TINY, class_folders, described, rewritten, without_pools, write_image
from PIL import Image

import featx
from featx.errors import CorruptError, IncompatibleError, InputError, StorageError
from featx.heads import registry
from featx.model import file as model_file


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fit")
    for hue, name in enumerate(("blue", "green", "red")):
        for number in range(10):
            write_image(root / "photos" / name / f"{number}.png", 100 * hue + number, 2 - hue)
    featx.extract(root / "photos", root / "f.h5", copies=1, augment="flip", **TINY)
    return root / "f.h5"


@pytest.mark.parametrize("head", registry.HEADS)
def test_every_head_fits_and_round_trips(features: Path, tmp_path: Path, head: str) -> None:
    options = {"epochs": 15} if registry.HEADS[head].keras else {}
    fitted = featx.fit(features, tmp_path / "m.featx", head=head, options=options)
    assert fitted.test.accuracy == (1 if head != "dummy" else 1 / 3)
    assert (fitted.train_images, fitted.train_rows, fitted.test.images) == (24, 48, 6)
    loaded = featx.load(tmp_path / "m.featx")
    with featx.Cache.open(features) as cache:
        X = cache.matrix(loaded.view).X
    probabilities = loaded.predict_proba_rows(X)
    assert np.array_equal(probabilities, fitted.model.predict_proba_rows(X))
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert loaded.as_dict() == fitted.model.as_dict()


def test_probabilities_of_images_are_those_of_the_cache(features: Path, tmp_path: Path) -> None:
    model = featx.fit(features, tmp_path / "m.featx", head="logreg").model
    with featx.Cache.open(features) as cache:
        paths = [cache.catalog.file(index) for index in range(len(cache))]
        from_cache = model.predict_proba_activations(without_pools(cache.features[:, 0]))
        labels = cache.catalog.labels
    loaded = featx.load(tmp_path / "m.featx")
    from_paths = loaded.predict_proba(paths)
    assert from_paths.shape == (30, 3)
    assert np.allclose(from_paths.sum(axis=1), 1)
    assert np.array_equal(from_paths, from_cache)
    arrays = [np.asarray(Image.open(path)) for path in paths[:3]]
    # The last bits of a product of matrices depend on the number of rows on some processors.
    assert np.allclose(loaded.predict_proba(arrays), from_cache[:3], rtol=1e-9, atol=1e-15)
    assert loaded.classes_.tolist() == ["blue", "green", "red"]
    assert (loaded.predict(paths) == loaded.classes_[labels]).all()
    assert loaded.predict_proba([]).shape == (0, 3)


def test_same_seed_same_model(features: Path, tmp_path: Path) -> None:
    one = featx.fit(features, tmp_path / "1.featx", head="linear-svm", seed=3)
    two = featx.fit(features, tmp_path / "2.featx", head="linear-svm", seed=3)
    X = np.random.default_rng(0).random((5, 1024), np.float32)
    assert np.array_equal(one.model.head.predict_proba(X), two.model.head.predict_proba(X))
    assert one.as_dict()["test"] == two.as_dict()["test"]


def test_best_is_chosen_by_the_leaderboard(features: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.featx"
    fitted = featx.fit(features, out, heads=("nearest-centroid", "logreg"), folds=4)
    board = fitted.leaderboard
    assert board and board.images == 24  # those to train on, not all 30
    assert fitted.model.head_name == board.choice.head != "dummy"
    assert featx.load(out).report["leaderboard"] == json.loads(json.dumps(board.as_dict()))
    kept = featx.load(out).training
    assert kept["probabilities"].shape == (24, 3)
    with featx.Cache.open(features) as cache:
        train = [row.tobytes().hex() for row in kept["digests"]]
        assert len(set(train)) == 24 and set(train) <= set(cache.digests)


def test_options_reach_the_head(features: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.featx"
    fitted = featx.fit(
        features, out, head="logreg", options={"C": 2.0}, class_weight="balanced", view="max"
    )
    assert fitted.model.settings["C"] == 2.0
    assert fitted.model.settings["class_weight"] == "balanced"
    assert fitted.model.view.name == "max"
    classifier = fitted.model.head.estimator_
    assert (classifier.C, classifier.class_weight) == (2.0, "balanced")
    with pytest.raises(InputError, match="Options belong to a head"):
        featx.fit(features, out, options={"C": 2.0})
    with pytest.raises(InputError, match=r"no option 'D' here\. Expected one of: C, tol"):
        featx.fit(features, out, head="logreg", options={"D": 2.0})
    with pytest.raises(InputError, match="Unknown head 'svm'"):
        featx.fit(features, out, head="svm")
    with pytest.raises(InputError, match="Unknown class weight 'even'"):
        featx.fit(features, tmp_path / "e.featx", head="lda", class_weight="even")


# Bundles ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(features: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "m.featx"
    featx.fit(features, path, head="logreg")
    return path


def test_a_bundle_holds_no_pickle(model: Path) -> None:
    with zipfile.ZipFile(model) as archive:
        assert archive.namelist() == [
            "model.json",
            "head.skops",
            "training.safetensors",
            "novelty.safetensors",
        ]
        inner = zipfile.ZipFile(io.BytesIO(archive.read("head.skops")))
    assert {Path(name).suffix for name in inner.namelist()} <= {".json", ".npy"}


def test_types_outside_the_heads_row_are_refused(model: Path, tmp_path: Path) -> None:
    import skops.io
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.linear_model import LogisticRegression

    X, y = np.random.default_rng(0).random((30, 512)), np.arange(30) % 3
    foreign = CalibratedClassifierCV(LogisticRegression(), method="temperature").fit(X, y)
    bad = rewritten(model, tmp_path / "bad.featx", head_skops=skops.io.dumps(foreign))
    with pytest.raises(CorruptError, match=r"logreg has no use for: sklearn\.calibration"):
        featx.load(bad)


def test_a_bundle_runs_no_code(model: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"

    class Singing:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (canary,)

    for data in (pickle.dumps(Singing()), b"", b"PK"):
        with pytest.raises(CorruptError):
            featx.load(rewritten(model, tmp_path / "bad.featx", head_skops=data))
    assert not canary.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "zip"}, "its format is not 'featx-model'"),
        ({"head": "magic"}, "unknown head 'magic'"),
        ({"view": "mean"}, "unknown head 'logreg' or view 'mean'"),
        ({"classes": ["a", "b"]}, "the head's classes are not the 2 named ones"),
        ({"fingerprint": {"size": 1}}, "is not a whole featx model"),
    ],
)
def test_other_content_is_refused(
    model: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    data = described(model, **changes)
    with pytest.raises(CorruptError, match=message):
        featx.load(rewritten(model, tmp_path / "bad.featx", model_json=data))


def test_a_fingerprint_that_cannot_be_is_refused(model: Path, tmp_path: Path) -> None:
    wrong = json.loads(described(model))["fingerprint"] | {"cut": "block9_pool"}
    bad = rewritten(model, tmp_path / "b.featx", model_json=described(model, fingerprint=wrong))
    with pytest.raises(CorruptError, match="is not a whole featx model: Unknown layer"):
        featx.load(bad)


def test_other_versions_and_weights_are_incompatible(model: Path, tmp_path: Path) -> None:
    newer = rewritten(model, tmp_path / "n.featx", model_json=described(model, version=9))
    with pytest.raises(IncompatibleError, match="has the model version 9; this featx reads 3"):
        featx.load(newer)
    foreign = json.loads(described(model))["fingerprint"] | {"weights": "f" * 64}
    other = described(model, fingerprint=foreign, weights="file")
    loaded = featx.load(rewritten(model, tmp_path / "o.featx", model_json=other), weights="random")
    with pytest.raises(IncompatibleError, match="needs the weights with the SHA-256 ffff"):
        loaded.predict([np.zeros((32, 32, 3), np.uint8)])


def test_a_model_of_the_version_before_says_what_to_do(model: Path, tmp_path: Path) -> None:
    body = model.read_bytes()[: -len("featx-model sha256 ") - 64].replace(
        b"model.json", b"bundle.json"
    )
    older = tmp_path / "older.featx"
    older.write_bytes(body + f"featx-bundle sha256 {hashlib.sha256(body).hexdigest()}".encode())
    with pytest.raises(IncompatibleError, match=r"model version 2.* reads 3.*\n?.*featx fit feat"):
        featx.load(older)


@pytest.mark.parametrize("length", [0, 10, 500, -1])
def test_cut_bundles_are_refused(model: Path, tmp_path: Path, length: int) -> None:
    cut = tmp_path / "cut.featx"
    cut.write_bytes(model.read_bytes()[:length])
    with pytest.raises(CorruptError, match="is not a whole featx model"):
        featx.load(cut)


def test_only_models_are_overwritten_where_that_is_asked(
    features: Path, model: Path, tmp_path: Path
) -> None:
    photo = write_image(tmp_path / "photo.jpg", 1)
    before = photo.read_bytes()
    with pytest.raises(InputError, match="exists and is not a featx model"):
        featx.fit(features, photo, head="lda")
    assert photo.read_bytes() == before
    again = Path(shutil.copy(model, tmp_path))
    with pytest.raises(InputError, match=r"exists\. Give another output, or add --overwrite"):
        featx.fit(features, again, head="knn")
    assert again.read_bytes() == model.read_bytes()
    featx.fit(features, again, head="knn", overwrite=True)
    assert featx.load(again).head_name == "knn"


def test_an_output_that_cannot_be_written_shows_before_the_work(
    features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worked(*_: object, **__: object) -> None:
        raise AssertionError("the comparison ran")

    monkeypatch.setattr("featx.model.assembly.rank", worked)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="is a file; a folder is needed"):
        featx.fit(features, tmp_path / "file" / "m.featx")
    with pytest.raises(InputError, match="exists and is not a featx model"):
        featx.fit(features, tmp_path / "file")
    with pytest.raises(InputError, match="exists and is not a featx model"):
        featx.fit(features, tmp_path)


def test_missing_model() -> None:
    with pytest.raises(InputError, match=r"does not exist\. Make it with: featx fit"):
        model_file.load("nowhere.featx")


def test_mistakes_are_those_of_the_scores(tmp_path: Path) -> None:
    class_folders(tmp_path / "photos", 10, lies=5)
    featx.extract(tmp_path / "photos", tmp_path / "f.h5", **TINY)
    fitted = featx.fit(tmp_path / "f.h5", tmp_path / "m.featx", head="logreg")
    assert len(fitted.mistakes) == fitted.test.images - fitted.test.confusion.trace()
    assert fitted.out_of_fold is not None and len(fitted.out_of_fold) == fitted.train_images
    assert len(fitted.mistakes) + len(fitted.training_mistakes) >= 4  # of six lies
    for mistake in (*fitted.mistakes, *fitted.training_mistakes):
        assert (tmp_path / "photos" / mistake.path).is_file()
        assert mistake.path.startswith(mistake.true) and mistake.predicted != mistake.true
    found = fitted.as_dict()
    assert [m["path"] for m in found["mistakes"]] == [m.path for m in fitted.mistakes]
    assert len(found["training_mistakes"]) == len(fitted.training_mistakes)
