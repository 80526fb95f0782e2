"""(a) Images to features: featx beside what people would use instead.

First the network alone, pixels in memory: featx's compiled function by each of its runtimes,
PyTorch, ONNX Runtime. Then from files to features: `featx extract` by each, Keras's dataset of a
directory with `predict`, and PyTorch with a DataLoader. All with the same weights, from building
the network to the last feature; only imports are left out. All features are compared at the end.

    python benchmarks/bench_extract.py SOURCE [--images 128] [--rounds 5] [--defaults]

With `--defaults` only what `featx extract` does by default, its function, and the ways from files.
"""

import functools
import tempfile
from pathlib import Path
from typing import Any

import measure
import networks
import numpy as np

import featx
from featx import backend
from featx.images import decode
from featx.network import weights
from featx.network.fingerprint import Fingerprint, TrunkFingerprint
from featx.network.runtime import RUNTIMES, choose_precision, choose_runtime
from featx.network.trunk import BATCH, Trunk

SIZE = 224


def batches(network: networks.Network, pixels: np.ndarray) -> np.ndarray:
    """Send images through a network, batch by batch."""
    return np.concatenate([network(pixels[i : i + BATCH]) for i in range(0, len(pixels), BATCH)])


def main() -> None:
    """Print and write the table."""
    parser = measure.arguments(__doc__, source=True, images=128, rounds=5)
    parser.add_argument("--defaults", action="store_true", help="fewer rows, for more images")
    options = parser.parse_args()
    chosen = weights.resolve_weights()
    fingerprint = TrunkFingerprint(chosen.digest, chosen.preprocessing, "block5_pool", SIZE, "crop")
    native = choose_precision("auto")
    found: dict[str, Any] = {}
    tf, keras = backend.tensorflow(), backend.keras()
    import torch

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = measure.copied(options.source, folder / "photos", options.images)
        listed = featx.scan(photos)
        paths = [str(listed.file(i)) for i in range(len(listed))]
        pixels = np.stack(
            [decode.decode(decode.read(path).data, SIZE, "crop").pixels for path in paths]
        )

        def bare(kind: str, by: str) -> None:
            trunk = Trunk(chosen, Fingerprint(fingerprint, 0, "", 0, "float16", kind, by))
            found[f"featx's function by {by}, {kind}"] = batches(trunk.features, pixels)

        def torch_alone(kind: str) -> None:
            found[f"PyTorch, {kind}"] = batches(networks.pytorch(chosen, kind), pixels)

        def onnx() -> None:
            found["ONNX Runtime, float32"] = batches(networks.onnxruntime(chosen), pixels)

        def extract(kind: str, by: str) -> None:
            out = folder / "f.h5"
            featx.extract(photos, out, precision=kind, runtime=by, overwrite=True)
            with featx.Cache.open(out) as cache:
                found[f"featx extract by {by}, {kind}"] = cache.features[:, 0]
            out.unlink()

        def dataset() -> None:
            data = keras.utils.image_dataset_from_directory(
                photos, image_size=(SIZE, SIZE), crop_to_aspect_ratio=True, shuffle=False,
                batch_size=32, verbose=False,
            ).prefetch(tf.data.AUTOTUNE)  # fmt: skip
            model = networks.keras_model(chosen, SIZE)
            found["Keras dataset and predict, float32"] = model.predict(data, verbose=0)

        def loader(kind: str) -> None:
            data = torch.utils.data.DataLoader(
                paths, BATCH, num_workers=2, collate_fn=_decoded, prefetch_factor=4
            )
            network = networks.pytorch(chosen, kind)
            rows = np.concatenate([network(batch) for batch in data])
            found[f"PyTorch and a DataLoader, {kind}"] = rows

        kinds = ["float32"] if native == "float32" else ["float32", "bfloat16"]
        calls: dict[str, Any] = {}
        for kind in kinds:
            for by in RUNTIMES[1:] if kind == "float32" else ("tensorflow", "openvino"):
                calls[f"featx's function by {by}, {kind}"] = functools.partial(bare, kind, by)
                calls[f"featx extract by {by}, {kind}"] = functools.partial(extract, kind, by)
            calls[f"PyTorch, {kind}"] = lambda kind=kind: torch_alone(kind)
            calls[f"PyTorch and a DataLoader, {kind}"] = lambda kind=kind: loader(kind)
        calls["ONNX Runtime, float32"] = onnx
        calls["Keras dataset and predict, float32"] = dataset
        ours = f"by {choose_runtime('auto', precision=native)}, {native}"
        if options.defaults:
            calls = {
                what: call for what, call in calls.items() if what.endswith(ours) or " and " in what
            }
        times = measure.in_turns(calls, options.rounds)
    found = {what: rows.reshape(len(rows), -1).astype(np.float32) for what, rows in found.items()}
    function = "featx's function by tensorflow, float32"
    truth = found[function if function in found else f"featx's function {ours}"]
    rows = []
    for what in sorted(calls, key=lambda what: np.median(times[what])):
        off = np.linalg.norm(found[what] - truth, axis=1)
        off = float(np.median(off / np.linalg.norm(truth, axis=1)))
        median = np.median(times[what])
        rate = {"images/s": round(options.images / median, 2)}
        distance = {"features off by": f"{off:.1e}"}
        rows.append({"": what, **measure.spread(times[what]), **rate, **distance})
    ratios = {}
    for kind in kinds:
        default = choose_runtime("auto", precision=kind)
        for by in RUNTIMES[1:]:
            ours = f"featx extract by {by}, {kind}"
            if ours not in times:
                continue
            for what, other in (
                ("its bare function", f"featx's function by {by}, {kind}"),
                ("PyTorch and a DataLoader", f"PyTorch and a DataLoader, {kind}"),
                ("Keras dataset and predict in float32", "Keras dataset and predict, float32"),
            ):
                figure = f"extract by {by} against {what}, {kind}"
                ratios[figure] = measure.ratio(times, other, ours)
                if by == default:
                    ratios[f"extract against {what}, {kind}"] = ratios[figure]
            first = f"featx's function by tensorflow, {kind}"
            if by != "tensorflow" and first in times:
                ratios[f"the function by {by} against by tensorflow, {kind}"] = measure.ratio(
                    times, first, f"featx's function by {by}, {kind}"
                )
    measure.tell("extract", options, rows, ratios, images=options.images,
                 rounds=options.rounds, precision=native)  # fmt: skip


def _decoded(paths: list[str]) -> np.ndarray:
    return np.stack([decode.decode(decode.read(path).data, SIZE, "crop").pixels for path in paths])


if __name__ == "__main__":
    main()
