"""Scores on images whose labels are known."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from generated import TINY, write_image

import featx
from featx.errors import IncompatibleError, InputError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with split images, of which some lie, their cache and a model."""
    root = tmp_path_factory.mktemp("evaluate")
    for hue, name in enumerate(("blue", "green", "red")):
        for split, count in (("train", 8), ("test", 6)):
            for number in range(count):
                seed = 1000 * hue + number + 100 * count
                path = root / "photos" / split / name / f"{number}.png"
                lie = split == "test" and number == 0
                write_image(path, seed, 2 - hue + lie)
    featx.extract(root / "photos", root / "f.h5", **TINY)
    featx.fit(root / "f.h5", root / "m.featx", head="logreg")
    return root


def test_it_gives_the_test_figures_that_fit_gave(made: Path) -> None:
    model = featx.load(made / "m.featx")
    fitted = model.report["test"]
    cached = featx.evaluate(model, made / "f.h5")
    folder = featx.evaluate(model, made / "photos" / "test")
    for found in (cached, folder, featx.evaluate(model, made / "photos")):
        assert {key: found.as_dict()[key] for key in fitted} == fitted
        assert found.scores.images == 18 and found.scores.accuracy == 15 / 18
    assert cached.rule == "the test split" and folder.rule == "all images"


def test_mistakes_classes_and_intervals(made: Path) -> None:
    found = featx.evaluate(featx.load(made / "m.featx"), made / "f.h5", mistakes=2)
    assert len(found.mistakes) == 2
    assert found.mistakes[0].confidence >= found.mistakes[1].confidence > 0.5
    assert all(mistake.path.endswith("/0.png") for mistake in found.mistakes)
    assert all(mistake.true in mistake.path for mistake in found.mistakes)
    for row in found.by_class:
        assert row == {"precision": 5 / 6, "recall": 5 / 6, "f1": 5 / 6, "images": 6}
    low, high = found.intervals["accuracy"]
    assert low < 15 / 18 < high and high - low < 0.4
    again = featx.evaluate(featx.load(made / "m.featx"), made / "f.h5")
    assert again.intervals == found.intervals and len(again.mistakes) == 3


def test_images_that_were_trained_on_are_left_out(made: Path, tmp_path: Path) -> None:
    model = featx.load(made / "m.featx")
    shutil.copytree(made / "photos" / "test", tmp_path / "new")
    for name in ("blue", "red"):
        shutil.copy(made / "photos" / "train" / name / "3.png", tmp_path / "new" / name / "x.png")
    found = featx.evaluate(model, tmp_path / "new")
    assert (found.trained_on, found.scores.images) == (2, 18)
    with pytest.raises(InputError, match=r"No image is left .*24 were trained on"):
        featx.evaluate(model, made / "photos" / "train")


def test_a_held_out_share_is_found_again(made: Path, tmp_path: Path) -> None:
    featx.extract(made / "photos" / "test", tmp_path / "f.h5", **TINY)
    fitted = featx.fit(tmp_path / "f.h5", tmp_path / "m.featx", head="nearest-centroid")
    found = featx.evaluate(featx.load(tmp_path / "m.featx"), tmp_path / "f.h5")
    assert found.trained_on == fitted.train_images
    assert found.scores.as_dict() == fitted.test.as_dict()


