"""What a run leaves for those who do not look: times, a log file, JSON lines, a progress file."""

import errno
import io
import json
import logging
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from disks import Watched
from typer.testing import CliRunner

from featx.cli import app, exits, meter, watch
from featx.cli.lines import Line
from featx.cli.state import Far, State
from featx.errors import StorageError
from featx.storage import files, notes

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?[+-]\d\d:\d\d"


def run(*arguments: object, code: int = 0) -> Any:
    result = CliRunner().invoke(app.app, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def disk() -> Iterator[None]:
    yield
    files.disk = files.Disk()


def during(asked: watch.Asked) -> Any:
    """Return a block that runs as a command does."""
    watch.ask(asked)
    return exits.exit_on_error(False)


def test_a_log_file_has_what_happened_with_times(photos: Path, tmp_path: Path) -> None:
    (photos / "red" / "bad.png").write_bytes(b"no image")
    log = tmp_path / "run.log"
    run("check", photos, "--log-file", log, "--quiet", code=3)
    run("check", tmp_path / "missing", "--log-file", log, "--json", code=2)
    lines = log.read_text().splitlines()
    head = re.compile(rf"{TIME} (INFO|WARNING|ERROR) check\[{os.getpid()}\] (.*)")
    told = [match.groups()[1:] for line in lines if (match := head.fullmatch(line))]
    assert len(told) == len(lines)
    assert told[0][0] == "INFO" and told[0][1].startswith("featx 0.1.0 began: featx")
    assert any(level == "WARNING" and "bad.png: not_image" in text for level, text in told)
    ends = [text for _, text in told if text.startswith("Ended")]
    assert [re.findall(r"code (\d+) after", end) for end in ends] == [["3"], ["2"]]
    assert any(level == "ERROR" and "missing does not exist" in text for level, text in told)
    assert "\x1b" not in log.read_text()


def test_json_lines_take_the_place_of_all_lines_of_the_error_stream(
    photos: Path, tmp_path: Path
) -> None:
    (photos / "red" / "bad\n.png").write_bytes(b"no image")
    lines = [
        json.loads(line) for line in run("check", photos, "--log-json", code=3).stderr.splitlines()
    ]
    assert {line["command"] for line in lines} == {"check"}
    assert all(
        re.fullmatch(TIME, line["time"]) and line["process"] == os.getpid() for line in lines
    )
    assert lines[0]["version"] and isinstance(lines[0]["arguments"], list)
    assert lines[-1]["exit_code"] == 3 and lines[-1]["state"] == "done"
    log = tmp_path / "log.jsonl"
    run("check", tmp_path / "no", "--log-json", "--log-file", log, code=2)
    *_, error, end = map(json.loads, log.read_text().splitlines())
    assert error["level"] == "error" and error["exit_code"] == end["exit_code"] == 2


def test_times_come_first_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    told = []
    for stream in (io.StringIO(), Terminal()):
        monkeypatch.setattr("sys.stderr", stream)
        with during(watch.Asked("fit")):
            logging.getLogger("featx").warning("It is so.")
            logging.getLogger("featx").debug("Nobody asked.")
        told.append(stream.getvalue())
    assert re.fullmatch(rf"{TIME} It is so\.\n", told[0]) and told[1] == "It is so.\n"


def test_a_progress_file_says_how_far_the_run_is_and_how_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_PAUSE", 0.01)
    path = tmp_path / "p.json"
    with pytest.raises(Exception, match="6"), during(watch.Asked("extract", progress_file=path)):
        with meter.Meter("Extracting", "images", quiet=True) as progress:
            progress(40, 100, 0)
            time.sleep(0.02)
            progress(60, 100, 20)
            until(lambda: path.exists() and json.loads(path.read_text())["done"] == 60)
            now = json.loads(path.read_text())
        raise StorageError("The disk is full.")
    assert (now["state"], now["total"], now["unit"], now["exit_code"]) == (
        "running", 100, "images", None,
    )  # fmt: skip
    assert 0 < now["rate"] <= 1000 and now["seconds_left"] is not None
    assert now["process"] == os.getpid() and now["started"] <= now["updated"]
    end = json.loads(path.read_text())
    assert (end["state"], end["exit_code"], end["message"], end["done"]) == (
        "failed", 6, "The disk is full.", 60,
    )  # fmt: skip
    assert [one.name for one in tmp_path.iterdir()] == ["p.json"]


def until(holds: Any) -> None:
    for _ in range(500):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


@pytest.mark.parametrize(
    ("code", "state"), [(0, "done"), (3, "done"), (12, "stopped"), (143, "stopped"), (4, "failed")]
)
def test_the_state_after_each_exit_code(code: int, state: str, tmp_path: Path) -> None:
    path = tmp_path / "p.prom"
    seen = watch.Watch(watch.Asked("score", progress_file=path))
    seen.end(code)
    text = path.read_text()
    assert f'featx_state{{run="p",command="score",state="{state}"}} 1\n' in text
    assert f'featx_exit_code{{run="p",command="score"}} {code}\n' in text


def test_metrics_are_read_by_a_parser_of_prometheus_text() -> None:
    far = Far("Extracting", 5, 10, 'im"ages\n', 2.5, 2.0)
    text = State("extract", 1, "h", "0", 1.5, 2.5, far).as_prometheus('a "b" \\c')
    samples = {}
    for line in text.splitlines():
        if line.startswith("#"):
            assert re.fullmatch(r"# (HELP featx_\w+ .+|TYPE featx_\w+ gauge)", line)
            continue
        name, labels, value = re.fullmatch(r"(featx_\w+)\{(.*)\} (\S+)", line).groups()  # type: ignore[union-attr]
        assert re.fullmatch(r'(\w+="([^"\\\n]|\\["\\n])*",?)+', labels)
        samples[name] = float(value)
    assert samples["featx_done"] == 5 and samples["featx_left_seconds"] == 2
    assert "featx_exit_code" not in samples  # of a run that goes on


class Full(Watched):
    """A disk that has no space for some names."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def before(self, name: str, arguments: tuple[Any, ...]) -> None:
        if name == "write" or (name == "open" and self.name in str(arguments[0])):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.usefixtures("disk")
def test_a_full_disk_costs_notes_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(watch, "_PAUSE", 0.01)
    log, path = tmp_path / "run.log", tmp_path / "p.json"
    finished = False
    with during(watch.Asked("extract", log_file=log, progress_file=path)):
        until(path.exists)
        files.disk = Full("nothing")
        with meter.Meter("Extracting", "images", quiet=True) as progress:
            for done in range(5):
                progress(done, 5, done)
                logging.getLogger("featx").info("Line %d.", done)
                time.sleep(0.02)
        finished = True
    assert finished
    said = capsys.readouterr().err
    assert said.count("The progress file cannot be written") == 1
    assert said.count("The log file cannot be written") == 1


def test_a_slow_disk_does_not_make_the_run_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = threading.Event()
    monkeypatch.setattr(notes, "renew", lambda path, data: stuck.wait(30))
    monkeypatch.setattr(watch, "_PATIENCE", 0.05)
    begun = time.monotonic()
    with (
        during(watch.Asked("extract", progress_file=tmp_path / "p.json")),
        meter.Meter("Extracting", "images", quiet=True) as progress,
    ):
        for done in range(1000):
            progress(done, 1000, done)
    assert time.monotonic() - begun < 5
    stuck.set()


def test_files_that_are_no_notes_are_refused(photos: Path, tmp_path: Path) -> None:
    image = photos / "red" / "0.png"
    before = image.read_bytes()
    for option in ("--log-file", "--progress-file"):
        assert "another kind of file" in run("check", photos, option, image, code=2).stderr
        assert "is a folder" in run("check", photos, option, tmp_path, code=2).stderr
        said = run("check", photos, option, tmp_path / "no" / "x", code=2).stderr
        assert "does not exist. Make it" in " ".join(said.split())
    assert image.read_bytes() == before
    table = tmp_path / "scores.csv"
    table.write_text("path,label\n")
    assert "another kind" in run("check", photos, "--progress-file", table, code=2).stderr
    assert table.read_text() == "path,label\n"
    for name in ("p.json", "p.prom"):
        for _ in range(2):  # its own files are replaced
            run("check", photos, "--progress-file", tmp_path / name)


def test_a_line_stays_one_line() -> None:
    line = Line("a\x1b[31m\nb\r\nc\udce9", logging.ERROR, "fit", 7, "h", {"exit_code": 1}, 0.0)
    text = line.as_text()
    assert text.splitlines()[1:] == ["    b", r"    c\xe9"] and "\x1b" not in text
    assert json.loads(line.as_json())["message"] == "a\\x1b[31m\nb\nc\\xe9"
    assert "\n" not in line.as_json()


def test_the_log_file_can_be_moved_away_meanwhile(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    with during(watch.Asked("fit", log_file=log)):
        logging.getLogger("featx").info("Before.")
        log.rename(tmp_path / "run.log.1")
        logging.getLogger("featx").info("After.")
    assert "Before." in (tmp_path / "run.log.1").read_text()
    assert "After." in log.read_text() and "Before." not in log.read_text()


def test_no_password_gets_into_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["featx", "extract", "https://me:secret@host/a?sig=secret2"])
    log, path = tmp_path / "run.log", tmp_path / "p.json"
    with (
        pytest.raises(Exception, match="6"),
        during(watch.Asked("extract", log_file=log, log_json=True, progress_file=path)),
    ):
        logging.getLogger("featx").warning(
            "Fetching s3://key:secret@bucket/x?X-Amz-Signature=secret2"
        )
        raise StorageError("https://me:secret@host does not answer")
    assert "secret" not in log.read_text() + path.read_text()
    assert "host does not answer" in path.read_text() and "s3://bucket/x" in log.read_text()


def test_a_disk_that_hangs_does_not_keep_a_run_from_being_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, real = threading.Event(), notes.append

    def append(path: Path, data: bytes) -> None:
        if b"Terminated" in data:
            stuck.wait(30)
        real(path, data)

    monkeypatch.setattr(notes, "append", append)
    begun = time.monotonic()
    with (
        pytest.raises(typer.Exit) as ended,
        during(watch.Asked("score", log_file=tmp_path / "run.log")),
    ):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
    stuck.set()
    assert ended.value.exit_code == 143 and time.monotonic() - begun < 8


def test_devices_and_one_file_for_both_are_refused(tmp_path: Path) -> None:
    pipe, log = tmp_path / "pipe", tmp_path / "log"
    os.mkfifo(pipe)
    for option in ("--progress-file", "--log-file"):
        assert "a device or a pipe" in run("check", tmp_path, option, pipe, code=2).stderr
    both = run("check", tmp_path, "--progress-file", log, "--log-file", log, code=2)
    assert "cannot be both" in both.stderr and not log.exists()
