"""What teams run at night: the script of examples/operating, and the image."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from standin import asked, environment

import featx

ROOT = Path(__file__).parents[2]
NIGHTLY = ROOT / "examples" / "operating" / "nightly.sh"
SCRIPTS = sorted((ROOT / "examples").rglob("*.sh"))


def night(place: Path, codes: str, **more: str) -> dict[str, str]:
    """Return the environment of a night whose steps end with these codes."""
    found = environment(place, codes, PHOTOS="photos", INBOX="in box", MODEL="m.featx", PAUSE="0")
    notify = place / "notify"
    notify.write_text('#!/bin/sh\necho "$@" >> "$PLACE/notified"\n')
    notify.chmod(0o755)
    return {**found, "NOTIFY": str(notify), **more}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_can_be_parsed_and_stops_at_what_is_not_set(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)
    assert re.search(r"^set -\w*u", script.read_text(), re.M)
    assert os.access(script, os.X_OK)


@pytest.mark.parametrize(
    ("codes", "code", "said"),
    [
        ("0 0", 0, ""),
        ("3 12", 0, ""),
        ("11 0", 0, ""),
        ("6 0 0", 0, ""),
        ("6 6 6 0", 6, "failed 3 times"),
        ("5 0", 5, "other settings or weights"),
        ("0 4", 4, "featx verify"),
        ("7 5", 7, "not enough memory"),
        ("1 0", 1, "exit code 1"),
    ],
)
def test_the_night_acts_by_exit_codes(tmp_path: Path, codes: str, code: int, said: str) -> None:
    place = tmp_path / "place"
    ran = subprocess.run([NIGHTLY], env=night(place, codes), capture_output=True, text=True)
    assert ran.returncode == code, ran.stderr
    assert (place / "codes").read_text() == "", "both steps are run, whatever the first one says"
    told = (place / "notified").read_text() if code else ""
    assert said in told and (place / "notified").exists() == bool(code)
    (log,) = place.glob("*.log")
    assert ran.stderr == log.read_text()
    first, *_, last = asked(place)
    assert first.startswith("featx extract photos -o") and "--max-hours 8" in first
    assert last.startswith("featx score m.featx in box -o") and "--update" in last


def test_a_night_that_is_stopped_stops_featx_and_says_so(tmp_path: Path) -> None:
    place = tmp_path / "place"
    run = subprocess.Popen([NIGHTLY], env=night(place, "wait 0"), stderr=subprocess.DEVNULL)
    for _ in range(200):
        if (place / "waits").exists():
            break
        time.sleep(0.05)
    run.send_signal(signal.SIGTERM)
    assert run.wait(20) == 143
    assert "somebody stopped it" in (place / "notified").read_text()
    assert len(asked(place)) == 1  # the second step is not begun


@pytest.mark.slow
def test_a_night_with_featx_itself(photos: Path, tmp_path: Path) -> None:
    small = {"weights": "random", "size": 32}
    cache = featx.extract(photos, tmp_path / "f.h5", **small).out  # type: ignore[arg-type]
    model = featx.fit(cache, tmp_path / "m.featx", head="lda").out
    place = tmp_path / "place"
    settings = night(place, "", PHOTOS=str(photos), INBOX=str(photos), MODEL=str(model))
    settings |= {"FEATX": f"{sys.executable} -m featx", "HOME": os.environ.get("HOME", "/")}
    settings |= {"EXTRACT_OPTIONS": "--prune --weights random --size 32"}
    whole = (photos / "red" / "0.png").read_bytes()
    (photos / "red" / "cut.png").write_bytes(whole[:200])
    for again in (False, True):
        ran = subprocess.run([NIGHTLY], env=settings, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        (log,) = place.glob("*.log")
        assert log.read_text().count("Ended with exit code 3") == 2 + 2 * again
        assert "cut.png: truncated" in log.read_text()
        assert "score: done; some images could not be used" in ran.stderr
        for name in ("extract", "score"):
            state = json.loads((place / f"progress-{name}.json").read_text())
            assert (state["command"], state["state"], state["exit_code"]) == (name, "done", 3)
    assert (place / "scores.csv").read_text().count("\n") == 26
    model.write_bytes(model.read_bytes()[:-100])
    ran = subprocess.run([NIGHTLY], env=settings, capture_output=True, text=True)
    assert ran.returncode == 4 and "featx verify" in (place / "notified").read_text()


def test_the_image_is_made_of_what_is_there() -> None:
    lines = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    orders = [line.split() for line in lines if re.match(r"[A-Z]+ ", line)]
    sent = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.M)
    for order, *words in orders:
        if order == "COPY" and not words[0].startswith("--from"):
            assert all((ROOT / name).exists() and name in sent for name in words[:-1])
    assert ["USER", "featx"] in orders and ["VOLUME", "/cache"] in orders
    assert ["ENTRYPOINT", '["featx"]'] in orders
    (base,) = [words[0] for order, *words in orders if order == "ARG" and "PYTHON" in words[0]]
    assert re.fullmatch(r"PYTHON=3\.\d+-slim-\w+", base)
    extras = re.search(r'ARG EXTRAS="([^"]*)"', (ROOT / "Dockerfile").read_text())
    import tomllib

    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras and set(extras[1].split()) <= set(known)


@pytest.mark.slow
def test_the_image_runs(photos: Path, tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "info"], capture_output=True).returncode:
        pytest.skip("no Docker daemon answers here")
    built = subprocess.run(
        [docker, "build", "-q", "-t", "featx-test", ROOT], capture_output=True, text=True
    )
    if re.search(r"(failed to|could not) (resolve|pull|fetch)|no such host", built.stderr, re.I):
        pytest.skip(f"the image's base cannot be had here: {built.stderr[-200:]}")
    assert built.returncode == 0, built.stderr
    user = ["--user", f"{os.getuid()}:{os.getgid()}", "--network", "none"]
    place = ["-v", f"{tmp_path}:/work"]
    command = ["extract", "photos", "-o", "f.h5", "--weights", "random", "--size", "32"]
    ran = subprocess.run(
        [docker, "run", "--rm", *user, *place, "featx-test", *command],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert featx.verify(tmp_path / "f.h5").ok and photos.is_dir()
    who = [docker, "run", "--rm", "--entrypoint", "id", "featx-test", "-u"]
    assert subprocess.check_output(who).strip() == b"10001"