def test_what_cannot_be_evaluated(made: Path, tmp_path: Path) -> None:
    model = featx.load(made / "m.featx")
    shutil.copytree(made / "photos" / "test", tmp_path / "new")
    (tmp_path / "new" / "blue" / "5.png").write_bytes(b"")
    assert featx.evaluate(model, tmp_path / "new").skipped == [
        ("blue/5.png", "empty", "the file has no bytes")
    ]
    (tmp_path / "new" / "blue").rename(tmp_path / "new" / "violet")
    partly = featx.evaluate(model, tmp_path / "new")
    kept = len(list((tmp_path / "new").rglob("*.png"))) - 6
    assert partly.unknown == {"violet": 6} and partly.scores.images == kept
    assert partly.as_dict()["unknown"] == {"violet": 6}
    shutil.copytree(tmp_path / "new" / "violet", tmp_path / "odd" / "violet")
    with pytest.raises(InputError, match=r"knows none of the classes violet\. It knows blue, gr"):
        featx.evaluate(model, tmp_path / "odd")
    with pytest.raises(InputError, match="have no labels to compare with"):
        featx.evaluate(model, tmp_path / "new" / "red")
    with pytest.raises(InputError, match=r"no split 'val' here\. The splits are: test, train"):
        featx.evaluate(model, made / "f.h5", split="val")
    with pytest.raises(InputError, match=r"no split 'exam' here\. The splits are: none"):
        featx.evaluate(model, made / "photos" / "test", split="exam")
    featx.extract(made / "photos", tmp_path / "f.h5", weights="random", size=64)
    with pytest.raises(IncompatibleError, match="size: 64 in the cache, 32 in the model"):
        featx.evaluate(model, tmp_path / "f.h5")


# Thresholds ---------------------------------------------------------------------------------


def test_fit_finds_the_threshold(made: Path, tmp_path: Path) -> None:
    fitted = featx.fit(made / "f.h5", tmp_path / "m.featx", head="lda", target_precision=0.9)
    assert fitted.threshold and fitted.threshold.precision >= 0.9
    kept = featx.load(tmp_path / "m.featx").report["threshold"]
    assert kept["target_precision"] == 0.9
    assert kept["out_of_fold"] == vars(fitted.threshold)
    assert kept["test"] == vars(fitted.threshold_test)
    with pytest.raises(InputError, match=r"target precision is 2\. Expected a share"):
        featx.fit(made / "f.h5", tmp_path / "m.featx", target_precision=2)


def test_training_images_are_judged_by_classifiers_without_them(made: Path, tmp_path: Path) -> None:
    fitted = featx.fit(made / "f.h5", tmp_path / "m.featx", head="logreg")
    assert fitted.out_of_fold is not None
    model = featx.load(tmp_path / "m.featx")
    cached = featx.evaluate(model, made / "f.h5", split="train")
    folder = featx.evaluate(model, made / "photos", split="training")
    split = featx.evaluate(model, made / "photos" / "train", split="train")
    wrong = sorted(mistake.path for mistake in fitted.training_mistakes)
    for found in (cached, folder, split):
        assert (found.scores.images, found.trained_on) == (24, 0)
        assert found.scores.as_dict() == cached.scores.as_dict()
        assert "each by a classifier that was not" in found.rule
        every = [mistake.path.removeprefix("train/") for mistake in found.predictions.mistakes()]
        assert sorted(every) == [path.removeprefix("train/") for path in wrong]
    # What classifiers say that were not trained on an image is not what the model says of it.
    assert not np.allclose(
        cached.predictions.probabilities, model.training["fitted"].astype(np.float64), atol=1e-3
    )


def test_why_training_images_cannot_be_judged(made: Path, tmp_path: Path) -> None:
    model = featx.load(made / "m.featx")
    with pytest.raises(InputError, match="trained on none of the 18 labelled images here"):
        featx.evaluate(model, made / "photos" / "test", split="train")
    with pytest.raises(InputError, match="leave tta out"):
        featx.evaluate(model, made / "f.h5", split="train", tta=1)
    featx.fit(made / "f.h5", tmp_path / "s.featx", head="softmax", options={"epochs": 1})
    with pytest.raises(InputError, match="no out-of-fold probabilities of its training images"):
        featx.evaluate(tmp_path / "s.featx", made / "f.h5", split="train")


def test_every_image_has_its_prediction(made: Path) -> None:
    found = featx.evaluate(made / "m.featx", made / "f.h5")
    some = found.predictions
    assert len(some) == 18 and some.root == made / "photos"
    assert all((some.root / path).is_file() for path in some.paths)
    assert found.mistakes == some.mistakes()
    assert float((some.predicted == some.y).mean()) == found.scores.accuracy
