"""Exported files against `featx score`: how far apart, how large, how fast, without featx.

Each model is exported to every format, and quantised. A process in which featx cannot be imported
decodes the photographs by Pillow, as the programs in examples/ do, and runs the file on all of
them. Its probabilities are compared with those that `featx score --precision float32` writes.

    python benchmarks/bench_export.py SOURCE MODEL... [--images 50]
"""

import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import measure
import numpy as np

import featx
from featx.errors import FeatxError

#: Name of the output → settings of the export.
FORMATS: dict[str, dict[str, str]] = {
    "model.keras": {"precision": "float32"},
    "model.onnx": {},
    "model.tflite": {},
    "float16.tflite": {"quantize": "float16"},
    "int8.tflite": {"quantize": "int8"},
    "saved_model/": {},
}
RUN = r"""
import json, sys, time, zipfile
sys.modules["featx"] = None  # it cannot be imported
import numpy as np
from PIL import Image, ImageOps
path, listed = sys.argv[1:]
if path.endswith(".keras"):
    import keras
    network = keras.saving.load_model(path)
    about = json.loads(zipfile.ZipFile(path).read("metadata.json"))["featx"]
    run = network.predict_on_batch
elif path.endswith(".onnx"):
    import onnxruntime
    session = onnxruntime.InferenceSession(path)
    about = json.loads(session.get_modelmeta().custom_metadata_map["featx"])
    run = lambda pixels: session.run(None, {"images": pixels})[0]
elif path.endswith(".tflite"):
    import os
    from ai_edge_litert.interpreter import Interpreter
    runner = Interpreter(path, num_threads=os.cpu_count()).get_signature_runner("serving_default")
    about = json.loads(zipfile.ZipFile(path).read("featx.json"))
    run = lambda pixels: runner(images=pixels)["probabilities"]
else:
    import tensorflow as tf
    network = tf.saved_model.load(path)
    about = json.loads(open(path + "/assets.extra/featx.json").read())
    serve = network.signatures["serving_default"]
    run = lambda pixels: serve(images=tf.constant(pixels))["probabilities"].numpy()
size, images = about["size"], []
resize = ImageOps.fit if about["resize"] == "crop" else Image.Image.resize
for name in json.load(open(listed)):
    image = Image.open(name)
    image.draft(None, (2 * size, 2 * size))
    image = ImageOps.exif_transpose(image).convert("RGB")
    images.append(np.asarray(resize(image, (size, size), Image.Resampling.BILINEAR)))
blocks = np.array_split(np.stack(images), -(-len(images) // 10))
run(blocks[0])
begun = time.perf_counter()
found = np.concatenate([run(block) for block in blocks])
print(json.dumps({"seconds": time.perf_counter() - begun, "found": found.tolist()}))
"""


def main() -> None:
    """Print and write the table."""
    parser = measure.arguments(__doc__, source=True, images=50)
    parser.add_argument(
        "models", type=Path, nargs="+", help="models that featx fit or finetune made"
    )
    options = parser.parse_args()
    rows, ratios = [], {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = measure.copied(options.source, folder / "photos", options.images)
        for model in options.models:
            table = folder / f"{model.stem}.csv"
            measure.command("score", model, photos, "-o", table, "--precision", "float32", "-q")
            with table.open(newline="") as lines:
                scored = {row["path"]: row for row in csv.DictReader(lines)}
            files = [str(photos / path) for path in scored]
            (folder / "list.json").write_text(json.dumps(files))
            classes = featx.load(model).classes
            scores = [[float(row[f"p_{one}"]) for one in classes] for row in scored.values()]
            for out, settings in FORMATS.items():
                row, apart = _row(model, folder, out, settings, np.array(scores))
                rows.append(row)
                if apart is not None:
                    ratios[f"{model.stem}, {out}: largest difference"] = apart
    measure.tell("export", options, rows, ratios, images=options.images)


def _row(
    model: Path, folder: Path, out: str, settings: dict[str, str], scores: np.ndarray
) -> tuple[dict[str, object], float | None]:
    path = folder / model.stem / out
    row: dict[str, object] = {"model": model.stem, "file": out}
    try:
        written = featx.export(model, f"{path}/" if out.endswith("/") else path, **settings)
    except FeatxError as error:
        return {**row, "largest difference": f"refused: {error}"}, None
    words = [sys.executable, "-c", RUN, str(path), str(folder / "list.json")]
    run = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(run.stdout.splitlines()[-1])
    apart = float(np.abs(np.array(found["found"]) - scores).max())
    return {
        **row,
        "MB": round(written.bytes / 1e6, 1),
        "images/s": round(len(scores) / found["seconds"], 1),
        "largest difference": f"{apart:.1e}",
        "run by": written.runtime,
    }, apart


if __name__ == "__main__":
    main()
