"""The command line: exit codes, JSON, messages."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from featx import __version__
from featx.cli import app

TINY = ["--weights", "random", "--size", "32"]


def run(*arguments: object, code: int = 0) -> Any:
    result = CliRunner().invoke(app.app, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    return result


def run_json(*arguments: object, code: int = 0) -> dict[str, Any]:
    return json.loads(run(*arguments, "--json", code=code).stdout)


def test_the_whole_way(tmp_path: Path) -> None:
    digits, cache, model = tmp_path / "digits", tmp_path / "f.h5", tmp_path / "m.featx"
    sample = run_json("sample", digits, "--per-class", 10)
    assert (sample["train"], sample["test"]) == (80, 20)
    extracted = run_json("extract", digits, "-o", cache, *TINY)
    for key in ("listed", "cached", "reused", "forward", "skipped", "duplicates", "out", "seconds"):
        assert key in extracted
    assert extracted["listed"] == extracted["cached"] == extracted["forward"] == 100
    assert extracted["computed"] == extracted["forward"]
    assert extracted["out"] == str(cache)
    again = run_json("extract", digits, "-o", cache, *TINY)
    assert (again["reused"], again["forward"]) == (100, 0)
    board = run_json("compare", cache, "--heads", "logreg,lda", "--folds", 3)
    assert board["entries"][-1]["head"] == "dummy"
    assert board["images"] == board["pictures"] == 80
    assert all(row["half_width"] == row["ci95_half_width"] > 0 for row in board["entries"])
    fitted = run_json("fit", cache, "-o", model, "--heads", "logreg,lda")
    assert fitted["head"] == fitted["leaderboard"]["choice"]["head"]
    assert fitted["settings"]["view"] in ("avg", "avgmax")
    assert fitted["classes"] == [str(digit) for digit in range(10)]
    assert fitted["train"]["images"] == 80 and fitted["test"]["images"] == 20
    assert 0.5 < fitted["test"]["accuracy"] <= 1
    assert all(row["images"] == row["pictures"] for row in fitted["test"]["reliability"])
    assert {"balanced_accuracy", "macro_f1", "log_loss", "confusion"} <= set(fitted["test"])
    assert fitted["out"] == str(model) and fitted["seconds"] >= 0
    assert run_json("info", cache)["images"] == 100
    assert run_json("info", model)["test"] == fitted["test"]
    text = run("fit", cache, "-o", model, "--heads", "logreg,lda", "--overwrite").stdout
    assert f"Accuracy {fitted['test']['accuracy']:.4f}" in text
    right = sum(row[at] for at, row in enumerate(fitted["test"]["confusion"]))
    assert f"{right} of 20 test images are right (95 % interval " in text
    assert "chosen" in text and "Reliability" in text
    assert "RANDOM weights" in text and "Confusion" in text
    assert "layer               block5_pool" in run("info", cache).stdout
    assert "100 listed = 100 cached" in run("extract", digits, "-o", cache, *TINY).stdout


def test_scoring_and_evaluating(photos: Path, tmp_path: Path) -> None:
    cache, model, out = tmp_path / "f.h5", tmp_path / "m.featx", tmp_path / "s.csv"
    run("extract", photos, "-o", cache, *TINY)
    fitted = run("fit", cache, "-o", model, "--head", "lda", "--target-precision", 0.9)
    assert "Threshold: --abstain " in fitted.stdout
    done = run_json("score", model, photos, "-o", out, "--top", 1)
    assert (done["listed"], done["ok"], done["failed"]) == (24, 24, {})
    assert out.read_text().startswith("path,status,label,confidence,class_1,p_1,novelty")
    again = run("score", model, photos, "-o", out, code=2)
    assert "s.csv exists. Give another output, or add --overwrite" in again.stderr
    (photos / "red" / "0.png").write_bytes(b"")
    broken = run("score", model, photos, "-o", out, "--overwrite", "--abstain", 0.99, code=3)
    assert "24 listed = 23 scored + 1 failed" in broken.stdout
    assert "1 failed: empty, for example red/0.png: the file has no bytes" in broken.stderr
    found = run_json("evaluate", model, photos, code=3)
    assert found["images"] + found["trained_on"] + len(found["skipped"]) == 24
    assert found["accuracy"] == 1
    low, high = found["intervals"]["accuracy"]
    assert 0.3 < low < 0.9 and high == 1  # of a few images, no mistake is no certainty
    text = run("evaluate", model, cache).stdout
    assert "19 left out: the model was trained on them" in text
    assert "5 of 5 images are right (95 % interval 56 to 100 %)." in text
    assert "Accuracy 1.0000 (0.5655 to 1.0000)" in text


def test_a_list_of_images_on_standard_input(photos: Path, tmp_path: Path) -> None:
    cache, model, out = tmp_path / "f.h5", tmp_path / "m.featx", tmp_path / "s.jsonl"
    run("extract", photos, "-o", cache, *TINY)
    run("fit", cache, "-o", model, "--head", "lda")
    names = [photos / "red" / "0.png", photos / "no\nsuch.jpg", photos / "blue" / "1.png"]

    def score(text: str, *options: object, code: int) -> Any:
        command = ["score", model, "-", "-o", out, "--overwrite", *options]
        result = CliRunner().invoke(app.app, list(map(str, command)), input=text)
        assert result.exit_code == code, result.output
        return result

    score("\0".join(map(str, names)) + "\0", "-0", code=3)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["path"] for row in rows] == sorted(map(str, names))
    assert [row["status"] for row in rows] == ["ok", "vanished", "ok"]
    score(f"{names[0]}\n\n{names[2]}\n", code=0)
    assert len(out.read_text().splitlines()) == 2
    assert "list of images is empty" in score("\n", code=2).stderr
    assert "is listed twice" in score(f"{names[0]}\n{names[0]}", code=2).stderr


def test_sample_is_written_once_and_not_over_other_files(tmp_path: Path) -> None:
    run("sample", tmp_path / "d", "--per-class", 5)
    run("sample", tmp_path / "d", "--per-class", 5)
    assert "holds other files" in run("sample", tmp_path / "d", "--per-class", 3, code=2).stderr
    assert "Expected 2 or more" in run("sample", tmp_path / "e", "--per-class", 1, code=2).stderr
    whole = run_json("sample", tmp_path / "all")
    assert whole["train"] + whole["test"] == 1797
    assert Image.open(tmp_path / "all/train/0/0000.png").size == (8, 8)


def test_weights_of_an_existing_cache_are_taken(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.h5"
    run("extract", photos, "-o", out, *TINY)
    again = run_json("extract", photos, "-o", out, "--size", 32)  # auto
    assert again["weights"] == "random" and again["forward"] == 0


def test_environment_names_the_weights(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEATX_WEIGHTS", "random")
    assert run_json("extract", photos, "-o", tmp_path / "f.h5", "--size", 32)["weights"] == "random"


def test_weights_are_listed() -> None:
    found = run_json("weights")["sources"]
    assert set(found) == {"keras", "torchvision"}
    assert all(len(source["sha256"]) == 64 for source in found.values())
    assert "Fetch them with" in run("weights").stdout


def test_preview_is_an_image(photos: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    drawn = run_json("preview", photos, "-o", sheet, "--augment", "article", "--copies", 3,
                     "--images", 4, "--size", 64)  # fmt: skip
    assert drawn["images"] == drawn["pictures"] == 4
    older = run_json("preview", photos, "-o", tmp_path / "o.png", "--pictures", 2, "--size", 64)
    assert older["images"] == 2 and "--pictures" not in run("preview", "--help").stdout
    with Image.open(sheet) as image:
        assert image.size == (6 + 4 * 70, 4 * (19 + 70) + 25)
        assert len(image.getcolors(1 << 20) or []) > 100
    listed = photos / "sub" / "list.csv"
    listed.parent.mkdir()
    listed.write_text("path\n../blue/0.png\n")
    other = tmp_path / "other.png"
    assert "--allow-outside" in run("preview", listed, "-o", other, code=2).stderr
    assert run_json("preview", listed, "-o", other, "--allow-outside")["images"] == 1
    (photos / "blue" / "0.png").write_bytes(b"")
    assert "empty" in run("preview", photos, "-o", other, "--overwrite", code=3).stderr


def test_version() -> None:
    assert run("--version").stdout == f"featx {__version__}\n"


@pytest.mark.slow
def test_quiet_when_piped(photos: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "featx", "extract", str(photos), "-o", str(tmp_path / "f.h5")]
    done = subprocess.run(
        [*command, *TINY, "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    assert done.returncode == 0
    assert json.loads(done.stdout)["cached"] == 24
    warning, *progress = done.stderr.splitlines()
    assert warning.endswith(" Using random weights: results are only meaningful in tests.")
    # No bar; on a machine that takes more than ten seconds, a plain line now and then.
    assert all(re.fullmatch(r"\S+ Extracting: \d+ of 24 images.*", line) for line in progress)
