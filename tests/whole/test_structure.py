"""The house rules that a program can check."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import featx
from featx import metrics
from featx.cli import app, compare, evaluate, extract, finetune, fit, options, score, weights
from featx.heads import registry
from featx.images import augment, decode
from featx.network import pools, runtime

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "featx").rglob("*.py"))


def test_only_files_replaces_syncs_locks_or_deletes() -> None:
    acting = re.compile(r"os\.(replace|rename|fsync|unlink|remove)\b|\.unlink\(|rmtree|lockf|flock")
    for module in MODULES:
        if module.stem != "files":
            assert not acting.search(module.read_text()), module


def run_python(code: str) -> str:
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout


def test_help_loads_neither_tensorflow_nor_numpy() -> None:
    code = (
        "import sys, featx.cli.app, typer.testing as t;"
        "assert t.CliRunner().invoke(featx.cli.app.app, ['--help']).exit_code == 0;"
        "heavy = {'tensorflow', 'keras', 'numpy', 'sklearn', 'h5py'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert run_python(code).strip() == "[]"


def test_fitting_and_loading_need_no_tensorflow() -> None:
    code = (
        "import sys; from featx import fit, load, Cache, extract;"
        "print([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    )
    assert run_python(code).strip() == "[]"


def test_public_names_can_be_had() -> None:
    assert set(featx.__all__) == set(featx._HOMES)
    for name in featx.__all__:
        assert getattr(featx, name).__doc__
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = featx.no_such_name


def commands(columns: int = 200) -> dict[str, str]:
    """Return the help text of every command."""
    from typer.testing import CliRunner

    names: list[tuple[str, ...]] = [(), ("weights",)]
    for group in app.app.registered_groups:
        for command in group.typer_instance.registered_commands:
            own = command.callback.__name__
            names.append((group.name, own) if isinstance(group.name, str) else (own,))
    assert ("score",) in names and ("weights", "fetch") in names
    texts = {}
    for name in names:
        result = CliRunner().invoke(app.app, [*name, "--help"], env={"COLUMNS": str(columns)})
        assert result.exit_code == 0
        texts[" ".join(name)] = result.stdout
    return texts


def test_every_command_is_documented_with_an_example() -> None:
    readme = (ROOT / "README.md").read_text() + (ROOT / "CHANGELOG.md").read_text()
    for name, text in commands().items():
        assert "--json" in text or not name, name
        assert "Example" in text or name in ("", "weights"), name
        assert f"featx {name}".strip() in readme, name


def test_names_that_help_shows_are_those_of_the_tables() -> None:
    assert "|".join(augment.POLICIES) == options.AUGMENTATIONS
    assert "|".join(pools.POOLS) == options.POOLS
    assert "|".join(sorted(decode.RESIZE, reverse=True)) == options.RESIZES
    assert tuple(registry.HEADS) == options.HEADS
    assert tuple(metrics.METRICS) == options.METRICS
    assert (options.RUNTIMES, options.PRECISIONS) == (runtime.RUNTIMES, runtime.PRECISIONS)


def test_defaults_of_the_command_line_are_those_of_the_library() -> None:
    # Given as texts, or not at all; all of them mean the settings' default when left out.
    translated = ("heads", "pools", "options")
    for command, settings in (
        (extract.extract, featx.ExtractSettings()),
        (fit.fit, featx.FitSettings()),
        (compare.compare, featx.CompareSettings()),
        (finetune.finetune, featx.FinetuneSettings()),
        (score.score, featx.ScoreSettings()),
        (evaluate.evaluate, featx.EvaluateSettings()),
    ):
        parameters = inspect.signature(command).parameters
        for name, parameter in parameters.items():
            if hasattr(settings, name) and name not in translated:
                assert parameter.default == getattr(settings, name), (command, name)
        assert set(vars(settings)) <= set(parameters)


@pytest.mark.parametrize("columns", [80, 100, 140])
def test_help_pages_fit_the_terminal_and_show_no_types(columns: int) -> None:
    for name, text in commands(columns).items():
        assert max(map(len, text.splitlines())) <= columns, name
        assert not re.search(r"<(bool|str|Path|int|float|list)", text), name


def test_every_option_has_a_sentence() -> None:
    for group in (*app.app.registered_groups, *weights.app.registered_groups):
        for command in group.typer_instance.registered_commands:
            for parameter in inspect.signature(command.callback).parameters.values():
                for info in getattr(parameter.annotation, "__metadata__", ()):
                    text = info.help or ""
                    assert info.hidden or (len(text.split()) > 2 and text.endswith(".")), parameter
