"""What tests of fine-tuning start from."""

from pathlib import Path

import pytest
from generated import TINY, class_folders

import featx


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with images, their cache and a model."""
    root = tmp_path_factory.mktemp("tune")
    class_folders(root / "photos", 12, lies=5)
    featx.extract(root / "photos", root / "f.h5", copies=1, augment="flip", **TINY)
    featx.fit(root / "f.h5", root / "m.featx", head="logreg")
    return root


@pytest.fixture(scope="module")
def tuned(made: Path) -> Path:
    featx.finetune(
        made / "m.featx", made / "t.featx", force=True, epochs=1, batch_size=8, learning_rate=1e-4
    )
    return made / "t.featx"
