"""A search of scikit-learn over a network's features, and featx's comparison on the same folds."""

import sys
from pathlib import Path

from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import featx

photos, cache = sys.argv[1:]  # a folder with a folder for each class, and a file to write
images = [{"path": str(path), "label": path.parent.name} for path in Path(photos).rglob("*.jpg")]
extracted = featx.extract(images, cache)

strengths = (1, 10, 100)
models = {f"C={C}": LogisticRegression(C=C, max_iter=5000) for C in strengths}
board = featx.compare(cache, heads=("dummy",), views=("avg", "max"), estimators=models)

pipeline = make_pipeline(featx.ImageFeatures(cache=cache), LogisticRegression(max_iter=5000))
grid = {"imagefeatures__pool": ["avg", "max"], "logisticregression__C": strengths}
search = GridSearchCV(pipeline, grid, cv=board.cv).fit(board.files, board.y)

ours = {(entry.view, entry.head): entry.score for entry in board.entries}
found = search.cv_results_
for params, score in zip(found["params"], found["mean_test_score"], strict=True):
    pool, C = params["imagefeatures__pool"], params["logisticregression__C"]
    print(f"{pool} C={C}: {score:.4f} by scikit-learn, {ours[pool, f'C={C}']:.4f} by featx")
again = featx.extract(images, cache)
print(f"{extracted.computed} images went through the network, and {again.computed} again")
