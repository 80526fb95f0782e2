"""Time that a run may take."""

import math
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import featx
from featx import progress
from featx.cache import plan
from featx.cli import app
from featx.errors import InputError, OutOfTimeError
from featx.images import decode
from featx.progress import Deadline
from featx.scoring import rows

SMALL: dict[str, Any] = {"weights": "random", "size": 32}


def test_a_deadline_ends_a_run_that_has_more_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    some, never = Deadline(0.5), Deadline(None)
    some.check(1, 10)
    now += 1800
    never.check(1, 10)
    some.check(10, 10)  # all is done: what is left is to put it together
    with pytest.raises(OutOfTimeError, match=r"--max-hours 0\.5 is over: 1,234 of 9,999 parts"):
        some.check(1234, 9999, "parts")


@pytest.mark.parametrize("hours", [0, -1, math.nan, math.inf])
def test_hours_are_above_0(hours: float) -> None:
    with pytest.raises(InputError, match="Expected a number of hours above 0"):
        Deadline(hours)


def test_extract_stops_after_a_part_and_goes_on(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "PART_ROWS", 8)
    monkeypatch.setattr(decode, "_SETTLED", -(10**18))  # the images count as old
    out, words = tmp_path / "f.h5", ["--weights", "random", "--size", "32"]
    command = ["extract", str(photos), "-o", str(out), *words, "--max-hours", "1e-9"]
    stopped = CliRunner().invoke(app.app, command)
    assert stopped.exit_code == 12, stopped.output
    assert "of 24 images are done" in stopped.stderr and "Continue with:" in stopped.stderr
    assert not out.exists()
    runs = 1
    while not out.exists():  # each run does one part and more
        runs += 1
        code = CliRunner().invoke(app.app, command).exit_code
        assert code == (0 if out.exists() else 12) and runs <= 4
    assert runs >= 2
    whole = featx.extract(photos, tmp_path / "whole.h5", **SMALL)
    with featx.Cache.open(out) as found, featx.Cache.open(whole.out) as expected:
        assert (found.features[()] == expected.features[()]).all()


def test_score_stops_after_a_block_and_goes_on(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows.FileSource, "block", 8)
    cache = featx.extract(photos, tmp_path / "f.h5", **SMALL).out
    featx.fit(cache, tmp_path / "m.featx", head="lda")
    out, model = tmp_path / "s.csv", featx.load(tmp_path / "m.featx")
    with pytest.raises(OutOfTimeError, match="of 24 images are done and kept"):
        featx.score(model, photos, out, max_hours=1e-9)
    assert not out.exists()
    done = featx.score(model, photos, out)  # other hours are the same run
    assert done.resumed >= 8 and done.listed == 24
    assert out.read_bytes() == scored(model, photos, tmp_path / "whole.csv")
    with pytest.raises(InputError, match="max_hours needs an output"):
        featx.score(model, photos, max_hours=1)


def scored(model: featx.Model, photos: Path, out: Path) -> bytes:
    featx.score(model, photos, out)
    return out.read_bytes()
