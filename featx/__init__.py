"""Find the best model for few labelled images, and score the next ten thousand with it.

The whole way, here on random weights and small images, so that it takes seconds; leave both out
for real work:

>>> import tempfile, featx
>>> from featx.dataset.sample import write_sample
>>> folder = tempfile.TemporaryDirectory()
>>> photos = write_sample(f"{folder.name}/digits", per_class=10).out
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
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Where each public name lives. Imported when first asked for, so that `featx --help` needs neither
# numpy nor TensorFlow.
_HOMES = {
    "Cache": "cache.file",
    "CompareSettings": "heads.leaderboard",
    "EvaluateSettings": "scoring.evaluate",
    "ExtractSettings": "cache.extract",
    "FinetuneSettings": "finetuning.finetune",
    "FeatxError": "errors",
    "FitSettings": "model.fit",
    "Model": "model.model",
    "ScoreSettings": "scoring.score",
    "compare": "heads.compare",
    "evaluate": "scoring.evaluate",
    "export": "model.export",
    "extract": "cache.extract",
    "finetune": "finetuning.finetune",
    "fit": "model.fit",
    "load": "model.file",
    "scan": "dataset.scan",
    "score": "scoring.score",
    "verify": "model.verify",
}

if TYPE_CHECKING:
    from .cache.extract import ExtractSettings, extract
    from .cache.file import Cache
    from .dataset.scan import scan
    from .errors import FeatxError
    from .finetuning.finetune import FinetuneSettings, finetune
    from .heads.compare import compare
    from .heads.leaderboard import CompareSettings
    from .model.export import export
    from .model.file import load
    from .model.fit import FitSettings, fit
    from .model.model import Model
    from .model.verify import verify
    from .scoring.evaluate import EvaluateSettings, evaluate
    from .scoring.score import ScoreSettings, score

__all__ = [
    "Cache",
    "CompareSettings",
    "EvaluateSettings",
    "ExtractSettings",
    "FeatxError",
    "FinetuneSettings",
    "FitSettings",
    "Model",
    "ScoreSettings",
    "compare",
    "evaluate",
    "export",
    "extract",
    "finetune",
    "fit",
    "load",
    "scan",
    "score",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name == "Bundle":  # the name that `Model` had until now; it goes with version 0.2
        name = "Model"
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
