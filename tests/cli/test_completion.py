"""Completion in a shell: the protocol that the shells' scripts speak, and what is offered."""

import os
import shutil
import subprocess
import sys
import typing
from pathlib import Path

import pytest
from typer.main import get_command

from featx import names
from featx.cli import app, completion

FEATX = Path(sys.executable).with_name("featx")


def offered(line: str) -> list[str]:
    """Return what bash is offered for the last word of a line."""
    words = line.split(" ")
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    environment = {**os.environ, **asked, "_FEATX_COMPLETE": "complete_bash"}
    run = subprocess.run([FEATX], env=environment, capture_output=True, text=True, check=True)
    return run.stdout.split()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("featx fi", ["fit", "finetune"]),
        ("featx weights fe", ["fetch"]),
        ("featx fit --pref", ["--prefer"]),
        ("featx fit --head l", ["lda", "logreg", "linear-svm"]),
        ("featx fit features.h5 --metric log", ["log-loss"]),
        ("featx compare --heads ridge,k", ["ridge,kernel-ridge", "ridge,knn"]),
        ("featx compare --heads knn,k", ["knn,kernel-ridge"]),
        ("featx compare --views a", ["avg", "avgmax", "all"]),
        ("featx compare --views avg,a", ["avg,avgmax"]),
        ("featx extract photos --cut block4_p", ["block4_pool"]),
        ("featx extract photos --precision b", ["bfloat16"]),
        ("featx preview photos --augment ", ["none", "flip", "mild", "article"]),
        ("featx report model.featx --skip map,", ["map,audit", "map,curve", "map,images"]),
        ("featx fit feat", []),  # the shell completes the names of files itself
    ],
)
def test_bash_is_offered(line: str, found: list[str]) -> None:
    assert offered(line) == found


def test_fish_and_zsh_are_told_the_gist_of_an_option() -> None:
    asked = {"_TYPER_COMPLETE_ARGS": "featx fit --prefe", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    for shell, expected in (
        ("fish", "--prefer\tWhich of the tied heads is chosen"),
        ("zsh", '"--prefer":"Which of the tied heads is chosen"'),
    ):
        environment = {**os.environ, **asked, "_FEATX_COMPLETE": f"complete_{shell}"}
        run = subprocess.run([FEATX], env=environment, capture_output=True, text=True, check=True)
        assert expected in run.stdout


def test_completion_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['featx']\n"
        "from featx.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'sklearn', 'h5py', 'PIL'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))\n"
    )
    asked = {"COMP_WORDS": "featx fit --head lo", "COMP_CWORD": "3"}
    environment = {**os.environ, **asked, "_FEATX_COMPLETE": "complete_bash"}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert run.stdout.split("\n")[:2] == ["logreg", "heavy: []"], run.stderr


def test_all_names_can_be_completed() -> None:
    """Every type of `featx.names` is offered, and some option offers it."""
    offers = [getattr(completion, name) for name in completion.__all__ if name.isupper()]
    by_values = {tuple(offer("")): offer for offer in offers}
    for name in names.__all__:
        values = typing.get_args(getattr(names, name))
        assert any(set(values) <= set(found) for found in by_values), name
    used = {
        parameter._custom_shell_complete is not None and parameter.name
        for command in get_command(app.app).commands.values()
        for parameter in command.params
    }
    assert {"head", "heads", "view", "views", "metric", "cut", "precision", "runtime"} <= used


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
def test_the_script_for_bash_works_in_bash() -> None:
    environment = {**os.environ, "_FEATX_COMPLETE": "source_bash"}
    script = subprocess.run([FEATX], env=environment, capture_output=True, text=True, check=True)
    lines = (
        f'export PATH="{FEATX.parent}:$PATH"\n{script.stdout}\n'
        "COMP_WORDS=(featx fit --head l); COMP_CWORD=3; _featx_completion featx\n"
        'echo "${COMPREPLY[@]}"\n'
    )
    run = subprocess.run(
        ["bash", "--norc", "-c", lines], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["lda", "logreg", "linear-svm"]


def test_the_help_page_keeps_completion_apart() -> None:
    from typer.testing import CliRunner

    page = CliRunner().invoke(app.app, ["--help"]).stdout
    options, _, rest = page.partition("Completion of commands, options and values with Tab")
    assert "--install-completion" in rest and "--install-completion" not in options
