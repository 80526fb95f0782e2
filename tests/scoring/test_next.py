"""Which images to label next."""

import csv
import json
import os
import shutil
import typing
from pathlib import Path

import numpy as np
import pytest
from generated import TINY, class_folders
from PIL import Image
from typer.main import get_command
from typer.testing import CliRunner

import featx
from featx.cli import app
from featx.cli.pages import settings_from
from featx.errors import InputError
from featx.scoring import next as choosing
from featx.scoring.candidates import Candidates, choose

HEADER = ["path", "label", "predicted", "confidence", "margin", "novelty"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with photos/, their cache and model, and inbox/ of other images."""
    root = tmp_path_factory.mktemp("next")
    class_folders(root / "photos", 8)
    featx.extract(root / "photos", root / "f.h5", **TINY)
    featx.fit(root / "f.h5", root / "m.featx", head="logreg")
    for number in range(30):
        write_pattern(root / "inbox" / f"{number:02d}.png", number)
    return root


def write_pattern(path: Path, seed: int) -> None:
    """Write an image of a few large squares, none of which is like another's."""
    path.parent.mkdir(exist_ok=True)
    squares = np.random.default_rng(seed).integers(0, 256, (3, 3, 3), dtype=np.uint8)
    Image.fromarray(squares).resize((48, 48), Image.Resampling.NEAREST).save(path)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def candidates(rows: np.ndarray, probabilities: np.ndarray) -> Candidates:
    names = np.array([f"{number}.png" for number in range(len(rows))], object)
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return Candidates(names, names, rows, probabilities, np.zeros(len(rows)))


def test_the_manifest_has_the_most_uncertain_images_first(made: Path, tmp_path: Path) -> None:
    out = made / "first.csv"
    found = featx.choose_next(made / "m.featx", made / "inbox", out, n=6)
    scores = made / "all.csv"
    featx.score(made / "m.featx", made / "inbox", scores, overwrite=True)
    margins = {}
    for row in read(scores):
        p = sorted(float(value) for name, value in row.items() if name.startswith("p_"))
        margins[row["path"]] = p[-1] - p[-2]
    rows = read(out)
    assert [*rows[0]] == HEADER and len(rows) == len(found.chosen) == 6
    assert [row["label"] for row in rows] == [""] * 6
    told = [float(row["margin"]) for row in rows]
    assert told == sorted(told) == [row.margin for row in found.chosen]
    for row, chosen in zip(rows, found.chosen, strict=True):
        assert row["path"] == chosen.path and row["path"].startswith("inbox/")
        assert float(row["margin"]) == pytest.approx(margins[Path(row["path"]).name], abs=1e-5)
        assert row["predicted"] in ("blue", "green", "red") and 0 <= float(row["novelty"]) <= 1
    assert told[0] == pytest.approx(min(margins.values()), abs=1e-5)
    assert (found.listed, found.trained_on, found.labelled, found.outside) == (30, 0, 0, False)


def test_known_equal_and_broken_images_are_not_chosen(made: Path, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    shutil.copytree(made / "inbox", inbox)
    digests = {row.tobytes().hex() for row in featx.load(made / "m.featx").training["digests"]}
    for file in sorted((made / "photos").rglob("*.png")):
        shutil.copy(file, inbox / f"known-{file.parent.name}-{file.name}")
    for number in range(30):
        shutil.copy(inbox / f"{number:02d}.png", inbox / f"{number:02d}-again.png")
    (inbox / "broken.jpg").write_bytes(b"no image")
    seen: list[tuple[int, int]] = []
    found = featx.choose_next(
        made / "m.featx", inbox, tmp_path / "n.csv", n=1000,
        progress=lambda done, total, *_: seen.append((done, total)),
    )  # fmt: skip
    assert found.trained_on == len(digests) and found.listed == 30 + 30 + 24 + 1
    assert [(row.path, row.reason) for row in found.skipped] == [("broken.jpg", "not_image")]
    names = [Path(row.path).name for row in found.chosen]
    of_test = [name for name in names if name.startswith("known-")]
    assert len(of_test) <= 24 - len(digests)
    others = [name[:2] for name in names if not name.startswith("known-")]
    assert len(others) == len(set(others)) > 10
    assert seen[0] == (0, 85) and seen[-1] == (85, 85)


def test_filled_in_it_is_a_source_of_images_with_labels(made: Path) -> None:
    out = made / "filled.csv"
    featx.choose_next(made / "m.featx", made / "inbox", out, n=8)
    rows = read(out)
    for number, row in enumerate(rows[:5]):  # the others are not labelled yet
        row["label"] = ("blue", "green")[number % 2]
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, HEADER)
        writer.writeheader()
        writer.writerows(rows)
    extracted = featx.extract(out, made / "more.h5", **TINY)
    assert extracted.listed == 8 and not extracted.skipped
    assert extracted.classes == {"blue": 3, "green": 2}
    with featx.Cache.open(made / "more.h5") as cache:
        assert cache.as_dict()["unlabelled"] == 3
    again = featx.choose_next(made / "m.featx", out, made / "again.csv", n=8)
    assert again.labelled == 5 and len(again.chosen) == 3
    cached = featx.choose_next(made / "m.featx", made / "more.h5", made / "cached.csv", n=8)
    assert cached.labelled == 5
    assert [row.path for row in cached.chosen] == [row.path for row in again.chosen]
    assert featx.evaluate(made / "m.featx", out).scores.images == 5


def test_hostile_names_come_back_as_they_are(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("featx.scoring.candidates._NEAR", 0)
    names = ["=1+1.png", "'quoted.png", " space.png", "-n.png", "a,b.png", 'say "x".png',
             "two\nlines.png", "@x.png", "(1).png", "#.png", "é.png",
             os.fsdecode(b"caf\xe9.png")]  # fmt: skip
    for number, name in enumerate(names):
        write_pattern(tmp_path / name, 100 + number)
    out = tmp_path / "next.csv"
    found = featx.choose_next(made / "m.featx", tmp_path, out, n=50)
    assert len(found.chosen) == len(names)
    listed = featx.scan(out)
    assert sorted(listed.paths) == sorted(names)
    cells = [row["path"] for row in read(out)]
    assert not [cell for cell in cells if cell.startswith(("=", "-", "@", "'", " "))]


def test_images_elsewhere_are_named_from_the_folder_of_the_manifest(
    made: Path, tmp_path: Path
) -> None:
    (tmp_path / "lists").mkdir()
    out = tmp_path / "lists" / "n.csv"
    found = featx.choose_next(made / "m.featx", made / "inbox", out, n=3)
    assert found.outside
    with pytest.raises(InputError, match="outside the folder of the manifest"):
        featx.scan(out)
    listed = featx.scan(out, allow_outside=True)
    assert all(listed.file(index).samefile(made / "inbox" / Path(path).name)
               for index, path in enumerate(listed.paths))  # fmt: skip


def test_one_of_each_cluster_is_chosen_and_none_that_is_nearly_equal() -> None:
    random = np.random.default_rng(0)
    middles = np.eye(6)[:4]
    rows = np.repeat(middles, 10, axis=0) + 0.02 * random.normal(size=(40, 6))
    margin = np.linspace(0, 0.5, 40)  # the first ten, of one cluster, are the most uncertain
    probabilities = np.stack([0.5 + margin / 2, 0.5 - margin / 2], axis=1)
    found = choose(candidates(rows, probabilities), 4, seed=0)
    assert found.paths.tolist() == ["0.png", "10.png", "20.png", "30.png"]
    assert np.allclose(found.margin, margin[[0, 10, 20, 30]])
    # Within a cluster the images are nearly equal, so there are no more than four to choose.
    assert len(choose(candidates(rows, probabilities), 9, seed=0)) == 4
    spread = candidates(random.normal(size=(40, 60)), probabilities)
    assert len(choose(spread, 12, seed=0)) == 12
    assert choose(spread, 12, seed=0).paths.tolist() == choose(spread, 12, seed=0).paths.tolist()
    assert len(choose(spread, 50, seed=0)) == 40


def test_candidates_are_bounded_and_of_equal_files_one() -> None:
    random = np.random.default_rng(1)
    p = random.dirichlet(np.ones(3), size=500)
    pool = Candidates.none(3)
    everything = candidates(random.normal(size=(500, 4)), p)
    for start in range(0, 500, 50):
        part = everything.take(np.arange(start, start + 50))
        pool = pool.joined(part).joined(part).most_uncertain(3)
        assert len(pool) <= 30
    best = np.argsort(everything.margin, kind="stable")[:30]
    assert pool.paths.tolist() == everything.paths[best].tolist()
    assert pool.rows.shape == (30, 4) and np.all(np.diff(pool.margin) >= 0)


def test_no_more_than_the_candidates_are_kept(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "_BLOCK", 4)
    most: list[int] = []
    real = Candidates.joined

    def spied(self: Candidates, other: Candidates) -> Candidates:
        most.append(len(self) + len(other))
        return real(self, other)

    monkeypatch.setattr(Candidates, "joined", spied)
    parts = featx.choose_next(made / "m.featx", made / "inbox", tmp_path / "a.csv", n=1)
    assert len(most) == 8 and max(most) <= 14
    monkeypatch.setattr(choosing, "_BLOCK", 2048)
    whole = featx.choose_next(made / "m.featx", made / "inbox", tmp_path / "b.csv", n=1)
    assert [row.path for row in parts.chosen] == [row.path for row in whole.chosen]


@pytest.mark.parametrize(
    ("source", "out", "changes", "message"),
    [
        ("inbox", "n.csv", {"n": 0}, "n is 0. Expected a number of images from 1 to 1,000"),
        ("inbox", "n.csv", {"n": 1001}, "n is 1001. Expected"),
        ("inbox", "n.txt", {}, "expected a name that ends in .csv"),
        ("f.h5", "n.csv", {}, "All 24 images have labels. Give images that are still to be"),
        ("trained", "n.csv", {}, "No image is left to choose: of 3 without a label, the model"),
        ("inbox", "there.csv", {}, "exists. Give another output, or add --overwrite"),
        ("list.csv", "list.csv", {"overwrite": True}, "is the source itself. Give another output"),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(
    made: Path, tmp_path: Path, source: str, out: str, changes: dict[str, object], message: str
) -> None:
    model = featx.load(made / "m.featx")
    digests = {row.tobytes().hex() for row in model.training["digests"]}
    with featx.Cache.open(made / "f.h5") as cache:
        trained = [p for p, d in zip(cache.catalog.paths, cache.digests, strict=True)
                   if d in digests][:3]  # fmt: skip
    for number, path in enumerate(trained):
        (tmp_path / "trained").mkdir(exist_ok=True)
        shutil.copy(made / "photos" / path, tmp_path / "trained" / f"{number}.png")
    (tmp_path / "list.csv").write_text("path\ntrained/0.png\n")
    (tmp_path / "there.csv").write_text("mine")
    place = tmp_path / source if (tmp_path / source).exists() else made / source
    with pytest.raises(InputError, match=message):
        featx.choose_next(model, place, tmp_path / out, **changes)
    assert (tmp_path / "there.csv").read_text() == "mine"
    assert (tmp_path / "list.csv").read_text() == "path\ntrained/0.png\n"


def test_keywords_and_options_are_the_fields_of_the_settings() -> None:
    fields = typing.get_type_hints(featx.NextSettings)
    assert typing.get_type_hints(choosing.NextChanges) == fields
    given = {p.name: p.default for p in get_command(app.app).commands["next"].params}
    assert set(fields) <= set(given)
    assert settings_from(featx.NextSettings, given) == featx.NextSettings()


def test_the_command_prints_and_says_what_comes_next(made: Path, tmp_path: Path) -> None:
    out = made / "said.csv"
    run = ["next", str(made / "m.featx"), str(made / "inbox"), "-n", "12", "-o", str(out)]
    shown = CliRunner().invoke(app.app, run)
    assert shown.exit_code == 0, shown.output
    assert "12 of 30 images to label" in shown.stdout and "… and 2 more" in shown.stdout
    assert f"Next: featx evaluate {made / 'm.featx'} {out}   (once" in shown.stdout
    refused = CliRunner().invoke(app.app, run)
    assert refused.exit_code == 2 and "exists. Give another output" in refused.stderr
    told = CliRunner().invoke(app.app, [*run, "--overwrite", "--json"])
    content = json.loads(told.stdout)
    assert [row["path"] for row in content["chosen"]] == [row["path"] for row in read(out)]
    shutil.copytree(made / "inbox", tmp_path / "inbox")
    (tmp_path / "inbox" / "b.png").write_bytes(b"")
    broken = [*run[:2], str(tmp_path / "inbox"), "-n", "40", "-o", str(made / "b.csv")]
    found = CliRunner().invoke(app.app, broken)
    assert found.exit_code == 3 and "skipped b.png: empty" in found.stderr
    assert "There are no more that differ from one another" in found.stdout
    assert "--allow-outside   (once the labels are in)" in found.stdout
