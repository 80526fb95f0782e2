"""The benchmarks can be read by Python, and what falls short of a promise is seen."""

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def among_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.mark.usefixtures("among_benchmarks")
@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.py")), ids=lambda path: path.stem)
def test_a_benchmark_is_whole(path: Path) -> None:
    assert runpy.run_path(str(path), run_name="read")["__doc__"]


@pytest.mark.usefixtures("among_benchmarks")
def test_what_falls_short_is_seen() -> None:
    check = SimpleNamespace(**runpy.run_path(str(BENCHMARKS / "check.py"), run_name="read"))
    fast = check.Promise("b", "times", least=2)
    small = check.Promise("b", "GiB", most=3, on="int8")

    def word(promise: Any, precision: str = "int8", **ratios: float) -> str:
        found = {"machine": {"precision": precision}, "ratios": ratios}
        return str(check.verdict(promise, found)[1])

    assert (word(fast, times=2.0), word(fast, times=1.9)) == ("ok", "falls short")
    assert (word(small, GiB=3.0), word(small, GiB=3.1)) == ("ok", "falls short")
    assert (word(small, precision="float32", GiB=9.0), word(fast)) == (
        "does not apply",
        "not measured",
    )
    assert check.verdict(fast, None)[1] == "not measured"
