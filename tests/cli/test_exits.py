"""Exit codes, and the messages that come with them."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from featx.cli import app

TINY = ["--weights", "random", "--size", "32"]


def run(*arguments: object, code: int = 0) -> Any:
    result = CliRunner().invoke(app.app, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    return result


def run_json(*arguments: object, code: int = 0) -> dict[str, Any]:
    return json.loads(run(*arguments, "--json", code=code).stdout)


def test_skipped_images_make_exit_code_3(photos: Path, tmp_path: Path) -> None:
    whole = (photos / "red" / "0.png").read_bytes()
    (photos / "red" / "bad\x1b[31m.png").write_bytes(whole[:200])
    (photos / "red" / "notes.txt").write_text("x")
    done = run("extract", photos, "-o", tmp_path / "f.h5", *TINY, code=3)
    assert r"skipped red/bad\x1b[31m.png: truncated, the image's data ends early" in done.stderr
    assert "25 listed = 24 cached + 0 duplicates + 1 skipped" in done.stdout
    assert "1 files that do not look like images" in done.stdout
    again = run_json("extract", photos, "-o", tmp_path / "f.h5", *TINY, code=3)
    (skipped,) = again["skipped"]
    assert (skipped["path"], skipped["reason"]) == ("red/bad\x1b[31m.png", "truncated")
    assert "ends early or is damaged" in skipped["detail"]
    assert (
        run_json("fit", tmp_path / "f.h5", "-o", tmp_path / "m.featx", "--head", "lda")["train"][
            "images"
        ]
        == 19
    )
    assert run("extract", photos, "-o", tmp_path / "f.h5", *TINY, "--strict", code=4)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("score --json", "Missing argument 'MODEL'"),
        ("fit --json --nope", "No such option: --nope"),
        ("--json", "No such option: --json"),
        ("fitt --json", "No such command 'fitt'"),
        ("extract photos --copies big --json", "Invalid value for '--copies'"),
        ("extract photos --size big --json", "--size big: expected a number of pixels"),
        ("weights fetch --nope --json", "No such option: --nope"),
    ],
)
def test_a_usage_error_is_json_too(command: str, said: str) -> None:
    done = CliRunner().invoke(app.app, command.split())
    assert done.exit_code == 2
    told = json.loads(done.stdout)
    assert said in told["error"] and told["exit_code"] == 2
    plain = CliRunner().invoke(app.app, command.replace("--json", "").split() or ["--nope"])
    assert plain.stdout == "" and plain.exit_code == 2


def test_files_that_are_swapped_are_named(photos: Path, tmp_path: Path) -> None:
    cache, model, out = tmp_path / "f.h5", tmp_path / "m.featx", tmp_path / "s.csv"
    run("extract", photos, "-o", cache, *TINY)
    run("fit", cache, "-o", model, "--head", "lda")
    for command in (["compare", model], ["fit", model, "-o", tmp_path / "n.featx"]):
        said = run(*command, code=2).stderr
        assert "m.featx is a featx model, and a cache is needed here" in said
    for command in (
        ["score", cache, photos, "-o", out],
        ["export", cache],
        ["evaluate", cache, photos],
    ):
        said = run(*command, code=2).stderr
        assert "f.h5 is a featx cache, and a model is needed here" in said
    assert "is a folder, and a cache is needed here" in run("fit", photos, code=2).stderr
    assert "is a folder, and a model is" in run("score", photos, photos, code=2).stderr


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
        (["weights", "fetch", "elsewhere"], 2, "Unknown source 'elsewhere'"),
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


def test_bugs_are_exit_code_1_with_a_traceback(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("featx.cli.info.print_described", broken)
    run("extract", photos, "-o", tmp_path / "f.h5", *TINY)
    result = run("info", tmp_path / "f.h5", code=1)
    assert "ZeroDivisionError" in result.stderr and "This is a bug in featx" in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("report", "m.featx", "--seed", "-1"),
        ("audit", "f.h5", "--seed", "4294967296"),
        ("audit", "f.h5", "--folds", "99999999999999999999"),
        ("curve", "f.h5", "--seed", "-1"),
        ("curve", "f.h5", "--repeats", "1000000000"),
        ("compare", "f.h5", "--seed", "4294967296"),
        ("fit", "f.h5", "--seed", "-1"),
        ("evaluate", "m.featx", "f.h5", "--mistakes", "-1"),
        ("next", "m.featx", "f.h5", "--seed", "-1"),
    ],
)
def test_numbers_out_of_range_are_wrong_usage(words: tuple[str, ...]) -> None:
    assert "Invalid value" in run(*words, code=2).stderr
