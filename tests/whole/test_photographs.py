"""Real photographs, real weights: skipped where either cannot be had."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import featx
from featx.network.weights import Weights


def test_ants_and_bees(
    photographs: Callable[[str], Path], imagenet: Weights, tmp_path: Path
) -> None:
    """A sample of 48 to train and 48 to test at 128 pixels: well above the half of guessing."""
    source = photographs("hymenoptera")
    rows = ["path,label,split"]
    for split in ("train", "val"):
        for label in ("ants", "bees"):
            chosen = sorted((source / split / label).glob("*.jpg"))[:24]
            rows += [f"{path},{label},{split}" for path in chosen]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    listed = featx.scan(tmp_path / "list.csv", allow_outside=True)
    done = featx.extract(listed, tmp_path / "f.h5", size=128)
    assert done.cached == 96 and done.fingerprint.trunk.weights == imagenet.digest
    fitted = featx.fit(tmp_path / "f.h5", tmp_path / "m.featx", head="logreg")
    assert fitted.test.accuracy >= 0.85
    model = featx.load(tmp_path / "m.featx", runtime="tensorflow")  # whatever it was made with
    assert model.predict([source / "val/ants/10308379_1b6c72e180.jpg"]) == ["ants"]


def test_a_search_of_scikit_learn_finds_the_scores_of_a_comparison(
    photographs: Callable[[str], Path], imagenet: Weights, tmp_path: Path
) -> None:
    """The script that a user would copy: equal to the last digit, and each image computed once."""
    source = photographs("hymenoptera") / "train"
    for label in ("ants", "bees"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for path in sorted((source / label).glob("*.jpg"))[:24]:
            (tmp_path / "photos" / label / path.name).symlink_to(path)
    script = Path(__file__).parents[2] / "examples" / "search.py"
    command = [sys.executable, str(script), str(tmp_path / "photos"), str(tmp_path / "f.h5")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    found = re.findall(r": (\d\.\d{4}) by scikit-learn, (\d\.\d{4}) by featx", run.stdout)
    assert len(found) == 6 and all(theirs == ours for theirs, ours in found)
    assert "48 images went through the network, and 0 again" in run.stdout
