"""What is published: the types, as a user's type checker sees them, and the files."""

import importlib.util
import subprocess
import sys
from email.message import Message
from pathlib import Path
from types import ModuleType

import pytest

WHOLE = Path(__file__).parent


@pytest.fixture(scope="module")
def check_dist() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_dist", WHOLE / "check_dist.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def strict(script: Path, folder: Path) -> str:
    """Return what `mypy --strict` says of a script, without this project's settings."""
    options = ["--strict", "--config-file=", f"--cache-dir={folder / 'cache'}"]
    command = [sys.executable, "-m", "mypy", *options, str(script)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout


def test_a_users_script_passes_mypy_strict(tmp_path: Path) -> None:
    script = WHOLE / "user_script.py"
    assert strict(script, tmp_path).startswith("Success"), strict(script, tmp_path)
    wrong = tmp_path / "wrong.py"
    wrong.write_text(script.read_text().replace('head="lda"', 'head="lad"'))
    assert "\"Literal['lad']\"" in strict(wrong, tmp_path)


@pytest.mark.slow
def test_a_users_script_runs(tmp_path: Path) -> None:
    command = [sys.executable, str(WHOLE / "user_script.py"), str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert "(3, 10)" in run.stdout and "exit code 2:" in run.stdout, run.stderr


def test_files_that_are_missing_or_too_many_are_named(check_dist: ModuleType) -> None:
    package = check_dist.sources("featx")
    assert {"featx/py.typed", "featx/network/ranges.json"} <= package
    wheel = {*package, "featx-1.0.dist-info/METADATA"}
    assert check_dist.check_wheel(wheel) == []
    wrong = check_dist.check_wheel({*wheel - {"featx/py.typed"}, "tests/conftest.py"})
    assert "the wheel lacks featx/py.typed" in wrong
    assert "the wheel has tests/conftest.py too" in wrong
    sdist = {*package, *check_dist.sources("tests"), *check_dist.WITH_TESTS}
    assert check_dist.check_sdist(sdist) == []
    assert check_dist.check_sdist(sdist - {"Makefile"}) == ["the sdist lacks Makefile"]


def test_what_is_published_is_checked(check_dist: ModuleType) -> None:
    metadata = Message()
    metadata["Version"] = "1.2.3"
    metadata.set_payload("[audit](docs/audit.md), [web](https://example.org), [here](#a-tour)")
    wrong = check_dist.check_release(metadata, "v1.2.4")
    assert [line.partition(" ")[0] for line in wrong] == ["the", "the", "the"]
    assert "featx.__version__ is 1.2.3" in wrong[0] and "docs/audit.md" in wrong[2]
    metadata["Project-URL"] = "Source, https://example.org"
    metadata.set_payload("[audit](https://example.org/docs/audit.md)")
    assert check_dist.check_release(metadata, "v1.2.3") == []
