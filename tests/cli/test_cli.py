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
from featx.cli import app, meter

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
    assert extracted["out"] == str(cache)
    again = run_json("extract", digits, "-o", cache, *TINY)
    assert (again["reused"], again["forward"]) == (100, 0)
    board = run_json("compare", cache, "--heads", "logreg,lda", "--folds", 3)
    assert board["entries"][-1]["head"] == "dummy" and board["images"] == 80
    fitted = run_json("fit", cache, "-o", model, "--heads", "logreg,lda")
    assert fitted["head"] == fitted["leaderboard"]["choice"]["head"]
    assert fitted["settings"]["pool"] in ("avg", "avgmax")
    assert fitted["classes"] == [str(digit) for digit in range(10)]
    assert fitted["train"]["images"] == 80 and fitted["test"]["images"] == 20
    assert 0.5 < fitted["test"]["accuracy"] <= 1
    assert {"balanced_accuracy", "macro_f1", "log_loss", "confusion"} <= set(fitted["test"])
    assert fitted["out"] == str(model) and fitted["seconds"] >= 0
    assert run_json("info", cache)["images"] == 100
    assert run_json("info", model)["test"] == fitted["test"]
    text = run("fit", cache, "-o", model, "--heads", "logreg,lda").stdout
    accuracy = fitted["test"]["accuracy"]
    sentence = (
        f"{round(20 * accuracy)} of 20 test images are right: accuracy {accuracy:.4f} (95 % in"
    )
    assert sentence in text and "Chosen: " in text and "Confusion" in text
    assert "weights are RANDOM" in text and f"Next: featx score {model} FOLDER" in text
    told = run("info", cache).stdout
    assert "\nImages\n" in told and re.search(r"layer \(cut\) +block5_pool", told)
    assert re.search(r"head +\w+ on \w+ features", run("info", model).stdout)
    assert "100 listed = 100 cached" in run("extract", digits, "-o", cache, *TINY).stdout


def test_scoring_and_evaluating(photos: Path, tmp_path: Path) -> None:
    cache, model, out = tmp_path / "f.h5", tmp_path / "m.featx", tmp_path / "s.csv"
    run("extract", photos, "-o", cache, *TINY)
    fitted = run("fit", cache, "-o", model, "--head", "lda", "--target-precision", 0.9)
    assert "Threshold          --abstain " in fitted.stdout
    done = run_json("score", model, photos, "-o", out, "--top", 1)
    assert (done["listed"], done["ok"], done["failed"]) == (24, 24, {})
    assert out.read_text().startswith("path,status,label,confidence,class_1,p_1,novelty")
    again = run("score", model, photos, "-o", out, code=2)
    assert "s.csv exists. Give another output, or add --overwrite" in again.stderr
    (photos / "red" / "0.png").write_bytes(b"")
    broken = run("score", model, photos, "-o", out, "--overwrite", "--abstain", 0.99, code=3)
    assert "24 listed = 23 scored + 1 failed" in broken.stdout
    assert "1 failed: empty, the file has no bytes" in broken.stderr
    found = run_json("evaluate", model, photos, code=3)
    assert found["images"] + found["trained_on"] + len(found["skipped"]) == 24
    assert found["accuracy"] == 1 and found["intervals"]["accuracy"] == [1, 1]
    text = run("evaluate", model, cache).stdout
    assert "19 left out: the model was trained on them" in text
    assert "Accuracy           1.0000  1.0000 to 1.0000" in text


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


def test_skipped_images_make_exit_code_3(photos: Path, tmp_path: Path) -> None:
    whole = (photos / "red" / "0.png").read_bytes()
    (photos / "red" / "bad\x1b[31m.png").write_bytes(whole[:200])
    (photos / "red" / "notes.txt").write_text("x")
    done = run("extract", photos, "-o", tmp_path / "f.h5", *TINY, code=3)
    assert r"skipped red/bad\x1b[31m.png: truncated, the image's data ends early" in done.stderr
    assert "25 listed = 24 cached + 0 duplicates + 1 skipped" in done.stdout
    assert "1 files that do not look like images were ignored" in done.stdout
    assert "3 classes: blue 8, green 8, red 8" in done.stdout
    again = run_json("extract", photos, "-o", tmp_path / "f.h5", *TINY, code=3)
    assert again["skipped"] == [{"path": "red/bad\x1b[31m.png", "reason": "truncated"}]
    assert (
        run_json("fit", tmp_path / "f.h5", "-o", tmp_path / "m.featx", "--head", "lda")["train"][
            "images"
        ]
        == 19
    )
    assert run("extract", photos, "-o", tmp_path / "f.h5", *TINY, "--strict", code=4)


