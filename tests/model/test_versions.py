"""Models that another version of scikit-learn fitted."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from generated import TINY, class_folders, without_pools

import featx
from featx.errors import IncompatibleError

OLD = "1.8.0"
HEADS = ("logreg", "lda", "linear-svm", "rbf-svm", "knn", "random-forest", "nearest-centroid")

FIT = """
import json, sys
import numpy as np
import featx, sklearn
root, *heads = sys.argv[1:]
found = {"sklearn": sklearn.__version__}
with featx.Cache.open(f"{root}/f.h5") as cache:
    activations = next(cache.blocks(np.arange(len(cache)), 0))[1].flat()
for head in heads:
    model = featx.fit(f"{root}/f.h5", f"{root}/{head}.featx", head=head).model
    found[head] = model.predict_proba_activations(activations).tolist()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[list[float]]]]:
    """Return a folder of models that the old version fitted, and their probabilities there."""
    root = tmp_path_factory.mktemp("versions")
    got = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps",
                          "--only-binary", ":all:", "--target", root / "old",
                          f"scikit-learn=={OLD}"], capture_output=True, text=True)  # fmt: skip
    if got.returncode:
        pytest.skip(f"scikit-learn {OLD} cannot be installed here: {got.stderr[-200:]}")
    class_folders(root / "photos", 12)
    featx.extract(root / "photos", root / "f.h5", **TINY)
    run = subprocess.run([sys.executable, "-c", FIT, root, *HEADS, "hist-gradient-boosting"],
                         capture_output=True, text=True,
                         env={**os.environ, "PYTHONPATH": str(root / "old")})  # fmt: skip
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout.splitlines()[-1])
    assert found.pop("sklearn") == OLD
    return root, found


def test_most_heads_are_read_with_one_word_about_it(
    made: tuple[Path, dict[str, list[list[float]]]],
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
) -> None:
    root, expected = made
    with featx.Cache.open(root / "f.h5") as cache:
        activations = without_pools(cache.features[:, 0])
    for head in HEADS:
        caplog.clear()
        model = featx.load(root / f"{head}.featx")
        assert caplog.messages == [
            f"{root / head}.featx was fitted with scikit-learn {OLD} and runs with "
            f"{model_version()}; fit it again to be safe."
        ]
        assert np.allclose(model.predict_proba_activations(activations), expected[head], atol=1e-6)
    assert not [warning for warning in recwarn if "InconsistentVersion" in str(warning.category)]


def test_a_head_that_cannot_be_read_names_the_versions(
    made: tuple[Path, dict[str, list[list[float]]]],
) -> None:
    said = (
        f"was fitted with scikit-learn {OLD}, and scikit-learn {model_version()} does not read its "
        rf"head, hist-gradient-boosting\. .*featx fit .*pip install scikit-learn=={OLD}"
    )
    with pytest.raises(IncompatibleError, match=said):
        featx.load(made[0] / "hist-gradient-boosting.featx")


def model_version() -> str:
    import sklearn

    return str(sklearn.__version__)
