"""A script as a user would write it: `mypy --strict` checks it, and a test runs it."""

import sys
from pathlib import Path

import numpy as np

import featx


def train(photos: Path, cache: Path, out: Path) -> featx.Model:
    extracted = featx.extract(photos, cache, weights="random", size=32)
    for image in extracted.skipped:
        print("skipped:", image.path, image.reason)
    board = featx.compare(cache, heads=("lda", "logreg"), metric="log-loss", folds=3)
    best = min(board.entries, key=lambda entry: entry.log_loss)
    fitted = featx.fit(cache, out, head="lda", view=best.view, overwrite=True)
    if fitted.test is not None:
        share: float = fitted.test.accuracy
        print(f"{best.head} on {best.view}: {share:.3f} of {fitted.test.images} test images")
    return fitted.model


def main(folder: Path) -> None:
    photos = featx.write_sample(folder / "digits", per_class=8).out
    train(photos, folder / "features.h5", folder / "model.featx")
    model = featx.load(folder / "model.featx")
    images = sorted((photos / "test").rglob("*.png"))
    probabilities: np.ndarray = model.predict_proba(images[:3])
    names = [str(name) for name in model.predict(images[:3])]
    scored = featx.score(model, photos / "test", folder / "scores.csv", top=3)
    print(probabilities.shape, names, scored.ok, sum(scored.failed.values()))
    paths = sorted((photos / "train").rglob("*.png"))
    labels = [path.parent.name for path in paths]
    classifier = featx.ImageClassifier("lda", cache=folder / "features.h5")
    share: float = classifier.fit(paths, labels).score(paths, labels)
    pooled: np.ndarray = featx.ImageFeatures(cache=folder / "features.h5").fit_transform(paths)
    print(share > 0.5, pooled.shape)
    with featx.Cache.open(folder / "features.h5") as cache:
        rows, indices, _ = cache.matrix("avg")
        print(cache.catalog.classes[indices[0]], rows.dtype)
    try:
        featx.verify(folder / "no-such.h5")
    except featx.FeatxError as error:
        print(f"exit code {error.exit_code}: {error}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