def bad_inputs(tmp: Path) -> list[tuple[list[object], int, str]]:
    """Return command, exit code and what the message must say."""
    (tmp / "empty").mkdir()
    (tmp / "texts/a").mkdir(parents=True)
    (tmp / "texts/a/1.txt").write_text("x")
    photos, out = tmp / "photos", tmp / "o.h5"
    return [
        (["extract", tmp / "missing", "-o", out], 2, "does not exist"),
        (["extract", tmp / "empty", "-o", out], 2, "is empty"),
        (["extract", tmp / "texts", "-o", out], 2, "has no images, only 1 other files"),
        (
            ["extract", photos, "-o", tmp / "texts/a/1.txt/f.h5", *TINY],
            6,
            "is a file; a folder is needed",
        ),
        (["extract", photos, "-o", "/proc/f.h5", *TINY], 6, "/proc/f.h5"),
        (["extract", photos, "-o", out, *TINY, "--cut", "fc1"], 2, "Unknown layer 'fc1'"),
        (
            ["extract", photos, "-o", out, *TINY, "--copies", "1", "--augment", "x"],
            2,
            "augmentation",
        ),
        (["extract", photos, "-o", out, *TINY, "--size", "50"], 2, "multiple of 32"),
        (["extract", photos, "-o", out, "--no-such-option"], 2, "No such option"),
        (["fit", tmp / "missing.h5"], 2, "does not exist"),
        (["fit", photos / "red" / "0.png"], 4, "is not a whole featx cache"),
        (["fit", tmp / "missing.h5", "--head", "svm"], 2, "Unknown head 'svm'"),
        (["fit", tmp / "missing.h5", "--set", "C=1"], 2, "belongs to a head"),
        (["fit", tmp / "missing.h5", "--head", "lda", "--set", "C=1"], 2, "no option 'C'"),
        (["fit", tmp / "missing.h5", "--head", "logreg", "--set", "C=x"], 2, "C is 'x'"),
        (["fit", tmp / "missing.h5", "--metric", "mse"], 2, "Unknown metric 'mse'"),
        (["compare", tmp / "missing.h5"], 2, "does not exist"),
        (["compare", tmp / "missing.h5", "--set", "C=1"], 2, "expected HEAD.NAME=VALUE"),
        (["info", tmp / "missing"], 2, "does not exist"),
        (["score", tmp / "missing.featx", photos], 2, "does not exist. Make it with: featx fit"),
        (["score", photos / "red" / "0.png", photos], 4, "is not a whole featx model"),
        (["evaluate", tmp / "missing.featx", photos], 2, "does not exist"),
        (["score", tmp / "missing.featx"], 2, "Missing argument 'SOURCE"),
        (["finetune", tmp / "missing.featx"], 2, "does not exist. Make it with: featx fit"),
        (
            ["finetune", tmp / "missing.featx", "--epochs", "0"],
            2,
            "epochs is 0. Expected 1 or more",
        ),
        (["finetune", tmp / "missing.featx", "--validation", "1"], 2, "validation is 1"),
        (
            ["finetune", photos / "red" / "0.png", "-o", tmp / "t.featx"],
            4,
            "not a whole featx model",
        ),
        (["export", tmp / "missing.featx"], 2, "does not exist. Make it with: featx fit"),
        (["export", photos / "red" / "0.png", "-o", tmp / "m.keras"], 4, "not a whole featx model"),
        (["preview", tmp / "missing", "-o", tmp / "s.png"], 2, "does not exist"),
        (["preview", photos, "-o", tmp / "s.txt"], 2, "Expected one that ends in .png"),
        (["preview", photos, "-o", tmp / "s.png", "--augment", "x"], 2, "Unknown augmentation"),
        (["weights", "fetch", "elsewhere"], 2, "Unknown weights 'elsewhere'"),
        (["weights", "fetch", "keras", "--from", tmp / "no"], 2, "is not a file"),
    ]


