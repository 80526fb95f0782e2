"""The audit of a cache: what was planted is found, and the manifests are taken back."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from generated import TINY, write_image
from planted import relabelled

import featx
from featx.auditing import folded
from featx.auditing.duplicates import DuplicateGroup
from featx.errors import InputError


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as text:
        return list(csv.DictReader(text))


@pytest.fixture(scope="module")
def found(planted: Path) -> featx.AuditResult:
    return featx.audit(planted / "f.h5", heads=("lda",))


def group_of(found: featx.AuditResult, path: str) -> DuplicateGroup:
    (group,) = [group for group in found.duplicates if path in group.paths]
    return group


# Duplicates ---------------------------------------------------------------------------------


def test_doubles_are_found_and_nothing_else(found: featx.AuditResult) -> None:
    pairs = {pair.kind: {pair.one, pair.two} for g in found.duplicates for pair in g.pairs}
    assert len(found.duplicates) == 3
    assert pairs == {
        "near": {"train/red/05.png", "test/red/leak.jpg"},
        "mirrored": {"train/blue/06.png", "train/green/mirror.jpg"},
        "equal": {"train/blue/07.png", "train/blue/same.png"},
    }


def test_conflicts_come_first_then_leaks(found: featx.AuditResult) -> None:
    conflict, leak, other = found.duplicates
    assert conflict.has_conflict and not conflict.crosses_splits
    assert set(conflict.labels) == {"blue", "green"} and conflict.kinds == ("mirrored",)
    assert leak.crosses_splits and not leak.has_conflict and set(leak.splits) == {"train", "test"}
    assert other.similarity == 1 and not other.crosses_splits
    assert found.conflicts == [conflict] and found.leaks == [leak]


def test_the_score_is_given_with_near_duplicates_apart_and_together(
    found: featx.AuditResult,
) -> None:
    assert found.score_before is not None and found.score_after is not None
    assert 0.5 < found.score_after <= 1 and 0.5 < found.score_before <= 1


def test_equal_files_with_other_labels_are_a_finding_and_no_error(tmp_path: Path) -> None:
    for hue, name in enumerate(("a", "b")):
        for number in range(6):
            write_image(tmp_path / "p" / name / f"{number}.png", 10 * hue + number, hue)
    shutil.copy(tmp_path / "p/a/0.png", tmp_path / "p/b/0.png")
    featx.extract(tmp_path / "p", tmp_path / "f.h5", **TINY)
    with pytest.raises(InputError, match="the very bytes of one with another label"):
        featx.compare(tmp_path / "f.h5")
    found = featx.audit(tmp_path / "f.h5", heads=("lda",))
    assert group_of(found, "a/0.png").has_conflict
    assert found.score_before is None  # equal files were kept together before


def test_without_pixels_only_nearly_equal_features_are_reported(planted: Path) -> None:
    found = featx.audit(planted / "f.h5", heads=("lda",), pixels=False)
    kinds = {pair.kind for group in found.duplicates for pair in group.pairs}
    assert kinds <= {"equal", "unconfirmed"} and "equal" in kinds
    assert found.unreadable == 0
    assert {odd.kind for odd in found.odd} <= {"small", "unlike", "outlier"}


def test_files_that_are_gone_or_changed_are_counted(planted: Path, tmp_path: Path) -> None:
    shutil.copytree(planted / "photos", tmp_path / "photos")
    featx.extract(tmp_path / "photos", tmp_path / "f.h5", **TINY)
    (tmp_path / "photos/train/blue/05.png").unlink()
    (tmp_path / "photos/test/red/leak.jpg").write_bytes(b"no image")
    found = featx.audit(tmp_path / "f.h5", heads=("lda",))
    assert found.unreadable == 2
    pairs = [pair for group in found.duplicates for pair in group.pairs]
    assert all(pair.kind == "unconfirmed" for pair in pairs if pair.correlation is None
               and pair.kind != "equal")  # fmt: skip
    assert group_of(found, "train/green/mirror.jpg").kinds == ("mirrored",)


# Odd images ---------------------------------------------------------------------------------


def test_rubbish_is_odd_and_photographs_are_not(found: featx.AuditResult) -> None:
    odd = {
        Path(image.path).name: image.kind
        for image in found.odd
        if image.kind not in ("outlier", "unlike")
    }
    assert odd == {"black.png": "dark", "tiny.png": "small", "blur.png": "blurred",
                   "noise.png": "noise"}  # fmt: skip
    for image in found.odd:
        below = image.value < image.limit
        assert below == (image.kind in ("empty", "dark", "small", "blurred"))


# Labels -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wrong(planted: Path) -> featx.AuditResult:
    changes = {"train/red/03.png": "blue", "test/green/01.png": "red", "train/blue/09.png": "green"}
    with featx.Cache.open(planted / "f.h5") as cache:
        return featx.audit(relabelled(cache, changes), heads=("lda",))


def test_wrong_labels_are_found_in_all_splits(wrong: featx.AuditResult) -> None:
    issues = {issue.path: issue for issue in wrong.label_issues}
    assert {"train/red/03.png", "test/green/01.png", "train/blue/09.png"} <= set(issues)
    one = issues["train/red/03.png"]
    assert (one.label, one.suggested) == ("blue", "red")
    assert one.suggested_probability > one.label_probability
    assert 0 <= one.quality < 0.5 and 0 <= one.neighbours_agree <= 1
    qualities = [issue.quality for issue in wrong.label_issues]
    assert qualities == sorted(qualities)


def test_quality_ranks_the_wrong_labels_first(wrong: featx.AuditResult) -> None:
    worst = wrong.paths[np.argsort(wrong.quality)[:6]].tolist()
    assert {"train/red/03.png", "test/green/01.png", "train/blue/09.png"} <= set(worst)
    assert len(wrong.paths) == len(wrong.quality) == wrong.images
    assert ((wrong.quality >= 0) & (wrong.quality <= 1)).all()


def test_the_same_seed_gives_the_same_result(planted: Path, found: featx.AuditResult) -> None:
    again = featx.audit(planted / "f.h5", heads=("lda",)).as_dict()
    assert {**again, "seconds": 0} == {**found.as_dict(), "seconds": 0}


def test_of_very_many_images_one_cheap_head_judges(
    planted: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(folded, "MANY", 40)
    found = featx.audit(planted / "f.h5", heads=("ridge", "logreg"), pixels=False)
    assert found.heads == ("lda on avg",)
    assert "more than 40 images, so one cheap head (lda on avg) gives the prob" in caplog.text


def test_a_class_of_one_image_is_left_out_with_a_note(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for hue, name in enumerate(("a", "b", "c")):
        for number in range(1 if name == "c" else 6):
            write_image(tmp_path / "p" / name / f"{number}.png", 10 * hue + number, hue)
    featx.extract(tmp_path / "p", tmp_path / "f.h5", **TINY)
    found = featx.audit(tmp_path / "f.h5", heads=("lda",))
    assert found.left_out == {"c": 1} and found.images == 13
    assert "The labels of the class c are not examined: fewer than two" in caplog.text
    quality = dict(zip(found.paths.tolist(), found.quality.tolist(), strict=True))
    assert np.isnan(quality["c/0.png"]) and not np.isnan(quality["a/0.png"])


def test_one_class_is_looked_through_without_its_labels(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(5):
        write_image(tmp_path / "p" / "a" / f"{number}.png", number)
    shutil.copy(tmp_path / "p/a/0.png", tmp_path / "p/a/9.png")
    featx.extract(tmp_path / "p", tmp_path / "f.h5", **TINY)
    found = featx.audit(tmp_path / "f.h5", tmp_path / "a.csv", groups=tmp_path / "g.csv")
    assert found.heads == () and found.label_issues == [] and len(found.duplicates) == 1
    assert "that needs two classes with two images each" in caplog.text
    assert {row["quality"] for row in rows_of(tmp_path / "a.csv")} == {""}


def test_images_without_labels_are_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "p" / "1.png", 1)
    featx.extract(tmp_path / "p", tmp_path / "f.h5", **TINY)
    with pytest.raises(InputError, match=r"no labels.*costs no forward pass"):
        featx.audit(tmp_path / "f.h5")


# Manifests ----------------------------------------------------------------------------------


def test_a_label_that_was_edited_is_taken_back_and_nothing_is_computed(
    planted: Path, tmp_path: Path
) -> None:
    cache, out = tmp_path / "f.h5", tmp_path / "audit.csv"
    shutil.copy(planted / "f.h5", cache)
    featx.audit(cache, out, heads=("lda",))
    rows = rows_of(out)
    before = {Path(row["path"]).name: row["label"] for row in rows}
    assert before["mirror.jpg"] == "green"
    for row in rows:
        if row["path"].endswith("mirror.jpg"):
            row["label"] = "blue"
    rows = [row for row in rows if not row["path"].endswith("black.png")]
    with out.open("w", newline="") as text:
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    source = featx.scan(out, allow_outside=True)
    extracted = featx.extract(source, cache, **TINY, prune=True)
    assert extracted.computed == 0 and extracted.listed == len(rows) == 48
    with featx.Cache.open(cache) as opened:
        catalog = opened.catalog
        names = [Path(path).name for path in catalog.paths]
        assert catalog.classes[catalog.labels[names.index("mirror.jpg")]] == "blue"
        assert "black.png" not in names and set(catalog.splits) == {"train", "test"}
    assert not featx.audit(cache, heads=("lda",)).conflicts


def test_the_manifest_has_the_suspicious_first(planted: Path, tmp_path: Path) -> None:
    found = featx.audit(planted / "f.h5", tmp_path / "a.csv", heads=("lda",))
    rows = rows_of(tmp_path / "a.csv")
    assert list(rows[0]) == [
        "path", "label", "split", "group", "issues", "suggested_label", "quality",
        "label_probability", "suggested_probability", "neighbours_agree", "duplicate_of",
        "similarity",
    ]  # fmt: skip
    assert len(rows) == found.images and found.out == tmp_path / "a.csv"
    has_issue = [bool(row["issues"]) for row in rows]
    assert has_issue == sorted(has_issue, reverse=True) and 0 < sum(has_issue) < len(rows)
    calm = [float(row["quality"]) for row in rows if not row["issues"]]
    assert calm == sorted(calm)
    by_name = {Path(row["path"]).name: row for row in rows}
    leak = by_name["leak.jpg"]
    assert {"near_duplicate", "leak"} <= set(leak["issues"].split(";"))
    assert leak["duplicate_of"].endswith("train/red/05.png") and float(leak["similarity"]) > 0.8
    assert {"mirrored", "conflict"} <= set(by_name["mirror.jpg"]["issues"].split(";"))
    assert "noise" in by_name["noise.png"]["issues"].split(";")


def test_groups_keep_near_duplicates_together(planted: Path, tmp_path: Path) -> None:
    cache, groups = tmp_path / "f.h5", tmp_path / "groups.csv"
    shutil.copy(planted / "f.h5", cache)
    found = featx.audit(cache, heads=("lda",), groups=groups)
    assert found.groups_out == groups
    named = {row["path"]: row["group"] for row in rows_of(groups)}
    (leak,) = [group for path, group in named.items() if path.endswith("leak.jpg")]
    assert leak and list(named.values()).count(leak) == 2
    assert sum(bool(group) for group in named.values()) == 6
    extracted = featx.extract(featx.scan(groups, allow_outside=True), cache, **TINY)
    assert extracted.computed == 0
    again = featx.audit(cache, heads=("lda",))
    assert again.score_before is None  # they are together already
    assert len(again.duplicates) == 3


def test_groups_of_the_cache_are_kept_and_merged(planted: Path, tmp_path: Path) -> None:
    table = ["path,label,group"]
    for row in featx.scan(planted / "photos").paths:
        name = Path(row).name
        group = {"leak.jpg": "two", "06.png": "", "05.png": "one"}.get(name, "")
        label = Path(row).parent.name
        table.append(f"{planted / 'photos' / row},{label},{group}")
    (tmp_path / "list.csv").write_text("\n".join(table))
    cache = tmp_path / "f.h5"
    shutil.copy(planted / "f.h5", cache)
    featx.extract(featx.scan(tmp_path / "list.csv", allow_outside=True), cache, **TINY)
    featx.audit(cache, heads=("lda",), groups=tmp_path / "groups.csv")
    named = {row["path"]: row["group"] for row in rows_of(tmp_path / "groups.csv")}
    merged = {path: group for path, group in named.items() if "05.png" in path or "leak" in path}
    assert len(merged) == 4 and set(merged.values()) == {"one"}


def test_hostile_names_are_no_formulas_and_are_taken_back(tmp_path: Path) -> None:
    root = tmp_path / "p"
    names = ("=1+1.png", "@x.png", " space.png", "-2.png", "a,b.png", 'q"q.png', "\udce9.png")
    for hue, label in enumerate(("a", "b")):
        for number, name in enumerate(names):
            write_image(root / label / f"x{name}", 10 * hue + number, hue)
    for name in names:
        (root / "a" / f"x{name}").rename(root / name)
    lines = ["path,label"]
    for path in sorted(root.rglob("*.png")):
        relative = path.relative_to(root).as_posix()
        quoted = '"./' + relative.replace('"', '""') + '"'
        lines.append(f"{quoted},{'b' if relative.startswith('b/') else 'a'}")
    text = "\n".join(lines).encode("utf-8", "surrogateescape")
    (root / "list.csv").write_bytes(text)
    featx.extract(root / "list.csv", tmp_path / "f.h5", **TINY)
    featx.audit(tmp_path / "f.h5", root / "audit.csv", heads=("lda",))
    with (root / "audit.csv").open(newline="", errors="surrogateescape") as opened:
        paths = [row["path"] for row in csv.DictReader(opened)]
    assert len(paths) == 14 and not [path for path in paths if path[0] in "=+-@\t\r '"]
    again = featx.extract(root / "audit.csv", tmp_path / "f.h5", **TINY)
    assert (again.listed, again.computed) == (14, 0)


@pytest.mark.parametrize("name", ["a.txt", "a"])
def test_an_output_that_is_no_csv_is_refused(planted: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"expected a name that ends in \.csv"):
        featx.audit(planted / "f.h5", tmp_path / name)


def test_outputs_are_checked_before_any_work(planted: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    with pytest.raises(InputError, match=r"for the images and for the groups\. Give two files"):
        featx.audit(planted / "f.h5", out, groups=tmp_path / "x" / ".." / "a.csv")
    out.write_text("mine")
    with pytest.raises(InputError, match=r"exists\. Give another output, or add --overwrite"):
        featx.audit(planted / "f.h5", out)
    assert out.read_text() == "mine"
    with pytest.raises(InputError, match="number of folds is 1"):
        featx.audit(planted / "f.h5", folds=1)
    with pytest.raises(InputError, match="Unknown head 'ldaa'"):
        featx.audit(planted / "f.h5", heads=("ldaa",))
