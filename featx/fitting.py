"""Stage 2: a head trained on the cache, tested on pictures it has not seen, saved as a bundle."""

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import heads, splits, weights
from .bundle import Bundle, library_versions
from .cache import Cache
from .metrics import Figures, figures

__all__ = ["FitSettings", "Fitted", "fit"]


@dataclass(frozen=True)
class FitSettings:
    """How a head is trained and tested.

    Attributes
    ----------
    head : str
        A key of `heads.HEADS`.
    pool : {"avg", "max", "avgmax", "flatten"}, optional
        By default the head's own.
    test_size : float
        Share of the pictures held out for the test, when the pictures are not split.
    seed : int
        Of the held-out pictures and of the head.
    """

    head: str = "logreg"
    pool: str | None = None
    test_size: float = 0.2
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Fitted:
    """What `fit` did.

    Attributes
    ----------
    bundle : Bundle
        The model, as it was saved.
    test : Figures
        On the pictures that were not trained on.
    train_images, train_rows : int
        Pictures trained on; with their augmented copies.
    rule : str
        Which pictures were tested on, in words.
    left_out : int
        Training pictures left out because they equal a test picture or share its group.
    unlabelled : int
        Pictures without a label, which were neither trained nor tested on.
    out : Path
    seconds : float
    """

    bundle: Bundle
    test: Figures
    train_images: int
    train_rows: int
    rule: str
    left_out: int
    unlabelled: int
    out: Path
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values, for JSON."""
        return {
            "head": self.bundle.head_name,
            "settings": self.bundle.settings,
            "classes": list(self.bundle.classes),
            "train": self.bundle.report["train"],
            "test": self.bundle.report["test"],
            "split": self.rule,
            "left_out": self.left_out,
            "unlabelled": self.unlabelled,
            "out": str(self.out),
            "seconds": self.seconds,
        }


def fit(
    features: str | os.PathLike[str],
    out: str | os.PathLike[str],
    settings: FitSettings | None = None,
    **changes: Any,
) -> Fitted:
    """Train a head on a cache, test it once on pictures it has not seen, and save the bundle.

    All copies of the training pictures are trained on; of the test pictures only the originals
    are tested.

    Parameters
    ----------
    features : path
        A cache made by `extract`.
    out : path
        The bundle to write.
    settings : FitSettings, optional
    **changes
        Fields of `FitSettings`, over those of `settings`.

    Raises
    ------
    InputError
        When the cache cannot be trained on, or a setting is wrong.
    CorruptError, IncompatibleError
        When the cache cannot be read.
    StorageError
        When the bundle cannot be written.
    """
    settings = replace(settings or FitSettings(), **changes)
    begun = time.monotonic()
    out = Path(out)
    row = heads.head(settings.head)
    pool = settings.pool or row.pool
    with Cache.open(features) as cache:
        catalog = cache.catalog
        splits.require_classes(catalog)
        split = splits.train_test(catalog, cache.digests, settings.test_size, settings.seed)
        train = cache.matrix(pool, pictures=split.train)
        test = cache.matrix(pool, pictures=split.test, copies=False)
        units = splits.units(catalog, cache.digests)
        fingerprint = cache.fingerprint
    head = heads.train(settings.head, train.X, train.y, units[train.picture], settings.seed)
    found = figures(test.y, head.predict_proba(test.X))
    report = {
        "train": {"images": len(split.train), "rows": len(train.y)},
        "test": found.as_dict(),
    }
    bundle = Bundle(
        head=head,
        head_name=settings.head,
        settings={"pool": pool, "test_size": settings.test_size, "seed": settings.seed},
        pool=pool,
        classes=catalog.classes,
        fingerprint=fingerprint,
        source=weights.source_of(fingerprint.trunk.weights),
        report=report,
        versions=library_versions(),
    )
    bundle.save(out)
    return Fitted(
        bundle=bundle,
        test=found,
        train_images=len(split.train),
        train_rows=len(train.y),
        rule=split.rule,
        left_out=split.left_out,
        unlabelled=int((catalog.labels < 0).sum()),
        out=out,
        seconds=round(time.monotonic() - begun, 3),
    )
