"""Settings can be given as keywords; editors, type checkers and `help` know which there are."""

import dataclasses
import doctest
import functools
import inspect
import typing
from collections.abc import Sequence
from pathlib import Path

import pytest

import featx
from featx.auditing.settings import AuditChanges
from featx.auditing.similar import SimilarChanges
from featx.cache.features import FeaturesChanges
from featx.cache.plan import ExtractChanges
from featx.exporting.export import ExportChanges
from featx.finetuning.recipe import FinetuneChanges
from featx.heads.curve import CurveChanges
from featx.heads.settings import CompareChanges
from featx.images.preview import PreviewChanges
from featx.model.settings import FitChanges
from featx.reporting.report import ReportChanges
from featx.scoring.evaluate import EvaluateChanges
from featx.scoring.next import NextChanges
from featx.scoring.score import ScoreChanges

ALL = [
    (featx.extract, featx.ExtractSettings, ExtractChanges),
    (featx.preview, featx.PreviewSettings, PreviewChanges),
    (featx.compare, featx.CompareSettings, CompareChanges),
    (featx.audit, featx.AuditSettings, AuditChanges),
    (featx.fit, featx.FitSettings, FitChanges),
    (featx.finetune, featx.FinetuneSettings, FinetuneChanges),
    (featx.score, featx.ScoreSettings, ScoreChanges),
    (featx.evaluate, featx.EvaluateSettings, EvaluateChanges),
    (featx.curve, featx.CurveSettings, CurveChanges),
    (featx.choose_next, featx.NextSettings, NextChanges),
    (featx.report, featx.ReportSettings, ReportChanges),
    (featx.export, featx.ExportSettings, ExportChanges),
    (featx.write_features, featx.FeaturesSettings, FeaturesChanges),
    (featx.find_similar, featx.SimilarSettings, SimilarChanges),
]
#: In an order in which their examples can run: each needs files of those before it.
EXAMPLES = (
    *("write_sample", "scan", "check", "preview", "extract", "verify", "compare", "curve", "audit"),
    "join",
    *("write_features", "find_similar"),
    *("fit", "load", "score", "evaluate", "choose_next", "report", "finetune", "export"),
)


def _widened(hint: object) -> object:
    """Return a type with str in place of the names that it lists."""
    if typing.get_origin(hint) is typing.Literal:
        return str
    inner = typing.get_args(hint)
    if not inner:
        return hint
    if typing.get_origin(hint) is Sequence:
        return Sequence[_widened(inner[0])]  # type: ignore[misc]
    if typing.get_origin(hint) in (typing.Union, type(int | None)):
        return typing.Union[tuple(_widened(one) for one in inner)]  # noqa: UP007
    return hint


@pytest.mark.parametrize(("verb", "settings", "changes"), ALL)
def test_keywords_are_the_fields_of_the_settings(
    verb: object, settings: type, changes: type
) -> None:
    fields = {field.name for field in dataclasses.fields(settings)}
    hints = typing.get_type_hints(changes)
    assert set(hints) == fields
    expected = typing.get_type_hints(settings)
    assert {name: _widened(hint) for name, hint in hints.items()} == {
        name: expected[name] for name in fields
    }


@pytest.mark.parametrize(("verb", "settings", "changes"), ALL)
def test_help_shows_every_keyword(
    verb: typing.Callable[..., object], settings: type, changes: type
) -> None:
    shown = inspect.signature(verb).parameters
    text = inspect.getdoc(verb) or ""
    assert "changes" not in shown and "**changes" not in text
    for name, value in dataclasses.asdict(settings()).items():
        assert shown[name].default == value
        (line,) = (
            line
            for line in text.splitlines()
            if " : " in line and name in line.partition(" : ")[0].split(", ")
        )
        assert f"default={value!r}" in line or f", {value!r}" in line, line


@pytest.mark.parametrize("name", featx.__all__)
def test_help_of_functions_is_whole(name: str) -> None:
    function = getattr(featx, name)
    if inspect.isfunction(function):
        assert name in EXAMPLES
        for section in ("Parameters", "Returns", "Raises", "Examples"):
            assert f"\n{section}\n---" in (inspect.getdoc(function) or ""), section


def test_the_examples_in_help_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    small = functools.partial(featx.extract, weights="random", size=32)
    functions = {name: getattr(featx, name) for name in EXAMPLES}
    monkeypatch.setattr(featx, "extract", small, raising=False)
    monkeypatch.setattr(
        featx, "load", functools.partial(featx.load, weights="random"), raising=False
    )
    parser = doctest.DocTestParser()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for name, function in functions.items():
        test = parser.get_doctest(inspect.getdoc(function) or "", {}, name, None, None)
        assert test.examples, name
        for example in test.examples:
            example.options.clear()  # they are skipped where there are no such files
        assert runner.run(test).failed == 0, name
