"""Find the best classifier for a few labelled images, and score many more with it.

This example runs the whole way on random weights and small images, so that it takes seconds. For
real work, leave `weights` and `size` out:

>>> import tempfile, featx
>>> folder = tempfile.TemporaryDirectory()
>>> photos = featx.write_sample(f"{folder.name}/digits", per_class=10).out
>>> cache = f"{folder.name}/features.h5"
>>> extraction = featx.extract(photos, cache, weights="random", size=32)
>>> extraction.listed, extraction.cached, extraction.forward
(100, 100, 100)
>>> with featx.Cache.open(cache) as opened:
...     X, y, image = opened.matrix("avg")
...     classes = opened.catalog.classes
>>> X.shape, classes[:3]
((100, 512), ('0', '1', '2'))
>>> board = featx.compare(cache, heads=("logreg", "lda"))
>>> sorted(entry.head for entry in board.entries)
['dummy', 'lda', 'logreg']
>>> fitted = featx.fit(cache, f"{folder.name}/model.featx", head="logreg")
>>> fitted.test.images
20
>>> model = featx.load(f"{folder.name}/model.featx")
>>> model.predict_proba([photos / "train/0/0000.png"]).shape
(1, 10)
>>> scored = featx.score(model, photos / "test", f"{folder.name}/scores.csv")
>>> scored.listed, scored.failed
(20, {})
>>> folder.cleanup()
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

if sys.platform == "win32":
    raise ImportError(
        "featx runs on Linux and macOS, and not on Windows itself. On Windows, install and run it "
        "inside WSL: type wsl --install, and then pip install featx in the Linux shell."
    )

__version__ = "0.1.0"

# The module of each public name, imported when the name is first used, so that `featx --help` needs
# neither numpy nor TensorFlow.
_HOMES = {
    "AuditResult": "auditing.result",
    "AuditSettings": "auditing.settings",
    "Cache": "cache.file",
    "CheckResult": "images.check",
    "Catalog": "dataset.catalog",
    "CompareResult": "heads.leaderboard",
    "CompareSettings": "heads.settings",
    "CorruptError": "errors",
    "CurveResult": "heads.curve",
    "CurveSettings": "heads.curve",
    "EvaluateResult": "scoring.evaluate",
    "EvaluateSettings": "scoring.evaluate",
    "ExportResult": "exporting.export",
    "ExportSettings": "exporting.export",
    "ExtractResult": "cache.extract",
    "ExtractSettings": "cache.extract",
    "FeaturesResult": "cache.features",
    "FeaturesSettings": "cache.features",
    "FeatxError": "errors",
    "Fingerprint": "network.fingerprint",
    "FinetuneResult": "finetuning.finetune",
    "FinetuneSettings": "finetuning.finetune",
    "FitResult": "model.fit",
    "FitSettings": "model.settings",
    "ImageClassifier": "model.classifier",
    "ImageFeatures": "cache.transformer",
    "IncompatibleError": "errors",
    "InputError": "errors",
    "LockedError": "errors",
    "Model": "model.model",
    "NETWORKS": "network.networks",
    "NextResult": "scoring.next",
    "NextSettings": "scoring.next",
    "OutOfTimeError": "errors",
    "PreviewResult": "images.preview",
    "PreviewSettings": "images.preview",
    "ReportResult": "reporting.report",
    "ReportSettings": "reporting.report",
    "SampleResult": "dataset.sample",
    "ScoreResult": "scoring.result",
    "ScoreSettings": "scoring.score",
    "SimilarResult": "auditing.similar",
    "SimilarSettings": "auditing.similar",
    "StorageError": "errors",
    "VGG16Features": "cache.transformer",
    "VerifyResult": "model.verify",
    "audit": "auditing.audit",
    "check": "images.check",
    "choose_next": "scoring.next",
    "compare": "heads.compare",
    "curve": "heads.curve",
    "evaluate": "scoring.evaluate",
    "export": "exporting.export",
    "extract": "cache.extract",
    "find_similar": "auditing.similar",
    "finetune": "finetuning.finetune",
    "fit": "model.fit",
    "join": "cache.join",
    "load": "model.file",
    "preview": "images.preview",
    "report": "reporting.report",
    "scan": "dataset.scan",
    "score": "scoring.score",
    "verify": "model.verify",
    "write_features": "cache.features",
    "write_sample": "dataset.sample",
}

if TYPE_CHECKING:
    from .auditing.audit import audit
    from .auditing.result import AuditResult
    from .auditing.settings import AuditSettings
    from .auditing.similar import SimilarResult, SimilarSettings, find_similar
    from .cache.extract import ExtractResult, ExtractSettings, extract
    from .cache.features import FeaturesResult, FeaturesSettings, write_features
    from .cache.file import Cache
    from .cache.join import join
    from .cache.transformer import ImageFeatures, VGG16Features
    from .dataset.catalog import Catalog
    from .dataset.sample import SampleResult, write_sample
    from .dataset.scan import scan
    from .errors import (
        CorruptError,
        FeatxError,
        IncompatibleError,
        InputError,
        LockedError,
        OutOfTimeError,
        StorageError,
    )
    from .exporting.export import ExportResult, ExportSettings, export
    from .finetuning.finetune import FinetuneResult, FinetuneSettings, finetune
    from .heads.compare import compare
    from .heads.curve import CurveResult, CurveSettings, curve
    from .heads.leaderboard import CompareResult
    from .heads.settings import CompareSettings
    from .images.check import CheckResult, check
    from .images.preview import PreviewResult, PreviewSettings, preview
    from .model.classifier import ImageClassifier
    from .model.file import load
    from .model.fit import FitResult, fit
    from .model.model import Model
    from .model.settings import FitSettings
    from .model.verify import VerifyResult, verify
    from .network.fingerprint import Fingerprint
    from .network.networks import NETWORKS
    from .reporting.report import ReportResult, ReportSettings, report
    from .scoring.evaluate import EvaluateResult, EvaluateSettings, evaluate
    from .scoring.next import NextResult, NextSettings, choose_next
    from .scoring.result import ScoreResult
    from .scoring.score import ScoreSettings, score

__all__ = [
    "NETWORKS",
    "AuditResult",
    "AuditSettings",
    "Cache",
    "Catalog",
    "CheckResult",
    "CompareResult",
    "CompareSettings",
    "CorruptError",
    "CurveResult",
    "CurveSettings",
    "EvaluateResult",
    "EvaluateSettings",
    "ExportResult",
    "ExportSettings",
    "ExtractResult",
    "ExtractSettings",
    "FeaturesResult",
    "FeaturesSettings",
    "FeatxError",
    "FinetuneResult",
    "FinetuneSettings",
    "Fingerprint",
    "FitResult",
    "FitSettings",
    "ImageClassifier",
    "ImageFeatures",
    "IncompatibleError",
    "InputError",
    "LockedError",
    "Model",
    "NextResult",
    "NextSettings",
    "OutOfTimeError",
    "PreviewResult",
    "PreviewSettings",
    "ReportResult",
    "ReportSettings",
    "SampleResult",
    "ScoreResult",
    "ScoreSettings",
    "SimilarResult",
    "SimilarSettings",
    "StorageError",
    "VGG16Features",
    "VerifyResult",
    "audit",
    "check",
    "choose_next",
    "compare",
    "curve",
    "evaluate",
    "export",
    "extract",
    "find_similar",
    "finetune",
    "fit",
    "join",
    "load",
    "preview",
    "report",
    "scan",
    "score",
    "verify",
    "write_features",
    "write_sample",
]


def __getattr__(name: str) -> Any:
    if name == "Bundle":  # the former name of `Model`, kept until version 0.2
        name = "Model"
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    own = {name for name in globals() if name.startswith("__")}
    return sorted({*own, *__all__})  # and not what this module imports for itself
