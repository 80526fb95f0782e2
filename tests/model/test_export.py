"""One plain Keras file, opened without featx."""

import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from generated import TINY, write_image

import featx
from featx.errors import InputError
from featx.images import decode
from featx.network.preprocessing import normalization


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("export")
    for hue, name in enumerate(("blue", "green", "red")):
        for number in range(8):
            write_image(root / "photos" / name / f"{number}.png", 100 * hue + number, 2 - hue)
    for kind in ("caffe", "torch"):
        featx.extract(root / "photos", root / f"{kind}.h5", preprocessing=kind,
                      cut="block3_pool", **TINY)  # fmt: skip
    return root


OPEN = """
import json, sys, zipfile
import numpy as np, keras
pixels = np.load(sys.argv[1])
for path in sys.argv[2:]:
    model = keras.saving.load_model(path)
    assert 'featx' not in sys.modules and model.input_shape == (None, 32, 32, 3)
    assert str(model.inputs[0].dtype) == 'uint8'
    about = json.loads(zipfile.ZipFile(path).read('metadata.json'))['featx']
    found = model.predict(pixels, verbose=0).tolist()
    print(json.dumps({'classes': about['classes'], 'resize': about['resize'], 'found': found}))
"""


def test_it_gives_the_probabilities_of_score_without_featx(made: Path, tmp_path: Path) -> None:
    plain = featx.fit(made / "torch.h5", tmp_path / "p.featx", head="lda").model
    dense = featx.fit(
        made / "caffe.h5", tmp_path / "d.featx", head="dense", options={"epochs": 5}
    ).model
    cut, trunk = "block3_conv2", dense.fingerprint.trunk
    moved = replace(dense.fingerprint, trunk=replace(trunk, cut=cut))
    tuned = replace(dense, fingerprint=moved, tail=dense.tail_after(cut))
    models = [plain, tuned]
    outs = [tmp_path / f"{number}.keras" for number in range(len(models))]
    for model, out in zip(models, outs, strict=True):
        written = featx.export(model, out)
        assert written.size == 32 and written.bytes == out.stat().st_size
        assert written.apart <= 1e-3
    paths = sorted((made / "photos").rglob("*.png"))
    np.save(
        tmp_path / "x.npy",
        np.stack([decode.decode(decode.read(path).data, 32, "crop").pixels for path in paths]),
    )
    run = subprocess.run([sys.executable, "-c", OPEN, str(tmp_path / "x.npy"), *map(str, outs)],
                         capture_output=True, text=True, check=True, cwd=tmp_path)  # fmt: skip
    for model, line in zip(models, run.stdout.splitlines()[-len(models) :], strict=True):
        found = json.loads(line)
        assert found["classes"] == ["blue", "green", "red"] and found["resize"] == "crop"
        as_made = replace(model, precision=model.fingerprint.precision)
        assert np.allclose(found["found"], as_made.predict_proba(paths), atol=1e-3)


def test_a_model_made_in_bfloat16_is_exported_in_it_or_says_so(
    made: Path, tmp_path: Path, native: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {**TINY, "cut": "block3_pool", "precision": "bfloat16", "runtime": "tensorflow"}
    featx.extract(made / "photos", tmp_path / "b.h5", **settings)
    featx.fit(tmp_path / "b.h5", tmp_path / "b.featx", head="lda")
    model = featx.load(tmp_path / "b.featx")
    written = featx.export(model, tmp_path / "b.keras")
    assert written.precision == written.made_in == "bfloat16" and written.apart <= 2e-2
    assert "differ a little" not in caplog.text
    exact = featx.export(model, tmp_path / "e.keras", precision="float32")
    assert exact.precision == "float32" and exact.apart <= 1e-3
    assert "in float32, and the model was made in bfloat16: probabilities differ" in caplog.text
    with pytest.raises(InputError, match="Unknown precision 'half'"):
        featx.export(model, tmp_path / "h.keras", precision="half")
    caplog.clear()
    featx.extract(made / "photos", tmp_path / "a.h5", **{**TINY, "precision": "float32"})
    featx.fit(tmp_path / "a.h5", tmp_path / "a.featx", head="lda")
    plain = featx.export(featx.load(tmp_path / "a.featx"), tmp_path / "a.keras")
    assert plain.precision == "float32" and "made in" not in caplog.text


def test_what_cannot_be_exported(made: Path, tmp_path: Path) -> None:
    model = featx.fit(made / "caffe.h5", tmp_path / "m.featx", head="knn").model
    with pytest.raises(InputError, match=r"head knn cannot become layers .*nearest-centroid, lda"):
        featx.export(model, tmp_path / "m.keras")
    model = featx.fit(made / "caffe.h5", tmp_path / "l.featx", head="lda").model
    with pytest.raises(InputError, match=r"expected the name of a file that ends in \.keras"):
        featx.export(model, tmp_path / "m.h5")
    (tmp_path / "m.keras").write_text("mine")
    with pytest.raises(InputError, match=r"exists\. Give another output, or add --overwrite"):
        featx.export(model, tmp_path / "m.keras")
    featx.export(model, tmp_path / "m.keras", overwrite=True)
    assert zipfile.is_zipfile(tmp_path / "m.keras")


def test_an_export_that_was_put_together_wrongly_is_not_written(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    featx.fit(made / "torch.h5", tmp_path / "m.featx", head="lda")
    model = featx.load(tmp_path / "m.featx")
    monkeypatch.setattr("featx.model.export.normalization", lambda _: normalization("caffe"))
    with pytest.raises(AssertionError, match="apart from the model"):
        featx.export(model, tmp_path / "m.keras")
    assert not (tmp_path / "m.keras").exists()
