"""The names that types list are the keys of the tables."""

from collections.abc import Collection
from typing import Any, get_args

import pytest

from featx import names
from featx.cache.plan import QUALITIES
from featx.engines.choose import BACKENDS
from featx.exporting.formats import PRECISIONS as EXPORT_PRECISIONS
from featx.exporting.formats import QUANTIZATIONS
from featx.finetuning.recipe import OPTIMIZERS
from featx.heads.leaderboard import PREFERENCES
from featx.heads.registry import HEADS
from featx.images.augment import POLICIES
from featx.images.decode import RESIZE
from featx.metrics import METRICS
from featx.network.fingerprint import DTYPES, KEEP
from featx.network.networks import NETWORKS
from featx.network.runtime import PRECISIONS, RUNTIMES
from featx.network.views import VIEWS
from featx.reporting.report import PARTS
from featx.scoring.score import SORTS


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        (names.HeadName, HEADS),
        (names.ViewName, VIEWS),
        (names.MetricName, METRICS),
        (names.Preference, PREFERENCES),
        (names.LayerName, NETWORKS["vgg16"].cuts),
        (names.NetworkName, NETWORKS),
        (names.BackendName, BACKENDS),
        (names.Augmentation, POLICIES),
        (names.ResizeRule, RESIZE),
        (names.QualityName, QUALITIES),
        (names.Dtype, DTYPES),
        (names.KeepName, KEEP),
        (names.RuntimeName, RUNTIMES),
        (names.PrecisionName, PRECISIONS),
        (names.ExportPrecision, EXPORT_PRECISIONS),
        (names.QuantizationName, QUANTIZATIONS),
        (names.OptimizerName, OPTIMIZERS),
        (names.SortKey, SORTS),
        (names.ReportPart, PARTS),
    ],
)
def test_types_list_the_keys_of_the_table(kind: Any, table: Collection[str]) -> None:
    assert list(get_args(kind)) == list(table)
