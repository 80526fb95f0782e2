"""One plain Keras file, opened without featx."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY, picture

import featx
from featx import images
from featx.errors import InputError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("export")
    for hue, name in enumerate(("blue", "green", "red")):
        for number in range(8):
            picture(root / "photos" / name / f"{number}.png", 100 * hue + number, 2 - hue)
    for kind in ("caffe", "torch"):
        featx.extract(root / "photos", root / f"{kind}.h5", preprocessing=kind,
                      cut="block3_pool", **TINY)  # fmt: skip
    return root


OPEN = """
import json, sys, zipfile
import numpy as np, keras
model = keras.saving.load_model(sys.argv[1])
pixels = np.load(sys.argv[2])
assert 'featx' not in sys.modules and model.input_shape == (None, 32, 32, 3)
assert str(model.inputs[0].dtype) == 'uint8'
described = json.loads(zipfile.ZipFile(sys.argv[1]).read('metadata.json'))['featx']
found = model.predict(pixels, verbose=0).tolist()
print(json.dumps({'classes': described['classes'], 'resize': described['resize'], 'found': found}))
"""


@pytest.mark.parametrize(
    ("preprocessing", "head", "tuned"),
    [("torch", "lda", False), ("caffe", "dense", True)],
)
def test_it_gives_the_probabilities_of_score_without_featx(
    made: Path, tmp_path: Path, preprocessing: str, head: str, tuned: bool
) -> None:
    options = {"epochs": 5} if head == "dense" else {}
    path = tmp_path / "m.featx"
    featx.fit(made / f"{preprocessing}.h5", path, head=head, options=options)
    if tuned:
        featx.finetune(path, tmp_path / "t.featx", force=True, unfreeze=2, epochs=1, batch_size=8)
        path = tmp_path / "t.featx"
    model = featx.load(path)
    out = tmp_path / "m.keras"
    written = featx.export(model, out)
    assert written.size == 32 and written.bytes == out.stat().st_size
    paths = sorted((made / "photos").rglob("*.png"))
    pixels = [images.load(path, 32, "crop").pixels for path in paths]
    np.save(tmp_path / "pixels.npy", np.stack(pixels))
    run = subprocess.run([sys.executable, "-c", OPEN, str(out), str(tmp_path / "pixels.npy")],
                         capture_output=True, text=True, check=True, cwd=tmp_path)  # fmt: skip
    found = json.loads(run.stdout.splitlines()[-1])
    assert found["classes"] == ["blue", "green", "red"] and found["resize"] == "crop"
    assert np.allclose(found["found"], model.predict_proba(paths), atol=1e-3)


def test_what_cannot_be_exported(made: Path, tmp_path: Path) -> None:
    model = featx.fit(made / "caffe.h5", tmp_path / "m.featx", head="knn").bundle
    with pytest.raises(InputError, match=r"head knn cannot become layers .*nearest-centroid, lda"):
        featx.export(model, tmp_path / "m.keras")
    model = featx.fit(made / "caffe.h5", tmp_path / "m.featx", head="lda").bundle
    with pytest.raises(InputError, match=r"expected the name of a file that ends in \.keras"):
        featx.export(model, tmp_path / "m.h5")
    (tmp_path / "m.keras").write_text("mine")
    with pytest.raises(InputError, match=r"exists\. Give another output, or add --overwrite"):
        featx.export(model, tmp_path / "m.keras")
    featx.export(model, tmp_path / "m.keras", overwrite=True)
    assert zipfile.is_zipfile(tmp_path / "m.keras")
