"""Few images of a class: what can be trained is trained."""

from pathlib import Path

import pytest
from generated import TINY, class_folders, write_image

import featx
from featx.errors import InputError


def extracted(root: Path, **counts: int) -> Path:
    """Return a cache with so many images of each class."""
    class_folders(root / "photos", 12)
    for name, count in counts.items():
        for path in sorted((root / "photos" / name).glob("*.png"))[count:]:
            path.unlink()
        if name == "rare":
            for number in range(count):
                write_image(root / "photos" / name / f"{number}.png", 50_000 + number, number)
    featx.extract(root / "photos", root / "f.h5", **TINY)
    return root / "f.h5"


def test_five_images_a_class_are_enough(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = extracted(tmp_path, red=5, green=5, blue=5)
    fitted = featx.fit(cache, tmp_path / "m.featx", heads=("lda", "logreg"))
    assert fitted.leaderboard and fitted.leaderboard.folds == 4
    assert "4 folds in place of 5: the class blue has 4 different images" in caplog.text
    assert featx.compare(cache, heads=("lda",), folds=21).rule == "5-fold cross-validation"


@pytest.mark.parametrize("count", [1, 2])
def test_a_rare_class_is_left_out_with_a_word(
    tmp_path: Path, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    cache = extracted(tmp_path, rare=count)
    fitted = featx.fit(cache, tmp_path / "m.featx", head="logreg", min_per_class=3)
    assert fitted.left_out_classes == {"rare": count} and fitted.unlabelled == 0
    assert fitted.model.classes == ("blue", "green", "red")
    assert fitted.train_images + fitted.test.images == 36
    said = f"The class rare is left out: it has {count} different images, one for the test, and"
    assert said in caplog.text
    board = featx.compare(cache, heads=("lda",), min_per_class=3)
    assert board.images == 36 and board.folds == 5
    if count == 1:
        assert featx.fit(cache, tmp_path / "d.featx", head="lda").left_out_classes == {"rare": 1}


def test_a_class_of_two_is_left_out_where_one_is_taken_for_the_test(tmp_path: Path) -> None:
    cache = extracted(tmp_path, rare=2)
    fitted = featx.fit(cache, tmp_path / "m.featx", heads=("lda", "logreg"))
    assert fitted.left_out_classes == {"rare": 2}
    named = featx.fit(cache, tmp_path / "n.featx", head="lda", min_per_class=1)
    assert named.left_out_classes == {} and "rare" in named.model.classes
    assert featx.compare(cache, heads=("lda",)).images == 38


def test_a_class_that_is_only_tested_is_left_out(tmp_path: Path) -> None:
    class_folders(tmp_path / "photos/train", 5)
    for path in (tmp_path / "photos/train/red").iterdir():
        path.unlink()
    for hue, name in enumerate(("blue", "green", "red")):
        write_image(tmp_path / "photos/test" / name / "1.png", 70_000 + hue, hue)
    featx.extract(tmp_path / "photos", tmp_path / "f.h5", **TINY)
    fitted = featx.fit(tmp_path / "f.h5", tmp_path / "m.featx", head="lda")
    assert fitted.left_out_classes == {"red": 0}
    assert fitted.test.images == fitted.test.confusion.sum() == 2


def test_equal_files_count_once_and_two_classes_are_needed(tmp_path: Path) -> None:
    cache = extracted(tmp_path, green=1, blue=1)
    with pytest.raises(InputError, match=r"2 classes or more need 3 .* blue \(1\), green \(1\)"):
        featx.fit(cache, tmp_path / "m.featx", head="lda")
    with pytest.raises(InputError, match="min per class is 0"):
        featx.fit(cache, tmp_path / "m.featx", head="lda", min_per_class=0)


def test_advice_for_too_few_images_is_one_that_helps(tmp_path: Path) -> None:
    class_folders(tmp_path / "photos", 2)
    cache, model = tmp_path / "f.h5", tmp_path / "m.featx"
    featx.extract(tmp_path / "photos", cache, **TINY)
    with pytest.raises(InputError, match=r"3 different images each, 1 of them for the test\. .*"
                                         r"blue \(2\).* Add images\.$"):  # fmt: skip
        featx.fit(cache, model)
    with pytest.raises(InputError, match=r"need 6 different images .* or lower --min-per-class"):
        featx.fit(cache, model, min_per_class=5)
