"""Work is never lost and no file is half seen: kills, crashes, failing disks, flipped bits, races.

`make fault` runs these in minutes, `make fault-long` with the full numbers; each line of the report
at the end says what was tried.
"""

import errno
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from disks import Failing, Recording, Watched, put
from generated import class_folders, write_image
from typer.testing import CliRunner

import featx
from featx.cache import plan
from featx.cache.parts import Parts
from featx.cli import app
from featx.errors import CorruptError, IncompatibleError
from featx.storage import files

pytestmark = pytest.mark.fault

Report = Callable[[str], None]

LONG = os.environ.get("FEATX_FAULTS") == "long"
ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)
#: The real network with random weights, cut early: parts of four images.
SMALL = ["--weights", "random", "--size", "32", "--cut", "block1_pool", "--batch", "2"]


def some(numbers: list[Any], most: int) -> list[Any]:
    """Return all of them in a long run, else so many, evenly."""
    if LONG or len(numbers) <= most:
        return numbers
    return [numbers[round(place * (len(numbers) - 1) / (most - 1))] for place in range(most)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with images, and what comes of them when nothing goes wrong."""
    root = tmp_path_factory.mktemp("fault")
    class_folders(root / "photos", 5)
    (root / "photos/red/bad.png").write_bytes(b"no image")
    done("extract", root / "photos", "-o", root / "whole.h5", *SMALL, code=3)
    done("fit", root / "whole.h5", "-o", root / "m.featx", "--head", "lda")
    class_folders(root / "few", 2)
    done("extract", root / "few", "-o", root / "few.h5", *SMALL[:4], code=0)
    return root


@pytest.fixture(autouse=True)
def parts_of_four(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(plan, "PART_ROWS", 4)
    yield
    files.disk = files.Disk()


def done(*arguments: object, code: int = 0) -> str:
    """Run a command that ends with this exit code."""
    result = CliRunner().invoke(app.app, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    return str(result.output)


def cleared(folder: Path) -> None:
    for left in folder.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def contents(path: Path) -> dict[str, Any]:
    """Return all that is in a cache, for comparison."""
    with featx.Cache.open(path) as cache:
        described = {key: value for key, value in cache.as_dict().items() if key != "source"}
        return {
            "described": json.dumps(described),
            "features": cache.features[()].tobytes(),
            "digests": list(cache.digests),
        }


# Failing disks ------------------------------------------------------------------------------


def commands(root: Path, out: Path) -> dict[str, tuple[list[object], Path, int]]:
    """Return what writes files: name → (command, its output, its exit code)."""
    photos, model, cache = root / "photos", out / "m.featx", out / "f.h5"
    table, board, tuned = out / "s.csv", out / "board.csv", out / "t.featx"
    return {
        "extract": (["extract", photos, "-o", cache, *SMALL], cache, 3),
        "fit": (["fit", root / "whole.h5", "-o", model, "--head", "lda"], model, 0),
        "score": (["score", root / "m.featx", photos, "-o", table], table, 3),
        "compare": (
            ["compare", root / "whole.h5", "--heads", "logreg", "--out", board],
            board,
            0,
        ),
        "finetune": (
            [
                "finetune",
                root / "m.featx",
                root / "whole.h5",
                "-o",
                tuned,
                "--unfreeze",
                1,
                "--epochs",
                1,
                "--validation",
                0.3,
                "--force",
            ],
            tuned,
            0,
        ),
    }


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("extract", 9),
        ("fit", 5),
        ("score", 6),
        ("compare", 4),
        pytest.param("finetune", 12, marks=pytest.mark.skipif(not LONG, reason="takes minutes")),
    ],
)
def test_every_call_that_fails(
    root: Path, tmp_path: Path, name: str, most: int, report: Report
) -> None:
    command, out, code = commands(root, tmp_path)[name]
    done(*command, code=code)  # leaves a cache of the cut in `root`, which the others find
    cleared(tmp_path)
    counting = files.disk = Watched()
    done(*command, code=code)
    calls = list(counting.calls)
    whole = out.read_bytes()
    kinds = list(itertools.product(range(1, len(calls) + 1), ERRORS, (False, True)))
    tried = some(kinds, most)
    for number, error, forever in tried:
        cleared(tmp_path)
        files.disk = Failing(number, error, forever=forever)
        result = CliRunner().invoke(app.app, list(map(str, command)))
        where = (calls[number - 1], number, errno.errorcode[error], forever, result.output)
        # A lock that is not permitted is a lock that another run holds.
        locked = calls[number - 1] == "lock" and error == errno.EACCES
        # A lock file that stays is no harm.
        fine = set(calls[number - 1 :] if forever else calls[number - 1 : number]) == {"unlock"}
        assert result.exit_code == (11 if locked else code if fine else 6), where
        assert "Traceback" not in result.output, where
        assert locked or fine or os.strerror(error) in result.output, where
        if error == errno.ENOSPC and not fine:
            assert "bytes are free there" in result.output, where
        if out.exists():  # it is whole then
            assert name == "compare" or not featx_problems(out), where
        files.disk = files.Disk()
        again = [*command, "--overwrite"] if name != "extract" and out.exists() else command
        done(*again, code=code)
        if name == "extract":
            assert contents(out) == contents(root / "whole.h5"), where
        elif name == "score":
            assert out.read_bytes() == whole, where
        assert not list(tmp_path.glob(".*.partial")), where
    report(f"{name}: {len(calls)} calls of the disk, {len(tried)} failures tried (ENOSPC, EIO, "
           "EACCES, once and for ever): exit 6 each, the next run complete")  # fmt: skip


def featx_problems(path: Path) -> list[str]:
    return [] if path.suffix == ".csv" else featx.verify(path).problems


# Machines that lose their power -------------------------------------------------------------


def test_every_crash_of_an_update(root: Path, tmp_path: Path, report: Report) -> None:
    work, crashed = tmp_path / "work", tmp_path / "crashed"
    work.mkdir()
    photos = shutil.copytree(root / "photos", tmp_path / "photos")
    command = ["extract", photos, "-o", work / "f.h5", *SMALL]
    done(*command, code=3)
    old = contents(work / "f.h5")
    write_image(photos / "red/new.png", 77)
    write_image(photos / "blue/0.png", 78)
    recording = files.disk = Recording(work)
    done(*command, code=3)
    files.disk = files.Disk()
    new = contents(work / "f.h5")
    assert new != old
    states = list(recording.crashes())
    resumed = {id(tree) for _, tree in some(states, 8)}
    for number, tree in states:
        put(tree, work, crashed)
        assert contents(crashed / "f.h5") in (old, new), number
        parts = Parts(crashed / "f.h5")
        for path in parts.paths():
            parts.check(path)
        if id(tree) in resumed:
            done("extract", photos, "-o", crashed / "f.h5", *SMALL, code=3)
            assert contents(crashed / "f.h5") == new, number
            assert not parts.folder.exists()
    report(f"power lost after each of {len(recording.calls)} calls of the disk, {len(states)} "
           f"different states: each with the old or the new cache and no part torn; "
           f"{len(resumed)} gone on from: complete")  # fmt: skip


# Kills --------------------------------------------------------------------------------------

KILLED = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1] / "support")!r})
from disks import Killing
from featx.cli import app
from featx.cache import plan
from featx.storage import files
plan.PART_ROWS = 4
files.disk = Killing(sys.argv.pop(1))
app.main()
"""


@pytest.mark.parametrize("name", ["f.h5", "f.d"])
def test_kills_at_every_kind_of_call(root: Path, tmp_path: Path, name: str, report: Report) -> None:
    command, out, code = commands(root, tmp_path)["extract"]
    command[command.index(out)] = out = tmp_path / name
    counting = files.disk = Watched()
    done(*command, code=code)
    files.disk = files.Disk()
    whole = out.rename(tmp_path / f"whole-{name}")
    last = [f"{call}:{counting.calls.count(call)}" for call in dict.fromkeys(counting.calls)]
    points = last if LONG else {"f.h5": ["replace:4", "remove:2"], "f.d": ["replace:5"]}[name]
    for point in points:
        run = subprocess.run(
            [sys.executable, "-c", KILLED, point, *map(str, command)], capture_output=True
        )
        assert run.returncode == -signal.SIGKILL, (point, run.stderr)
        is_there = out.exists() and featx.Cache.is_cache(out)
        assert not is_there or contents(out) == contents(whole), point
        done(*command, code=code)
        assert contents(out) == contents(whole), point
        assert not list(out.parent.rglob("*.partial")), point
        shutil.rmtree(out) if out.is_dir() else out.unlink()
    report(f"{name} killed at {', '.join(points)}: complete after the next run")


#: A real run that notes how many images it sends through the network, before it does.
COUNTED = """
import sys
from featx.cli import app
from featx.network import trunk
counts = open(sys.argv.pop(1), "wb", buffering=0)
activations = trunk.Trunk.activations
def counted(self, pixels):
    counts.write(bytes([len(pixels[0])]))
    return activations(self, pixels)
trunk.Trunk.activations = counted
app.main()
"""


def test_random_kills_of_real_runs(root: Path, tmp_path: Path, report: Report) -> None:
    """A kill costs the part that is under way, and nothing else."""
    kills = 200 if LONG else 1
    photos = class_folders(tmp_path / "photos", 170)
    out, whole, counts = tmp_path / "f.h5", tmp_path / "whole.h5", tmp_path / "counts"
    settings = ["--weights", "random", "--size", "32", "--cut", "block3_pool", "--quiet"]
    plan.PART_ROWS = 128
    done("extract", photos, "-o", whole, *settings)
    command = [sys.executable, "-c", COUNTED, counts, "extract", photos, "-o", out, *settings]
    chance = random.Random(0)
    killed = finished = working = most = kept = 0
    seconds = 0.0  # that the last whole run took; the first is not killed
    while killed < kills or not out.exists():
        if out.exists():
            out.unlink()
        before = kept
        counts.write_bytes(b"")
        begun = time.monotonic()
        with subprocess.Popen(list(map(str, command))) as run:
            try:
                run.wait(chance.uniform(0, seconds) if finished and killed < kills else 100)
                seconds = max(seconds, time.monotonic() - begun)
                finished += 1
            except subprocess.TimeoutExpired:
                run.kill()
                killed += 1
        assert run.returncode in (0, -signal.SIGKILL)
        kept = sum(len(Parts(out).places(path)) for path in Parts(out).paths())
        sent = sum(counts.read_bytes())
        working += bool(run.returncode and sent)
        lost = sent - ((510 if out.exists() else kept) - before)
        most = max(most, lost)
        assert 0 <= lost <= (128 if run.returncode else 0)
        if out.exists():
            assert contents(out) == contents(whole)
    report(f"{killed} SIGKILLs at random moments of real runs, {working} while the network was at "
           f"work, {finished} runs to the end: each cache is that of a run that was not killed, "
           f"and a kill cost {most} images at the most, of 128 in a part")  # fmt: skip


# Races --------------------------------------------------------------------------------------


def test_racing_starts(tmp_path: Path, report: Report) -> None:
    """One start of many writes; a reader never sees the file shrink."""
    waves, at_once = (100, 10) if LONG else (2, 5)
    photos, out = class_folders(tmp_path / "photos", 4), tmp_path / "f.h5"
    command = [sys.executable, "-m", "featx", "extract", str(photos), "-o", str(out), *SMALL]
    codes: list[int] = []
    size = 0
    for wave in range(waves):
        for number in range(3):
            write_image(photos / "red" / f"{wave}-{number}.png", 10_000 + 10 * wave + number)
        logs = [tmp_path / f"{number}.json" for number in range(at_once)]
        running = []
        for log in logs:
            with log.open("wb") as said:
                running.append(subprocess.Popen([*command, "--json", "-q"], stdout=said))
        while any(run.poll() is None for run in running):
            now = out.stat().st_size if out.exists() else 0
            assert now >= size
            size = now
            time.sleep(0.001)
        found = [json.loads(log.read_text()) for log in logs]
        assert {run.returncode for run in running} <= {0, 11}, found
        assert sum(one.get("forward", 0) for one in found) == (3 if wave else 15)
        codes += [run.returncode for run in running]
    report(f"{len(codes)} racing starts of extract: {codes.count(11)} were told that it is locked, "
           "every image went through the network once, and the file never shrank")  # fmt: skip


# Bits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["few.h5", "m.featx"])
def test_flipped_bytes_and_cut_files(root: Path, tmp_path: Path, name: str, report: Report) -> None:
    whole = (root / name).read_bytes()
    bad = tmp_path / name
    opened = featx.Cache.open if name.endswith(".h5") else featx.load
    chance = random.Random(0)
    flips = 10_000 if LONG else 500
    lengths = some(list(range(len(whole))), 100)
    slowest = 0.0

    def refused(data: bytes, what: object) -> None:
        nonlocal slowest
        bad.write_bytes(data)
        begun = time.monotonic()
        with pytest.raises((CorruptError, IncompatibleError)):
            opened(bad)
            pytest.fail(f"{what} was not seen")
        slowest = max(slowest, time.monotonic() - begun)

    for _ in range(flips):
        data = bytearray(whole)
        place = chance.randrange(len(data))
        data[place] ^= chance.randrange(1, 256)
        refused(bytes(data), place)
    for length in lengths:
        refused(whole[:length], length)
    refused(whole + b"\0", "a byte more")
    assert slowest < 10
    report(f"{name}: {flips} flipped bytes and {len(lengths)} lengths of {len(whole)}: all seen, "
           f"the slowest after {slowest:.2f} s")  # fmt: skip


# Many images ------------------------------------------------------------------------------


def test_only_what_changed_goes_through_the_network(tmp_path: Path, report: Report) -> None:
    count = 10_000 if LONG else 600
    few = count // 100
    photos = tmp_path / "photos"
    for number in range(count):
        write_image(photos / "ab"[number % 2] / f"{number:05}.png", number, size=(8, 8))
    command = ["extract", photos, "-o", tmp_path / "f.h5", *SMALL[:-1], "16", "--json"]
    plan.PART_ROWS = 128

    def extracted(code: int = 0) -> dict[str, Any]:
        text = done(*command, code=code)
        return dict(json.loads(text[text.index("{\n") :]))

    assert extracted()["forward"] == count
    paths = sorted(photos.rglob("*.png"))
    for number, path in enumerate(paths[:few]):
        write_image(path, count + number, size=(8, 8))
    for path in paths[few : 2 * few]:
        path.unlink()
    for number in range(few):
        write_image(photos / "a" / f"new{number}.png", 2 * count + number, size=(8, 8))
    changed = extracted(code=3)
    assert (changed["listed"], changed["forward"]) == (count, 2 * few)
    assert len(changed["removed"]) == 2 * few  # removed, and before they were changed
    for path in photos.rglob("*.png"):
        path.rename(path.with_name(f"x{path.name}"))
    begun = time.monotonic()
    renamed = extracted(code=3)
    assert (renamed["forward"], renamed["reused"]) == (0, count)
    report(f"{count} images, 1 % changed, 1 % added, 1 % removed: {changed['forward']} through "
           f"the network; all renamed: 0, in {time.monotonic() - begun:.1f} s")  # fmt: skip


def in_session(leader: int) -> dict[int, str]:
    """Return the processes of a session: number → command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if entry.name.isdigit() and int(fields[3]) == leader and fields[0] != "Z":
                found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
        except (OSError, IndexError):
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("command", ["compare", "curve"])
def test_no_process_outlives_an_interrupted_comparison(root: Path, command: str) -> None:
    words = [sys.executable, "-m", "featx", command, str(root / "whole.h5"), "-q"]
    words += ["--heads", "all"] if command == "compare" else ["--head", "random-forest"]
    run = subprocess.Popen(
        [*words, "--repeats", "50"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while not any("loky" in words for words in in_session(run.pid).values()):
        assert time.monotonic() < deadline and run.poll() is None, run.communicate()
        time.sleep(0.05)
    time.sleep(1)
    run.send_signal(signal.SIGINT)
    _, told = run.communicate(timeout=20)  # until the last process has closed its pipes
    assert run.returncode == 130 and told.decode().strip().endswith("featx: Interrupted.")
    deadline = time.monotonic() + 5
    while in_session(run.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert in_session(run.pid) == {}


def test_a_full_folder_for_temporary_files(tmp_path: Path) -> None:
    """The rows that processes share find no room: exit 6 with what to do, and no output."""
    out, cache = tmp_path / "board.csv", tmp_path / "f.h5"
    class_folders(tmp_path / "photos", 24)
    done("extract", tmp_path / "photos", "-o", cache, *SMALL[:4])
    words = f"ulimit -f 2; exec {sys.executable} -m featx compare {cache} -o {out} -q"
    environment = {**os.environ, "JOBLIB_TEMP_FOLDER": str(tmp_path)}
    ran = subprocess.run(["bash", "-c", words], capture_output=True, text=True, env=environment)
    assert ran.returncode == 6, ran.stderr
    assert "JOBLIB_TEMP_FOLDER=FOLDER" in ran.stderr and not out.exists()
