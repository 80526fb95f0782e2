"""The command `featx audit`: what it prints, and its JSON."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from generated import write_image
from typer.testing import CliRunner

import featx
from featx.cli import app


def run(*arguments: object, code: int = 0) -> Any:
    result = CliRunner().invoke(app.app, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    return result


def test_the_summary_names_every_kind(planted: Path) -> None:
    told = run("audit", planted / "f.h5", "--heads", "lda").stdout
    assert "49 images with a label looked at" in told
    assert "6 images in 3 groups show the same picture: 1 of the groups are in different" in told
    assert "train/blue/06.png = train/green/mirror.jpg" in told
    assert "mirrored; different labels" in told and "near; leak" in told
    for text in ("dark: the image is almost black", "train/red/black.png", "blur.png"):
        assert text in told
    assert "with near duplicates kept together, on" in told
    assert told.splitlines()[-1] == f"Next: featx audit {planted / 'f.h5'} -o audit.csv"


def test_the_next_command_takes_the_manifest(planted: Path, tmp_path: Path) -> None:
    shutil.copytree(planted, tmp_path / "in")
    cache = tmp_path / "in" / "f.h5"
    out = tmp_path / "audit.csv"
    told = run("audit", cache, "-o", out, "--heads", "lda").stdout
    assert told.splitlines()[-1] == f"Next: featx extract {out} -o {cache} --allow-outside"
    featx.extract(tmp_path / "in/photos", cache, weights="random", size=32)
    inside = tmp_path / "in/audit.csv"
    told = run("audit", cache, "-o", inside, "--heads", "lda").stdout
    assert told.splitlines()[-1] == f"Next: featx extract {inside} -o {cache}"
    *_, line = told.splitlines()
    words = line.removeprefix("Next: featx ").split()
    found = json.loads(run(*words, "--weights", "random", "--size", 32, "--json").stdout)
    assert found["computed"] == 0


def test_json_holds_what_the_result_holds(planted: Path, tmp_path: Path) -> None:
    told = run("audit", planted / "f.h5", "--heads", "lda", "--json").stdout
    found = json.loads(told)
    mine = featx.audit(planted / "f.h5", heads=("lda",)).as_dict()
    assert {**found, "seconds": 0} == {**mine, "seconds": 0}
    assert set(found["duplicates"][0]) >= {"paths", "labels", "splits", "kinds", "crosses_splits"}


@pytest.mark.parametrize("most", [0, 1])
def test_most_limits_each_table(planted: Path, most: int) -> None:
    told = run("audit", planted / "f.h5", "--heads", "lda", "--most", most).stdout
    assert told.count(" = ") == most
    assert ("… and 2 more (-o FILE lists all)" in told) == bool(most)


def test_quiet_and_no_pixels(planted: Path) -> None:
    told = run("audit", planted / "f.h5", "--heads", "lda", "-q", "--no-pixels")
    # Features alone tell that a black image is unlike the others, and not why.
    assert "Next:" not in told.stdout and "almost black" not in told.stdout and told.stderr == ""


def test_names_with_escapes_are_printed_harmlessly(tmp_path: Path) -> None:
    for hue, name in enumerate(("a\x1b[31m", "b")):
        for number in range(4):
            write_image(tmp_path / "p" / name / f"{number}.png", 10 * hue + number, hue)
    shutil.copy(tmp_path / "p/b/0.png", tmp_path / "p/a\x1b[31m/0.png")
    featx.extract(tmp_path / "p", tmp_path / "f.h5", weights="random", size=32)
    told = run("audit", tmp_path / "f.h5", "--heads", "lda")
    assert "\x1b" not in told.output and "a\\x1b[31m/0.png = b/0.png" in told.stdout


def test_an_output_is_not_replaced(planted: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    out.write_text("mine")
    refused = run("audit", planted / "f.h5", "-o", out, code=2)
    assert "exists. Give another output, or add --overwrite" in refused.stderr
    run("audit", planted / "f.h5", "-o", out, "--overwrite", "--heads", "lda")
    assert out.read_text().startswith("path,label,split,group,issues,")


def test_labels_that_look_like_formulas_come_back_as_they_were(tmp_path: Path) -> None:
    """A manifest that nobody edited changes nothing."""
    for hue, name in enumerate(("=1+1|cmd", "-rf", "'tis")):
        for number in range(4):
            write_image(tmp_path / "photos" / name / f"{number}.png", 10 * hue + number, hue)
    cache, tiny = tmp_path / "f.h5", ["--weights", "random", "--size", 32]
    run("extract", tmp_path / "photos", "-o", cache, *tiny)
    audited, grouped = tmp_path / "a.csv", tmp_path / "g.csv"
    run("audit", cache, "-o", audited, "--groups", grouped, "-q")
    assert "'=1+1|cmd" in audited.read_text() and "''tis" in grouped.read_text()
    for manifest in (audited, grouped):
        run("extract", manifest, "-o", cache, *tiny)
        with featx.Cache.open(cache) as opened:
            assert opened.catalog.classes == ("'tis", "-rf", "=1+1|cmd")
    run("fit", cache, "-o", tmp_path / "m.featx", "--head", "lda")
    unlabelled = tmp_path / "inbox"
    unlabelled.mkdir()
    write_image(unlabelled / "=new.png", 99, 0)
    run("next", tmp_path / "m.featx", unlabelled, "-o", tmp_path / "n.csv", "-q")
    text = (tmp_path / "n.csv").read_text()
    (tmp_path / "n.csv").write_text(text.replace("new.png,,", "new.png,'-rf,"))
    run("extract", tmp_path / "n.csv", "-o", tmp_path / "n.h5", *tiny)
    with featx.Cache.open(tmp_path / "n.h5") as opened:
        assert opened.catalog.classes == ("-rf",)


def test_nothing_is_said_of_labels_that_nothing_can_tell(tmp_path: Path) -> None:
    """Noise without classes: no head is better than one that ignores the images."""
    for number in range(16):
        name = f"{'ab'[number % 2]}/{number}.png"
        write_image(tmp_path / "photos" / name, number, 0)
    run(
        "extract", tmp_path / "photos", "-o", tmp_path / "f.h5", "--weights", "random", "--size", 32
    )
    told = run("audit", tmp_path / "f.h5", "-o", tmp_path / "a.csv")
    assert "Labels are not judged" in told.stderr
    assert "probably wrong" not in told.stdout or "No label is probably wrong" in told.stdout
    assert "suggested_label" in (tmp_path / "a.csv").read_text().splitlines()[0]


def test_an_output_that_cannot_be_written_shows_before_the_work(
    planted: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    begun = time.monotonic()
    told = run("audit", planted / "f.h5", "-o", tmp_path / "file" / "a.csv", code=6)
    assert "a folder is needed there" in told.stderr and time.monotonic() - begun < 0.5
