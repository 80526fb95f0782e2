"""Progress that a function is told of, and the bars that True asks for."""

import contextlib
import io
import re
from collections.abc import Iterator

import pytest

from featx import progress
from featx.progress import shows_progress, watched


class Terminal(io.StringIO):
    """An error stream that is a terminal."""

    def isatty(self) -> bool:
        return True


@contextlib.contextmanager
def on_terminal() -> Iterator[Terminal]:
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(Terminal()) as terminal:
        patch.setenv("TERM", "xterm")
        patch.setenv("COLUMNS", "120")
        yield terminal


@shows_progress
def cook(eggs, *, progress=None, download_progress=None):
    if download_progress:
        download_progress(3_000_000, 3_000_000)
    for number in range(eggs + 1):
        if progress:
            progress(number, eggs, f"egg [{number}]")
    return progress, download_progress


def last_line(terminal: Terminal) -> str:
    return re.sub(r"\x1b\[[?\d;]*[a-zA-Z]", "", terminal.getvalue()).rstrip().splitlines()[-1]


def test_a_bar_ends_with_the_work() -> None:
    with on_terminal() as terminal:
        cook(3, progress=True)
    assert "3 of 3, done after 0:00" in last_line(terminal) and "cook" in last_line(terminal)
    assert terminal.getvalue().count(" 3 of 3, done") == 1


def test_work_without_a_unit_shows_nothing() -> None:
    with on_terminal() as terminal:
        with watched(True, "resting"):
            pass
        with watched(True, "resting") as told:
            told(0, 0)
            told(0, 0)
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_bar_ends_after_an_error(error: type[BaseException]) -> None:
    with on_terminal() as terminal, pytest.raises(error), watched(True, "cooking") as told:
        told(2, 5)
        raise error
    assert "2 of 5, stopped after 0:00" in last_line(terminal)
    assert terminal.getvalue().endswith("\x1b[?25h")  # the cursor is back


def test_another_count_is_another_bar() -> None:
    with on_terminal() as terminal, watched(True, "cooking") as told:
        for done, total in ((0, 2), (2, 2), (2, 2), (0, 4), (4, 4)):
            told(done, total)
    assert terminal.getvalue().count("2 of 2, done") == 1
    assert terminal.getvalue().count("4 of 4, done") == 1


def test_rate_and_time_left_are_of_this_run(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    shown = []

    class Watching:
        seconds = 0.0

        def __call__(self, share: float | None, words: str) -> None:
            shown.append((share, words))

        def close(self) -> None:
            shown.append("closed")

    monkeypatch.setattr(progress, "_find_display", lambda: lambda title: Watching())
    with watched(True, "downloading", "MB", 1e6) as told:
        told(50_000_000, 100_000_000)
        told(60_000_000, 100_000_000)
        told(100_000_000, 100_000_000)
    words = [one[1] for one in shown if one != "closed"]
    # 10 MB in the 20 seconds since the first call, by that clock; those before it took no time.
    assert words[1] == "60 of 100 MB, 0.5 a second, 1:20 left"
    assert words[-1].startswith("100 of 100 MB, done after 0:") and shown[-1] == "closed"
    assert [one[0] for one in shown if one != "closed"] == [0.5, 0.6, 1.0]


def test_elsewhere_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert cook(3, progress=True) == (None, None)
    assert cook(3, progress=False) == (None, None)
    assert capsys.readouterr() == ("", "")


def test_true_is_for_the_other_parts_too() -> None:
    calls = []
    with on_terminal() as terminal:
        told, download = cook(1, progress=True)
        assert told is not download
        own = cook(1, progress=True, download_progress=lambda *call: calls.append(call))[1]
        assert cook(1, progress=True, download_progress=False)[1] is None
        assert cook(0) == (None, None)
    assert own and calls == [(3_000_000, 3_000_000)]
    assert "cook: download" in terminal.getvalue()
    assert terminal.getvalue().count("3 of 3 MB, done") == 1
