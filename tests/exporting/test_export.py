"""Exported files: run without featx, checked before they are written, or refused."""

import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generated import TINY, write_image
from PIL import ExifTags, Image
from typer.testing import CliRunner

import featx
from featx.cli import app
from featx.errors import IncompatibleError, InputError
from featx.exporting.formats import FORMATS
from featx.exporting.network import build_exported
from featx.network.preprocessing import normalization

EXAMPLES = Path(__file__).parents[2] / "examples"
WITHOUT_FEATX = """
import json, runpy, sys
sys.modules["featx"] = None
example = sys.argv[1]
for words in json.loads(sys.argv[2]):
    sys.argv = [example, *words]
    runpy.run_path(example, run_name="__main__")
"""


def out_of(form: str, folder: Path) -> Path:
    return folder / f"model{FORMATS[form].suffix}"


@pytest.fixture(scope="module")
def hard_images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return an image as usual, a large JPEG, one that stands on its head, and a grey one."""
    root = tmp_path_factory.mktemp("images")
    usual = write_image(root / "usual.png", 7, 1)
    large, turned, grey = root / "ü large.jpg", root / "turned.jpg", root / "grey.png"
    with Image.open(write_image(root / "big.png", 8, 2, (400, 300))) as image:
        image.save(large, quality=95)
        tags = Image.Exif()
        tags[ExifTags.Base.Orientation] = 6
        image.crop((0, 0, 90, 60)).save(turned, exif=tags, quality=95)
        image.convert("L").save(grey)
    return [usual, large, turned, grey]


@pytest.mark.parametrize(
    "form",
    [
        "onnx",
        "tflite",
        pytest.param("keras", marks=pytest.mark.slow),
        pytest.param("saved-model", marks=pytest.mark.slow),
    ],
)
def test_an_example_without_featx_says_what_the_model_says(
    form: str, made: Path, tuned: featx.Model, hard_images: list[Path], tmp_path: Path
) -> None:
    fitted = featx.load(made / "kernel-ridge.featx")
    calls, expected = [], []
    for number, model in enumerate((fitted, tuned)):
        folder = tmp_path / str(number)
        written = featx.export(model, out_of(form, folder), precision="float32")
        assert written.format == form and written.apart <= 1e-3 and written.images == 16
        assert written.checked_on.startswith("images of ") and written.bytes > 5e5
        exact = replace(model, precision="float32", runtime="tensorflow")
        for image, row in zip(hard_images, exact.predict_proba(hard_images), strict=True):
            calls.append([str(written.out), str(image)])
            expected.append((model.classes[row.argmax()], row.max()))
    example = EXAMPLES / f"{form.replace('-', '_')}{'_file' * bool(FORMATS[form].suffix)}.py"
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_FEATX, str(example), json.dumps(calls)],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    found = [line.split() for line in run.stdout.splitlines()[-len(calls) :]]
    assert [name for name, _ in found] == [name for name, _ in expected]
    assert np.allclose([float(p) for _, p in found], [p for _, p in expected], atol=1e-3)


def read_about(path: Path) -> Any:
    if path.suffix == ".keras":
        return json.loads(zipfile.ZipFile(path).read("metadata.json"))["featx"]
    if path.suffix == ".tflite":
        assert zipfile.ZipFile(path).read("labels.txt") == b"blue\ngreen\nred\n"
        return json.loads(zipfile.ZipFile(path).read("featx.json"))
    if path.suffix == ".onnx":
        import onnx

        made = onnx.load(path)
        assert [value.name for value in made.graph.input] == ["images"]
        assert [value.name for value in made.graph.output] == ["probabilities"]
        return json.loads({prop.key: prop.value for prop in made.metadata_props}["featx"])
    return json.loads((path / "assets.extra" / "featx.json").read_text("utf-8"))


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_says_what_it_is(form: str, made: Path, tmp_path: Path) -> None:
    model = featx.load(made / "lda.featx")
    written = featx.export(model, out_of(form, tmp_path))
    threshold = model.report["threshold"]["out_of_fold"]["confidence"]
    assert threshold and written.threshold == threshold
    assert read_about(written.out) == {
        "classes": ["blue", "green", "red"], "size": 32, "resize": "crop", "threshold": threshold,
        "head": "lda", "view": "avgmax", "model_sha256": model.digest,
    }  # fmt: skip
    run = FORMATS[form].load(written.out)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    assert np.allclose(run(pixels[:1]), run(pixels)[:1], atol=1e-5)  # any number of images


@pytest.mark.parametrize(("kind", "share"), [("float16", 0.6), ("int8", 0.4)])
def test_a_quantised_file_is_smaller(made: Path, tmp_path: Path, kind: str, share: float) -> None:
    whole = featx.export(made / "logreg.featx", tmp_path / "m.tflite")
    less = featx.export(made / "logreg.featx", tmp_path / "q.tflite", quantize=kind)
    assert less.bytes < share * whole.bytes
    assert whole.apart < less.apart <= 2e-2 and less.quantized == kind


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
    assert exact.apart_here is not None
    assert (exact.apart_here > exact.apart) == (native == "bfloat16")
    with pytest.raises(InputError, match="Unknown precision 'half'"):
        featx.export(model, tmp_path / "h.keras", precision="half")
    with pytest.raises(InputError, match=r"only a Keras file \(\.keras\) computes in bfloat16"):
        featx.export(model, tmp_path / "h.onnx", precision="bfloat16")


@pytest.mark.parametrize(
    ("out", "changes", "said"),
    [
        ("m.h5", {}, r"expected a name that ends in \.keras, \.onnx or \.tflite, or for a Saved"),
        ("m.onnx", {"quantize": "int8"}, "An ONNX file cannot be quantised, only a TFLite file"),
        ("m.tflite", {"quantize": "int4"}, r"Unknown quantization 'int4'\. Expected one of float1"),
        ("mine.txt/", {"overwrite": True}, r"mine\.txt is a file, and a SavedModel a folder"),
        ("mine", {"overwrite": True}, "is a folder with something else than a SavedModel in it"),
        ("mine/", {}, r"mine exists\. Give another output, or add --overwrite"),
        ("m.keras", {"check_images": "none.csv"}, "none.csv"),
        ("m.keras", {"check_images": "mine"}, "[Nn]o image"),
    ],
)
def test_what_is_refused(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    out: str, changes: dict[str, Any], said: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("mine")
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=said):
        featx.export(made / "lda.featx", out, **changes)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "mine.txt"]
    assert (tmp_path / "mine" / "letter.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("form", "module"), [("onnx", "tf2onnx"), ("onnx", "onnxruntime"), ("tflite", "ai_edge_litert")]
)
def test_what_is_missing_can_be_installed(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=rf"needs {module}, .*pip install 'featx\[{form}\]'"):
        featx.export(made / "lda.featx", out_of(form, tmp_path))


def test_a_saved_model_is_replaced_when_that_is_asked(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "saved.v1"
    featx.export(made / "lda.featx", f"{out}/")
    (out / "left.txt").write_text("left")
    with pytest.raises(InputError, match="exists"):
        featx.export(made / "logreg.featx", out)
    featx.export(made / "logreg.featx", out, overwrite=True)
    assert not (out / "left.txt").exists()
    assert json.loads((out / "assets.extra/featx.json").read_text())["head"] == "logreg"
    assert [path.name for path in tmp_path.iterdir()] == ["saved.v1"]


def test_an_export_that_was_put_together_wrongly_is_not_written(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("featx.exporting.network.normalization", lambda _: normalization("caffe"))
    with pytest.raises(AssertionError, match="rows of the exported network"):
        featx.export(made / "lda.featx", tmp_path / "m.keras")
    assert not list(tmp_path.iterdir())


def test_a_file_that_says_something_else_is_not_written(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = featx.load(made / "lda.featx")
    head = replace(model, head=featx.load(made / "logreg.featx").head, head_name="logreg")
    view = replace(head, view=replace(head.view, name="avg"))
    rows = "featx.exporting.export.require_rows"
    monkeypatch.setattr(rows, lambda *_: None)
    monkeypatch.setattr("featx.exporting.export.build_exported", lambda *_: build_exported(view))
    with pytest.raises(IncompatibleError, match=r"up to 0\.\d+ apart, and 0\.001 is the most"):
        featx.export(model, tmp_path / "m.keras")
    assert not list(tmp_path.iterdir())


def test_the_command_says_what_it_checked(made: Path, tmp_path: Path) -> None:
    words = ["export", str(made / "lda.featx"), "-o", str(tmp_path / "m.onnx")]
    told = CliRunner().invoke(app.app, [*words, "--check-images", str(made / "photos" / "red")])
    assert told.exit_code == 0, told.output
    assert "input: uint8 RGB images (n, 32, 32, 3)" in told.stdout
    assert "checked: ONNX Runtime" in told.stdout and "on 8 images of" in told.stdout
    assert "Next: onnxruntime.InferenceSession(" in told.stdout
    again = CliRunner().invoke(app.app, [*words, "--overwrite", "--json"])
    found = json.loads(again.stdout)
    assert found["format"] == "onnx" and found["apart"] <= 1e-3 and found["images"] == 16
