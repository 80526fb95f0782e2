"""What people see, at several widths of the terminal."""

import re
from typing import Any

import numpy as np
import pytest

from featx.cli import compare, fit, terminal
from featx.heads.leaderboard import CompareResult, Entry
from featx.heads.registry import HEADS
from featx.metrics import compute_scores


def board(metric: str = "accuracy") -> CompareResult:
    """Return a leaderboard with every head, one of which failed."""
    entries = [
        Entry(name, head.pool, 0.99 - 0.02 * place, 0.03, tied=place < 3, fit_seconds=1.5,
              score_seconds=0.01, size=10**place,
              settings={**head.default_params, **{k: v[0] for k, v in head.param_grid.items()}})
        for place, (name, head) in enumerate(HEADS.items())
    ]  # fmt: skip
    entries[-1] = Entry("hist-gradient-boosting", "avg", error="too few images")
    return CompareResult(entries, entries[1], metric, "5-fold cross-validation", 100, 5, 1, 2.0)


@pytest.fixture(params=[80, 100, 140, None], ids=lambda columns: f"columns={columns}")
def columns(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int | None:
    """Pretend that the terminal is so wide; None is a pipe."""
    for module in (compare, terminal):
        monkeypatch.setattr(module, "width", lambda: request.param)
    return request.param  # type: ignore[no-any-return]


def test_a_leaderboard_is_a_line_a_head_with_its_verdict_last(
    columns: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    compare.say_leaderboard(board())
    lines = capsys.readouterr().out.splitlines()
    for name in HEADS:
        rows = [line for line in lines if re.match(rf" *{name} ", line)]
        assert len(rows) == 1 + (name == "hist-gradient-boosting"), name
    table = lines[: 2 + len(HEADS)]
    if columns:
        assert max(map(len, table)) <= columns
    first, chosen, third = table[2:5]
    assert first.rstrip().endswith("tied") and chosen.rstrip().endswith("chosen")
    assert "0.9700 ± 0.0300" in chosen and "0.960 to 1.000" not in chosen
    assert "0.9900, 0.960 to 1.000" in first  # an interval does not pass 1
    assert ("shrinkage=0.1" in third) == (columns is None or columns >= 100)
    assert ("1 bytes" in first) == (columns is None or columns >= 140)
    assert "tol=" not in "".join(lines)  # only what was chosen from the grid
    assert any("too few images" in line for line in lines)
    assert lines[-2].startswith("Chosen: nearest-centroid on avgmax features")


def scores(images: int, wrong: int = 0) -> Any:
    y = np.arange(images) % 2
    confidence = np.linspace(0.55, 0.95, images)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    probabilities[y == 1] = probabilities[y == 1][:, ::-1]
    probabilities[:wrong] = probabilities[:wrong, ::-1]
    return compute_scores(y, probabilities)


def test_scores_are_sentences(columns: int | None, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say_scores(scores(11), "test images")
    text = capsys.readouterr().out
    assert text.startswith(
        "11 of 11 test images are right: accuracy 1.0000 (95 % interval 74% to 100%).\n"
    )
    assert "0.69 is guessing" in text and "confidence" not in text
    assert max(map(len, text.splitlines())) <= (columns or 200)
    terminal.say_scores(scores(200, wrong=20), "images")
    text = capsys.readouterr().out
    assert "180 of 200 images are right" in text
    assert "How often a label of some confidence is right" in text


def test_a_missing_threshold_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    class Without:
        threshold = threshold_test = None
        target_precision = 0.99

    fit._say_threshold(Without())  # type: ignore[arg-type]
    assert capsys.readouterr().out == "No confidence reaches a precision of 0.99.\n"
