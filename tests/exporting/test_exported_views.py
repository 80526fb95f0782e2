"""Every view as layers gives the rows that the head of a model sees."""

from pathlib import Path

import numpy as np
import pytest
from generated import TINY, class_folders

import featx
from featx import backend
from featx.errors import InputError
from featx.exporting.network import build_exported
from featx.exporting.pixels import find_images
from featx.network.views import VIEWS


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("views")
    class_folders(root / "photos", 6)
    settings = {**TINY, "precision": "float32", "layers": ("block1_conv2", "block4_conv1")}
    for name, more in (
        ("plain", {"cut": "block3_pool"}),
        ("exact", {"cut": "block3_pool", "dtype": "float32"}),
        ("mirror", {"mirror": True}),
        ("input", {"cut": "input", "preprocessing": "caffe"}),
        ("sizes", {"size": (32, 64)}),
    ):
        featx.extract(root / "photos", root / f"{name}.h5", **{**settings, **more})
    return root


@pytest.mark.parametrize(
    ("cache", "view"),
    [
        *(("plain", view) for view in VIEWS),
        ("exact", "covariance"),
        ("mirror", "layers"),
        ("mirror", "avg"),
        ("input", "avgmax"),
        ("sizes", "avg"),
    ],
)
def test_rows_are_those_of_the_model(caches: Path, tmp_path: Path, cache: str, view: str) -> None:
    featx.fit(caches / f"{cache}.h5", tmp_path / "m.featx", head="lda", view=view)
    model = featx.load(tmp_path / "m.featx", precision="float32", runtime="tensorflow")
    network, pixels = build_exported(model), find_images(model).pixels
    keras = backend.keras()
    seen = keras.Model(network.input, network.get_layer("rows").output).predict_on_batch(pixels)
    expected = model.rows(model.trunk.activations([pixels]))
    assert seen.shape == expected.shape
    assert np.abs(seen - expected).max() < 1e-3 * np.abs(expected).max()


def test_an_image_at_several_sizes_cannot_be_exported(caches: Path, tmp_path: Path) -> None:
    model = featx.fit(caches / "sizes.h5", tmp_path / "m.featx", head="lda", view="layers").model
    with pytest.raises(InputError, match=r"sees every image at 2 sizes \(32, 64 pixels\)"):
        featx.export(model, tmp_path / "m.onnx")
