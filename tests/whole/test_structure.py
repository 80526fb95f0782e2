"""The house rules that a program can check."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import featx
from featx import metrics
from featx.cli import app
from featx.heads import registry
from featx.images import augment, decode
from featx.network import runtime, views

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


def test_windows_is_refused_with_a_sentence() -> None:
    code = (
        "import sys; sys.platform = 'win32'\n"
        "try:\n    import featx\nexcept ImportError as error:\n    print(error)"
    )
    assert "inside WSL: type wsl --install" in run_python(code)


def test_public_names_can_be_had() -> None:
    assert set(featx.__all__) == set(featx._HOMES)
    for name in featx.__all__:
        assert getattr(featx, name).__doc__
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = featx.no_such_name


def commands() -> dict[str, str]:
    """Return the help text of every command."""
    from typer.testing import CliRunner

    texts = {}
    names: list[tuple[str, ...]] = [(), ("weights",)]
    names += [(command.callback.__name__,) for command in app.app.registered_commands]
    for group in app.app.registered_groups:
        for command in group.typer_instance.registered_commands:
            names.append((str(group.name), command.callback.__name__))
    assert ("score",) in names and ("weights", "fetch") in names
    for name in names:
        result = CliRunner().invoke(app.app, [*name, "--help"], env={"COLUMNS": "200"})
        assert result.exit_code == 0
        texts[" ".join(name)] = result.stdout
    return texts


def test_every_command_is_documented_with_an_example() -> None:
    readme = (ROOT / "README.md").read_text() + (ROOT / "CHANGELOG.md").read_text()
    for name, text in commands().items():
        assert "--json" in text or not name, name
        assert "Example" in text or name in ("", "weights"), name
        assert f"featx {name}".strip() in readme, name


def test_help_names_every_row_of_the_tables() -> None:
    texts = {name: " ".join(re.sub("[│╭╮╰╯─]", "", text).split())
             for name, text in commands().items()}  # fmt: skip
    for names, pages in (
        (augment.POLICIES, ("extract", "preview")),
        (decode.RESIZE, ("extract", "preview")),
        (runtime.PRECISIONS, ("extract",)),
        (registry.HEADS, ("fit", "compare")),
        (metrics.METRICS, ("fit", "compare")),
        (views.VIEWS, ("fit", "compare")),
    ):
        for page in pages:
            assert ", ".join(names) in texts[page], (page, names)


def test_options_that_are_left_out_have_the_defaults_of_the_library() -> None:
    from typer.main import get_command

    from featx.auditing.settings import AuditSettings
    from featx.auditing.similar import SimilarSettings
    from featx.cache.extract import ExtractSettings
    from featx.cache.features import FeaturesSettings
    from featx.cli.pages import settings_from
    from featx.exporting.export import ExportSettings
    from featx.finetuning.finetune import FinetuneSettings
    from featx.heads.curve import CurveSettings
    from featx.heads.settings import CompareSettings
    from featx.images.preview import PreviewSettings
    from featx.model.settings import FitSettings
    from featx.reporting.report import ReportSettings
    from featx.scoring.evaluate import EvaluateSettings
    from featx.scoring.next import NextSettings
    from featx.scoring.score import ScoreSettings

    # Given as texts, or not at all; all of them mean the settings' default when left out.
    translated = ("options",)
    for name, kind in (
        ("extract", ExtractSettings),
        ("preview", PreviewSettings),
        ("compare", CompareSettings),
        ("audit", AuditSettings),
        ("fit", FitSettings),
        ("finetune", FinetuneSettings),
        ("score", ScoreSettings),
        ("evaluate", EvaluateSettings),
        ("curve", CurveSettings),
        ("next", NextSettings),
        ("report", ReportSettings),
        ("export", ExportSettings),
        ("features", FeaturesSettings),
        ("similar", SimilarSettings),
    ):
        given = {p.name: p.default for p in get_command(app.app).commands[name].params}
        assert set(vars(kind())) <= set(given), name
        found = settings_from(kind, {k: v for k, v in given.items() if k not in translated})
        assert found == kind(), name
        assert (
            settings_from(
                kind, {"seed": 7, "top": 7, "quantize": "int8", "view": "max", "no_such": 1}
            )
            != kind()
        )