def test_bad_input_has_a_message_and_an_exit_code(photos: Path, tmp_path: Path) -> None:
    for command, code, message in bad_inputs(tmp_path):
        result = run(*command, code=code)
        assert message in result.stderr, (command, result.stderr)
        assert "Traceback" not in result.output
        assert not result.stdout.strip() or "Usage" in result.output
    assert not (tmp_path / "o.h5").exists()


def test_what_cannot_be_trained_on(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.h5"
    run("extract", photos / "red", "-o", out, *TINY)
    assert "have no labels" in run("fit", out, "-o", tmp_path / "m", code=2).stderr
    for name in ("blue", "green"):
        for path in (photos / name).iterdir():
            path.unlink()
    run("extract", photos, "-o", out, *TINY)
    one = run("fit", out, "-o", tmp_path / "m", code=2).stderr
    assert "There is one class, 'red', with 8 images" in one
    assert not (tmp_path / "m").exists()


def test_other_settings_exit_5(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.h5"
    run("extract", photos, "-o", out, *TINY)
    result = run("extract", photos, "-o", out, "--weights", "random", "--size", 64, code=5)
    assert "size: 32 there, 64 now" in result.stderr
    error = run_json("extract", photos, "-o", out, "--weights", "random", "--size", 64, code=5)
    assert error["exit_code"] == 5 and "--overwrite" in error["error"]


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
    text = run("weights").stdout
    assert ("Next: featx weights fetch" in text) == (text.count("not on this machine") == 2)


def test_preview_is_an_image(photos: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    drawn = run_json("preview", photos, "-o", sheet, "--augment", "article", "--copies", 3,
                     "--images", 4, "--size", 64)  # fmt: skip
    assert drawn["images"] == 4
    with Image.open(sheet) as image:
        assert image.size == (6 + 4 * 70, 4 * (19 + 70) + 25)
        assert len(image.getcolors(1 << 20) or []) > 100
    listed = photos / "sub" / "list.csv"
    listed.parent.mkdir()
    listed.write_text("path\n../blue/0.png\n")
    assert "--allow-outside" in run("preview", listed, "-o", sheet, code=2).stderr
    assert run_json("preview", listed, "-o", sheet, "--allow-outside")["images"] == 1
    old = run_json("preview", photos, "-o", sheet, "--pictures", "2", "--size", 64)
    assert old["images"] == old["pictures"] == 2
    (photos / "blue" / "0.png").write_bytes(b"")
    assert "empty" in run("preview", photos, "-o", sheet, code=3).stderr


def test_version() -> None:
    assert run("--version").stdout == f"featx {__version__}\n"


def test_bugs_are_exit_code_1_with_a_traceback(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("featx.cli.info._cache_groups", broken)
    run("extract", photos, "-o", tmp_path / "f.h5", *TINY)
    result = run("info", tmp_path / "f.h5", code=1)
    assert "ZeroDivisionError" in result.stderr and "This is a bug in featx" in result.stderr


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
    assert warning == "Using random weights: results are only meaningful in tests."
    # No bar; on a machine that takes more than ten seconds, a plain line now and then.
    assert all(re.fullmatch(r"Extracting: \d+ of 24 images.*", line) for line in progress)


def test_meter_writes_plain_lines_with_rate_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 20.0, 21.0, 40.0])
    monkeypatch.setattr(meter.time, "monotonic", lambda: next(clock))
    with meter.Meter("Extracting", "images") as told:
        told(0, 1000, 0)
        told(100, 1000, 100)
        told(105, 1000, 105)
        told(500, 1000, 200)
    assert capsys.readouterr().err.splitlines() == [
        "Extracting: 100 of 1,000 images, 5.0 a second, 3:00 left",
        "Extracting: 500 of 1,000 images, 5.0 a second, 1:40 left",
    ]
