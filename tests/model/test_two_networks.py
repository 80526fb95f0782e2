"""A model that sees images by two networks side by side."""

import io
import json
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from generated import TINY, class_folders, rewritten
from typer.testing import CliRunner

import featx
from featx.cache.beside import place_beside
from featx.cli.app import app
from featx.errors import CorruptError, FeatxError, IncompatibleError, InputError
from featx.model.model import Model

VIEWS = {"layers": "ridge", "covariance": "ridge", "avg": "logreg"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with photos, caches by two networks, and a model of both for each view."""
    root = tmp_path_factory.mktemp("two")
    class_folders(root / "p", 8, lies=4)
    featx.extract(root / "p", root / "a.h5", **TINY)
    featx.extract(root / "p", root / "b.h5", weights="random", size=64, cut="block4_pool")
    with featx.Cache.open(root / "a.h5") as a, featx.Cache.open(root / "b.h5") as b:
        for view, head in VIEWS.items():
            featx.fit(place_beside([a, b]), root / f"{view}.featx", head=head, view=view)
    return root


def paths(made: Path) -> list[Path]:
    return sorted((made / "p").rglob("*.png"))


@pytest.mark.parametrize("view", VIEWS)
def test_photos_score_as_the_caches_side_by_side(made: Path, tmp_path: Path, view: str) -> None:
    model = featx.load(made / f"{view}.featx")
    found = model.predict_proba(paths(made))
    with featx.Cache.open(made / "a.h5") as a, featx.Cache.open(made / "b.h5") as b:
        joint = place_beside([a, b])
        at = {str(path): row for row, path in enumerate(joint.catalog.paths)}
        rows = [at[str(path.relative_to(made / "p"))] for path in paths(made)]
        X = joint.matrix(model.view, images=np.array(rows)).X
        assert np.abs(model.predict_proba_rows(X) - found).max() < 1e-6
        table = featx.score(model, joint).to_frame()
    scored = featx.score(made / f"{view}.featx", made / "p", tmp_path / "s.csv")
    assert scored.ok == 24
    frame = featx.score(model, made / "p").to_frame()
    names = [name for name in frame.columns if name in model.classes or name == "confidence"]
    assert list(frame["label"]) == list(table["label"])
    for name in names:
        assert np.abs(frame[name] - table[name]).max() < 1e-6
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict_proba(paths(made)), found)


def test_every_image_is_read_once(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from featx.images.reader import Reader

    read: list[object] = []
    original = Reader.ahead

    def spy(self: Reader, given: object, *args: object) -> object:
        given = list(given)  # type: ignore[call-overload]
        read.extend(given)
        return original(self, given, *args)

    monkeypatch.setattr(Reader, "ahead", spy)
    featx.load(made / "avg.featx").predict_proba(paths(made)[:3])
    assert len(read) == 3


def test_fit_chooses_over_caches_and_a_model_of_one_network_is_as_ever(
    made: Path, tmp_path: Path
) -> None:
    caches = [made / "a.h5", made / "b.h5"]
    fitted = featx.fit(caches, tmp_path / "m.featx", heads=("ridge",), folds=2, prefer="fast")
    assert fitted.leaderboard is not None and len(fitted.leaderboard.networks) == 3
    assert fitted.leaderboard.choice.network == "vgg16 block5_pool"
    model = fitted.model
    alone = featx.fit(made / "a.h5", tmp_path / "one.featx", head="ridge", view=model.view.name)
    assert model.as_dict()["version"] == alone.model.as_dict()["version"] == 3
    assert model.fingerprint == alone.model.fingerprint
    assert fitted.model.report["train"]["features"] == str(made / "a.h5")
    assert np.array_equal(model.predict_proba(paths(made)), alone.model.predict_proba(paths(made)))
    one, other = (_members(tmp_path / name) for name in ("m.featx", "one.featx"))
    for name in set(one) - {"model.json"}:
        assert one[name] == other[name]


def _members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_head_on_the_second_cache_is_that_of_the_cache_alone(made: Path, tmp_path: Path) -> None:
    caches = [made / "a.h5", made / "b.h5"]
    how = {"head": "lda", "folds": 2, "prefer": "small"}
    fitted = featx.fit(caches[::-1], tmp_path / "m.featx", **how)
    assert fitted.leaderboard is not None
    chosen = fitted.leaderboard.networks[fitted.leaderboard.choice.network]
    assert fitted.model.report["train"]["features"] in (chosen, *chosen)


def test_what_a_model_of_two_networks_says_of_itself(made: Path) -> None:
    model = featx.load(made / "covariance.featx")
    assert model.as_dict()["version"] == 4
    assert model.provider == "random + random"
    assert "covariance of block5_pool at 32 px and block4_pool at 64 px" in repr(model)
    assert model.report["train"]["features"] == [str(made / "a.h5"), str(made / "b.h5")]
    assert not featx.verify(made / "covariance.featx", against=made / "p").problems
    shown = CliRunner().invoke(app, ["info", str(made / "covariance.featx")]).output
    for words in ("2 networks side by side", "64×64 pixels", "b.h5", "block4_pool"):
        assert words in shown
    assert model.computing[0] == "tensorflow+tensorflow"
    runtime, precision = model.computing
    again = featx.load(made / "covariance.featx", runtime=runtime, precision=precision)
    assert again.computing == model.computing


def test_evaluate_next_and_report_know_two_networks(made: Path, tmp_path: Path) -> None:
    model = made / "layers.featx"
    assert featx.evaluate(model, made / "p").scores.images == 5
    assert featx.choose_next(model, made / "p", tmp_path / "next.csv").chosen
    page = featx.report(model, tmp_path / "r.html")
    text = page.out.read_text()
    assert "several networks" in text and "b.h5" in text
    with pytest.raises(InputError, match="by 2 networks, and there is 1 cache"):
        featx.report(model, tmp_path / "r2.html", cache=str(made / "a.h5"))


def test_similar_images_by_two_networks(made: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.png"
    with PIL.Image.open(paths(made)[0]) as image:  # the same pixels in another file
        image.save(new, compress_level=1)
    with featx.Cache.open(made / "a.h5") as a, featx.Cache.open(made / "b.h5") as b:
        found = featx.find_similar(new, place_beside([a, b]), k=1, view="layers").queries[0]
    assert not found.is_cached
    assert found.nearest[0].similarity == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("what", "error", "words"),
    [
        (
            "score",
            IncompatibleError,
            "features of vgg16, and the model sees images by vgg16 block5",
        ),
        ("evaluate", IncompatibleError, "Give the images themselves"),
        ("next", IncompatibleError, "Give the images themselves"),
        ("finetune", InputError, "Fit on one cache first"),
        ("clone", InputError, "by several networks"),
        ("export", InputError, r"at 2 sizes \(32, 64 pixels\)"),
    ],
)
def test_what_cannot_be_is_refused_with_advice(
    made: Path, tmp_path: Path, what: str, error: type[FeatxError], words: str
) -> None:
    model, cache = made / "layers.featx", made / "a.h5"
    calls = {
        "score": lambda: featx.score(model, cache, tmp_path / "s.csv"),
        "evaluate": lambda: featx.evaluate(model, cache),
        "next": lambda: featx.choose_next(model, cache, tmp_path / "n.csv"),
        "finetune": lambda: featx.finetune(model, tmp_path / "t.featx"),
        "clone": lambda: featx.load(model).get_params(),
        "export": lambda: featx.export(model, tmp_path / "m.keras"),
    }
    with pytest.raises(error, match=words):
        calls[what]()


def test_a_file_with_parts_that_do_not_fit_is_refused(made: Path, tmp_path: Path) -> None:
    source = made / "covariance.featx"
    described = json.loads(_members(source)["model.json"])
    del described["fingerprint"]["also"]
    changed = rewritten(source, tmp_path / "m.featx", model_json=json.dumps(described).encode())
    with pytest.raises(CorruptError):
        featx.load(changed)
    described = json.loads(_members(source)["model.json"])
    described["fingerprint"]["also"][0]["resize"] = "squash"
    changed = rewritten(source, tmp_path / "n.featx", model_json=json.dumps(described).encode())
    with pytest.raises(FeatxError):
        featx.load(changed)


@pytest.fixture(scope="module")
def of_one_size(made: Path) -> dict[str, Model]:
    """Return models of two networks that see images at one size, mirrored too."""
    featx.extract(made / "p", made / "c.h5", **TINY, mirror=True)
    featx.extract(made / "p", made / "d.h5", **TINY, cut="block4_pool", mirror=True)
    with featx.Cache.open(made / "c.h5") as c, featx.Cache.open(made / "d.h5") as d:
        return {
            view: featx.fit(
                place_beside([c, d]), made / f"one-{view}.featx", head=head, view=view
            ).model
            for view, head in VIEWS.items()
        }


@pytest.mark.parametrize(
    "view",
    ["layers", *(pytest.param(view, marks=pytest.mark.slow) for view in ("covariance", "avg"))],
)
def test_a_keras_file_of_two_networks_agrees(
    of_one_size: dict[str, Model], tmp_path: Path, view: str
) -> None:
    found = featx.export(of_one_size[view], tmp_path / "m.keras")  # refuses what does not agree
    assert found.apart < 1e-3


@pytest.mark.slow
def test_an_onnx_file_of_two_networks_agrees(of_one_size: dict[str, Model], tmp_path: Path) -> None:
    assert featx.export(of_one_size["layers"], tmp_path / "m.onnx").apart < 1e-3


def test_further_networks_need_their_weights(made: Path) -> None:
    model = featx.load(made / "avg.featx")
    other = replace(model.fingerprint.also[0], trunk=replace(
        model.fingerprint.also[0].trunk, weights="0" * 64))  # fmt: skip
    strange = replace(model, fingerprint=replace(model.fingerprint, also=(other,)))
    with pytest.raises(IncompatibleError, match="0000"):
        strange.predict_proba(paths(made)[:1])
