"""What people see: tables as wide as the terminal, sentences, groups, help pages."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from featx import metrics
from featx.cli import app, compare, info, meter, scores, terminal
from featx.heads import registry
from featx.heads.display import score_words
from featx.heads.leaderboard import CompareResult, Entry

COMMANDS = (
    [], ["sample"], ["extract"], ["preview"], ["compare"], ["fit"], ["finetune"], ["score"],
    ["evaluate"], ["export"], ["verify"], ["info"], ["weights"], ["weights", "fetch"],
)  # fmt: skip


def terminal_of(monkeypatch: pytest.MonkeyPatch, columns: int | None) -> None:
    monkeypatch.setattr(terminal, "width", lambda: columns)


def board() -> CompareResult:
    """Return a leaderboard of every head, with settings as long as they can be."""
    entries = []
    for name, head in registry.HEADS.items():
        chosen = {
            **head.default_params,
            **{option: values[-1] for option, values in head.param_grid.items()},
        }
        entries.append(
            Entry(name, "avgmax", score=0.99, ci95_half_width=0.03, tied=True, fit_seconds=12.3456,
                  score_seconds=1.2345, log_loss=0.0123, size=123_456_789, settings=chosen)
        )  # fmt: skip
    at = list(registry.HEADS).index
    entries[at("nearest-centroid")] = Entry(
        "nearest-centroid", "avgmax", error="not finished within the budget"
    )
    return CompareResult(
        entries, entries[at("logreg")], "balanced-accuracy", "5-fold", 100, 5, 1, 1.0
    )


@pytest.mark.parametrize("columns", [80, 100, 140, None])
def test_the_leaderboard_fits_the_terminal(
    columns: int | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal_of(monkeypatch, columns)
    compare.print_leaderboard(board())
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= (columns or 1000)
    rows = {line.split()[0]: line for line in lines[2 : 2 + len(registry.HEADS)]}
    assert set(rows) == set(registry.HEADS)  # a line a head, and no name is cut
    assert lines[1].endswith("verdict")
    assert rows["logreg"].endswith("  chosen") and rows["dense"].endswith("  tied")
    assert rows["nearest-centroid"].endswith("  failed")
    assert ("C=300.0" in rows["logreg"]) == (columns != 80)
    assert ("123,456,789" in rows["logreg"]) == (columns in (140, None))
    assert "n_estimators" not in "".join(lines)  # a default, and no choice
    assert "0.9900 +0.0100 −0.0300" in rows["logreg"]
    assert any("nearest-centroid on avgmax failed: not finished" in line for line in lines)


def test_an_interval_is_within_0_and_1_or_symmetric() -> None:
    def shown(score: float, half: float, metric: str = "accuracy") -> str:
        return score_words(Entry("lda", "avg", score=score, ci95_half_width=half), metric)

    assert shown(0.9, 0.05) == "0.9000 ± 0.0500"
    assert shown(0.02, 0.05) == "0.0200 +0.0500 −0.0200"
    assert shown(1.0, 0.0) == "1.0000 ± 0.0000"
    assert shown(0.5, 3.7) == "0.5000 ± 0.5000"


def test_a_table_is_folded_on_a_terminal_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "folder/" * 20 + "1.jpg"
    for columns in (None, 80):
        terminal_of(monkeypatch, columns)
        terminal.print_table("T", ["path", "n"], [[path, "7"], ["short", "12"]])
        lines = capsys.readouterr().out.splitlines()
        assert (path in lines[2]) == (columns is None)
        assert max(map(len, lines)) <= (columns or 1000)
        assert lines[-1].endswith(" 12") and "\x1b" not in "".join(lines)


def scored(confidences: list[float]) -> metrics.Scores:
    y = np.arange(len(confidences)) % 2
    probabilities = np.array(
        [[c, 1 - c] if label == 0 else [1 - c, c] for c, label in zip(confidences, y, strict=True)]
    )
    return metrics.compute_scores(y, probabilities)


def test_scores_are_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    scores.print_scores(scored([0.95] * 11), "test images", {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "11 of 11 test images are right (95 % interval 74 to 100 %)."
    assert "Log loss 0.0513: 0 is best; giving all 2 classes the same probability has 0.6931." in (
        lines
    )
    assert any("confidence and accuracy are 5.0 percentage points apart" in row for row in lines)


def test_reliability_is_a_table_where_it_says_something(
    capsys: pytest.CaptureFixture[str],
) -> None:
    scores.print_reliability(scored([0.95] * 30 + [0.85] * 9 + [0.75] * 10))
    assert "not shown as a table" in capsys.readouterr().out
    scores.print_reliability(scored([0.95] * 30 + [0.85] * 10 + [0.75] * 10 + [0.65]))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[-3:]] == [
        ["0.750", "1.000", "10"], ["0.850", "1.000", "10"], ["0.950", "1.000", "30"],
    ]  # fmt: skip
    assert "(rows of 10 images or more)" in lines[1]


def test_a_confusion_matrix_wider_than_the_terminal_becomes_pairs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal_of(monkeypatch, 80)
    names = [f"a class with a long name {n}" for n in range(4)]
    counts = np.diag([5, 5, 5, 5])
    counts[2, 1] = 3
    scores.print_confusion(names, counts.tolist())
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80 and len(lines) == 3
    assert lines[2].split() == [*names[2].split(), *names[1].split(), "3"]


def test_info_is_in_groups(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fingerprint = {
        "weights": "ab" * 32, "preprocessing": "caffe", "cut": "block5_pool", "size": 224,
        "resize": "crop", "copies": 2, "augment": "{}", "seed": 3, "dtype": "float16",
        "precision": "float32", "runtime": "winograd", "ranges": "none", "keep": "all",
        "network": "vgg16", "also": [],
    }  # fmt: skip
    model: dict[str, Any] = {
        "format": "featx-model", "version": 3, "featx": "0.1.0", "head": "lda", "view": "avg",
        "settings": {"view": "avg", "seed": 0, "shrinkage": 0.3}, "tail": None,
        "classes": [f"c{n}" for n in range(20)], "weights": "keras", "fingerprint": fingerprint,
        "train": {"images": 1234, "rows": 3702, "features": "/f.h5"},
        "test": {"images": 11, "confusion": [[5, 1], [0, 5]], "accuracy": 10 / 11,
                 "log_loss": 0.25, "calibration_error": 0.125},
        "leaderboard": None, "tuning": None, "threshold": None, "versions": {"numpy": "2"},
    }  # fmt: skip
    file = tmp_path / "m.featx"
    file.write_bytes(b"x" * 1_234_567)
    info.print_described(file, model)
    text = capsys.readouterr().out
    titles = [line for line in text.splitlines()[1:-1] if line and not line.startswith(" ")]
    assert titles == [
        "What it is", "Data", "Features", "How it was made", "Results", "Versions"
    ]  # fmt: skip
    assert "1.2 MB" in text and "10 of 11 images are right (accuracy 0.9091)" in text
    assert "20: c0, c1" in text and "and 8 more" in text and "c19" not in text
    assert "2 of each image, seed 3" in text and "shrinkage=0.3" in text


@pytest.mark.parametrize("columns", [80, 100, 140])
def test_help_pages_fit_the_terminal(columns: int) -> None:
    for command in COMMANDS:
        found = CliRunner().invoke(app.app, [*command, "--help"], env={"COLUMNS": str(columns)})
        assert found.exit_code == 0
        assert max(map(len, found.stdout.splitlines())) <= columns, command
        assert not re.search(r"<(path|str|int|float|bool|list)|\{[a-z]\w*\.", found.stdout), command


def test_options_say_what_they_do() -> None:
    for command in COMMANDS[1:]:
        found = app.typer.main.get_command(app.app)
        for name in command:
            found = found.commands[name] if hasattr(found, "commands") else found
        for parameter in found.params:
            if not getattr(parameter, "hidden", False):
                assert len(parameter.help.split()) >= 3, (command, parameter.name)
                assert parameter.help.endswith("."), (command, parameter.name)


def test_both_spellings_of_renamed_keys(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.write_json({"forward": 3, "classes": {"images": 1}}, "extract")
    found = json.loads(capsys.readouterr().out)
    assert found == {"forward": 3, "computed": 3, "classes": {"images": 1}}
    terminal.write_json({"computed": 3, "settings": {"validation": 0.1}}, "extract")
    assert json.loads(capsys.readouterr().out)["forward"] == 3
    terminal.write_json({"images": 9, "validation": {"images": 7}, "test": {"images": 1}}, "tune")
    found = json.loads(capsys.readouterr().out)
    assert found == {"images": 9, "validation": {"images": 7, "pictures": 7}, "test": {"images": 1}}
    rows = [{"ci95_half_width": 0.1}]
    terminal.write_json({"images": 2, "entries": rows}, "compare")
    found = json.loads(capsys.readouterr().out)
    assert found["pictures"] == 2 and found["entries"][0]["half_width"] == 0.1


def test_the_next_command_is_named_unless_quiet(tmp_path: Path) -> None:
    for quiet in ([], ["--quiet"]):
        folder = tmp_path / f"two words{len(quiet)}"
        command = ["sample", str(folder), "--per-class", "2", *quiet]
        text = CliRunner().invoke(app.app, command).stdout
        assert (f"Next: featx extract '{folder}'" in text) == (not quiet)


def test_meter_writes_plain_lines_with_rate_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 20.0, 21.0, 40.0])
    monkeypatch.setattr(meter.time, "monotonic", lambda: next(clock))
    with meter.Meter("Extracting", "images") as show:
        show(0, 1000, 0)
        show(100, 1000, 100)
        show(105, 1000, 105)
        show(500, 1000, 200)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" ")[2] for line in lines] == [  # after the time
        "Extracting: 100 of 1,000 images, 5.0 a second, 3:00 left",
        "Extracting: 500 of 1,000 images, 5.0 a second, 1:40 left",
    ]


def test_meter_names_what_is_under_way_in_brackets(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 20.0])
    monkeypatch.setattr(meter.time, "monotonic", lambda: next(clock))
    with meter.Meter("Comparing heads", "folds") as show:
        show(0, 55, "lda")
        show(23, 55, "logreg")
    line = capsys.readouterr().err
    assert " Comparing heads: 23 of 55 folds, " in line and line.endswith(" (logreg)\n")
