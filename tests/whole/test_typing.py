"""Settings can be given as keywords, and an editor sees which there are."""

import dataclasses
import typing

import pytest

import featx
from featx.auditing.settings import AuditChanges
from featx.cache.plan import ExtractChanges
from featx.finetuning.recipe import FinetuneChanges
from featx.heads.curve import CurveChanges
from featx.heads.settings import CompareChanges
from featx.model.settings import FitChanges
from featx.reporting.report import ReportChanges
from featx.scoring.evaluate import EvaluateChanges
from featx.scoring.next import NextChanges
from featx.scoring.score import ScoreChanges


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        (featx.ExtractSettings, ExtractChanges),
        (featx.CompareSettings, CompareChanges),
        (featx.AuditSettings, AuditChanges),
        (featx.FitSettings, FitChanges),
        (featx.FinetuneSettings, FinetuneChanges),
        (featx.ScoreSettings, ScoreChanges),
        (featx.EvaluateSettings, EvaluateChanges),
        (featx.CurveSettings, CurveChanges),
        (featx.NextSettings, NextChanges),
        (featx.ReportSettings, ReportChanges),
    ],
)
def test_keywords_are_the_fields_of_the_settings(settings: type, changes: type) -> None:
    fields = {field.name for field in dataclasses.fields(settings)}
    assert set(typing.get_type_hints(changes)) == fields
    assert typing.get_type_hints(changes) == {
        name: kind for name, kind in typing.get_type_hints(settings).items() if name in fields
    }
