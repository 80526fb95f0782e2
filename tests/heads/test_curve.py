import csv
import json
import typing
from pathlib import Path

import numpy as np
import pytest
from generated import TINY, class_folders
from typer.main import get_command
from typer.testing import CliRunner

import featx
from featx.cli import app
from featx.cli.curve import print_curve
from featx.cli.pages import settings_from
from featx.errors import InputError
from featx.heads.crossval import Fold
from featx.heads.curve import CurveChanges, CurvePoint
from featx.heads.forecast import fit_power_law, forecast
from featx.heads.subsets import Trial, draw_subset

SIZES = np.array([5.0, 8.0, 12.0, 20.0, 32.0, 50.0])


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache of three classes, in which one image in three looks like another class."""
    root = tmp_path_factory.mktemp("curve")
    class_folders(root / "photos", 20, lies=3)
    featx.extract(root / "photos", root / "f.h5", **TINY)
    return root / "f.h5"


@pytest.fixture(scope="module")
def found(features: Path) -> featx.CurveResult:
    return featx.curve(features, head="lda", sizes=(4, 9), draws=3, folds=4, repeats=2)


def test_the_last_point_is_what_compare_reports(features: Path, found: featx.CurveResult) -> None:
    board = featx.compare(features, heads=("lda",), folds=4, repeats=2)
    entry = next(entry for entry in board.entries if entry.head == "lda")
    last = found.points[-1]
    assert (found.head, found.view, found.rule) == ("lda", entry.view, board.rule)
    assert (last.accuracy, last.accuracy_half_width) == (entry.score, entry.ci95_half_width)
    assert last.log_loss == entry.log_loss and last.log_loss_half_width > 0
    assert found.images == board.images == 60


def test_points_are_of_growing_parts_of_the_training_side(found: featx.CurveResult) -> None:
    assert [point.per_class for point in found.points] == [4, 9, 15]
    assert [point.images for point in found.points] == [12, 27, 45]
    assert [point.draws for point in found.points] == [3, 1, 1]
    assert found.points[0].accuracy < found.points[-1].accuracy
    assert found.points[0].log_loss > found.points[-1].log_loss


def test_the_choice_of_a_comparison_is_tried_and_the_same_seed_gives_the_same(
    features: Path,
) -> None:
    told: list[tuple[int, int]] = []
    first = featx.curve(
        features, sizes=(8,), folds=3, progress=lambda done, total, *_: told.append((done, total))
    )
    choice = featx.compare(features, folds=3).choice
    assert (first.head, first.view) == (choice.head, choice.view)
    assert first.points[-1].accuracy == choice.score
    assert told[-1][0] == told[-1][1] > 0
    again = featx.curve(features, head=choice.head, view=choice.view, sizes=(8,), folds=3)
    assert again.points == first.points


def test_a_val_split_is_scored_on_as_in_compare(tmp_path: Path) -> None:
    class_folders(tmp_path / "photos" / "train", 12, lies=3)
    class_folders(tmp_path / "photos" / "val", 8, lies=3)
    class_folders(tmp_path / "photos" / "test", 4)
    for file in sorted((tmp_path / "photos" / "val").rglob("*.png")):
        file.write_bytes(file.read_bytes() + b"other bytes")
    for file in sorted((tmp_path / "photos" / "test").rglob("*.png")):
        file.write_bytes(file.read_bytes() + b"and others")
    featx.extract(tmp_path / "photos", tmp_path / "f.h5", **TINY)
    found = featx.curve(tmp_path / "f.h5", head="lda", sizes=(3, 6))
    entry = featx.compare(tmp_path / "f.h5", heads=("lda",)).entries[0]
    last = found.points[-1]
    assert found.rule == "trained on the train split, scored on the val split"
    assert last.accuracy == pytest.approx(entry.score, abs=1e-12)
    assert last.log_loss == pytest.approx(entry.log_loss, abs=1e-12)
    assert last.accuracy_half_width == pytest.approx(entry.ci95_half_width, rel=0.15)
    assert found.images == 60 and last.images == 36


def test_a_subset_has_whole_units_and_is_part_of_a_larger_one() -> None:
    y = np.repeat([0, 1, 2], [30, 30, 4])
    units = np.concatenate([np.repeat(np.arange(10), 3), np.arange(10, 40), np.arange(40, 44)])
    before: set[int] = set()
    for size in (1, 5, 11, 20):
        chosen = draw_subset(y, units, size, (0, 1))
        left = np.setdiff1d(np.arange(len(y)), chosen)
        assert not np.intersect1d(units[chosen], units[left]).size
        counts = np.bincount(y[chosen], minlength=3)
        assert counts[0] == 3 * max(2, -(-size // 3))  # whole units of three, and two or more
        assert counts[1] == max(2, size)
        assert counts[2] == min(4, max(2, size))  # a class that has fewer keeps all
        assert before < set(chosen.tolist())
        before = set(chosen.tolist())
    assert not np.array_equal(draw_subset(y, units, 5, (0, 1)), draw_subset(y, units, 5, (0, 2)))


def test_only_the_training_side_is_made_smaller(
    features: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[list[Fold]] = []
    real = featx.heads.subsets.cross_validate

    def spied(tasks: object, *given: object, **more: object) -> object:
        tried.append(list(given[3]))
        return real(tasks, *given, **more)

    monkeypatch.setattr("featx.heads.subsets.cross_validate", spied)
    featx.curve(features, head="lda", sizes=(5,), draws=2, folds=4)
    small, full = tried
    assert len(full) == 4 and len(small) == 8
    for number, (inside, outside) in enumerate(small):
        assert np.isin(inside, full[number // 2][0]).all() and len(inside) == 15
        assert np.array_equal(outside, full[number // 2][1])
        assert not np.intersect1d(inside, outside).size


def test_the_law_is_found_again_and_is_never_below_zero() -> None:
    laws = np.array([[0.02, 0.6, 0.8], [0.0, 0.4, 0.45], [0.1, 0.0, 1.0]])
    values = laws[:, :1] + laws[:, 1:2] * SIZES ** -laws[:, 2:]
    fitted = fit_power_law(SIZES, values, np.array([1.0, 1, 2, 3, 5, 8]))
    assert np.allclose(fitted[:2], laws[:2], atol=1e-6)
    assert np.allclose(fitted[2, 0] + fitted[2, 1] * SIZES ** -fitted[2, 2], 0.1)
    steep = fit_power_law(SIZES, (1 - SIZES / 60)[np.newaxis], np.ones(6))[0]
    assert steep[0] == 0 and steep[1] > 0  # the best floor would be negative
    rising = fit_power_law(SIZES, (0.001 * SIZES)[np.newaxis], np.ones(6))[0]
    assert rising[1] == 0


def of_law(a: float, b: float, c: float, noise: float, seed: int = 0) -> np.ndarray:
    """Return the accuracy in five folds, which differ by a level and by noise."""
    random = np.random.default_rng(seed)
    level = random.normal(size=(5, 1)) * 2 * noise
    return 1 - a - b * SIZES**-c + level + random.normal(size=(5, len(SIZES))) * noise


def test_the_interval_holds_the_gain_of_a_law_that_is_known() -> None:
    true = 0.6 * (50**-0.7 - 100**-0.7)
    held = []
    for seed in range(40):
        accuracy = of_law(0.02, 0.6, 0.7, 0.004, seed)
        told, sentence = forecast(SIZES, accuracy, 3 * (1 - accuracy), 0.25, seed)
        assert told is not None and told.per_class == 100
        held.append(told.accuracy_gain_low <= true <= told.accuracy_gain_high)
        assert told.log_loss_gain_low == pytest.approx(3 * told.accuracy_gain_low, abs=0.01)
        assert "(100 a class in place of 50)" in sentence and "points of accuracy." in sentence
    assert np.mean(held) >= 0.9


def test_what_cannot_be_told_is_not_told() -> None:
    wild = of_law(0.0, 0.8, 0.5, 0.05)
    falling = of_law(0.0, 0.6, 0.7, 0.002)[:, ::-1]
    steady = of_law(0.02, 0.6, 0.7, 0.001)
    for sizes, accuracy, reason in (
        (SIZES[:3], steady[:, :3], "there are 3 sizes, and it takes 4"),
        (SIZES, wild, "points of accuracy fit them"),
        (SIZES, falling, "the accuracy falls where images are added"),
        (SIZES, steady[:1], "there is one image to test on"),
    ):
        told, sentence = forecast(sizes, accuracy, 1 - accuracy, 0.25, 0)
        assert told is None
        assert sentence.startswith("What twice as many images would bring cannot be told")
        assert reason in sentence


def test_a_curve_that_is_flat_says_that_more_images_bring_nothing() -> None:
    told, sentence = forecast(SIZES, np.full((5, 6), 0.5), np.full((5, 6), 0.7), 0.25, 0)
    assert told is not None and told.accuracy_gain_high < 0.005
    assert "less than 0.1 points" in sentence or "at most 0." in sentence


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head": "ldaa"}, "Unknown head 'ldaa'"),
        ({"view": "avgg"}, "Unknown view 'avgg'"),
        ({"draws": 0}, "The number of draws is 0. Expected 1 or more."),
        ({"metric": "acc"}, "Unknown metric 'acc'"),
        ({"sizes": (5, 99)}, "The size 99 is not below the 16 training images a class"),
        ({"sizes": (0,)}, "The size 0 is not below"),
        ({"repeats": 0}, "The number of repeats is 0"),
    ],
)
def test_wrong_settings_are_refused(
    features: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        featx.curve(features, **{"head": "lda", **changes})


def test_keywords_and_options_are_the_fields_of_the_settings() -> None:
    fields = typing.get_type_hints(featx.CurveSettings)
    assert set(typing.get_type_hints(CurveChanges)) == set(fields)
    given = {p.name: p.default for p in get_command(app.app).commands["curve"].params}
    assert set(fields) <= set(given)
    kept = {name: value for name, value in given.items() if name != "sizes"}
    assert settings_from(featx.CurveSettings, kept) == featx.CurveSettings()


def test_an_interval_that_is_not_known_is_none() -> None:
    point = CurvePoint(5, 10.0, 1.0, float("nan"), 0.1, 0.02, 1)
    found = featx.CurveResult("lda", "avg", "accuracy", [point], None, "", "", 11, 0.1)
    told = found.as_dict()["points"][0]
    assert (told["accuracy_half_width"], told["log_loss_half_width"]) == (None, 0.02)
    print_curve(found)  # without an interval


def test_a_head_that_fails_says_why(features: Path) -> None:
    with featx.Cache.open(features) as cache:
        y, images = cache.catalog.labels, np.arange(60)
        folds = [(np.flatnonzero(y < 1), np.flatnonzero(y > 0))] * 2
        trial = Trial(cache, images, images, folds, "", "lda", "avg", 1, "accuracy", 0)
        with pytest.raises(InputError, match="lda on avg failed: This head cannot score"):
            trial.at(None, None)


def test_the_command_prints_a_table_and_writes_files(features: Path, tmp_path: Path) -> None:
    run = ["curve", str(features), "--head", "lda", "--sizes", "3,5,8,11", "--draws", "2"]
    shown = CliRunner().invoke(app.app, [*run, "-o", str(tmp_path / "c.csv")])
    assert shown.exit_code == 0, shown.output
    assert "60 images, 5-fold cross-validation: lda on avgmax" in shown.stdout
    assert "images a class" in shown.stdout and "wice as many" in shown.stdout
    assert "Next: featx next model.featx" in shown.stdout
    rows = list(csv.DictReader((tmp_path / "c.csv").open()))
    assert [row["per_class"] for row in rows] == ["3", "5", "8", "11", "16"]
    told = CliRunner().invoke(app.app, [*run, "--json", "-o", str(tmp_path / "c.json")])
    content = json.loads(told.stdout)
    written = json.loads((tmp_path / "c.json").read_text())
    assert {**content, "seconds": 0} == {**written, "seconds": 0}
    assert [str(point["accuracy"]) for point in content["points"]] == [
        row["accuracy"] for row in rows
    ]
    for arguments, message in (
        (["-o", str(tmp_path / "c.csv")], "exists. Give another output, or add --overwrite"),
        (["-o", str(tmp_path / "c.png")], "expected a name that ends in .csv or .json"),
        (["--sizes", "a"], "--sizes a: expected numbers of images a class: 5,10,20."),
    ):
        refused = CliRunner().invoke(app.app, [*run, *arguments])
        assert refused.exit_code == 2 and message in refused.stderr
