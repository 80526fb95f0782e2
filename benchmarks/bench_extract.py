"""(a) Images to features: featx beside what people would use instead.

First the network alone, pixels in memory: featx's compiled function by each of its runtimes,
PyTorch, ONNX Runtime. Then from files to features: `featx extract` by each, Keras's dataset of a
directory with `predict`, and PyTorch with a DataLoader. All with the same weights, from building
the network to the last feature; left out are imports, and the calibration of other tools' int8,
which is done once. All features are compared at the end.

    python benchmarks/bench_extract.py SOURCE [--images 128] [--rounds 5] [--defaults]

With `--defaults` only what `featx extract` does by default, its function, and the ways from files.
"""

import functools
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import measure
import networks
import numpy as np

import featx
from featx import backend
from featx.images import decode
from featx.network import hardware, weights
from featx.network.fingerprint import Fingerprint, TrunkFingerprint
from featx.network.ranges import known_ranges
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
    by_default = choose_precision("auto", calibrated=True)
    default = f"by {choose_runtime('auto', precision=by_default)}, {by_default}"
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
            made = Fingerprint(fingerprint, 0, "", 0, "float16", kind, by)
            if kind == "int8":
                made = replace(made, ranges=known_ranges(chosen.digest))
            trunk = Trunk(chosen, made)
            found[f"featx's function by {by}, {kind}"] = batches(trunk.features, pixels)

        @functools.cache
        def calibrated(maker: Any) -> networks.Network:
            return maker(chosen, pixels[:32])

        def by_torch(kind: str) -> networks.Network:
            if kind == "int8":
                return calibrated(networks.pytorch_int8)
            return networks.pytorch(chosen, kind)

        def torch_alone(kind: str) -> None:
            found[f"PyTorch, {kind}"] = batches(by_torch(kind), pixels)

        def onnx(kind: str) -> None:
            network = (
                calibrated(networks.onnxruntime_int8)
                if kind == "int8"
                else networks.onnxruntime(chosen)
            )
            found[f"ONNX Runtime, {kind}"] = batches(network, pixels)

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
            network = by_torch(kind)
            rows = np.concatenate([network(batch) for batch in data])
            found[f"PyTorch and a DataLoader, {kind}"] = rows

        kinds: dict[str, tuple[str, ...]] = {"float32": RUNTIMES[1:]}
        if hardware.has_bfloat16():
            kinds["bfloat16"] = ("tensorflow", "openvino")
        if hardware.has_int8():
            kinds["int8"] = ("openvino",)
            calibrated(networks.pytorch_int8), calibrated(networks.onnxruntime_int8)
        calls: dict[str, Any] = {}
        for kind, runtimes in kinds.items():
            for by in runtimes:
                calls[f"featx's function by {by}, {kind}"] = functools.partial(bare, kind, by)
                calls[f"featx extract by {by}, {kind}"] = functools.partial(extract, kind, by)
            calls[f"PyTorch, {kind}"] = functools.partial(torch_alone, kind)
            calls[f"PyTorch and a DataLoader, {kind}"] = functools.partial(loader, kind)
            if kind != "bfloat16":
                calls[f"ONNX Runtime, {kind}"] = functools.partial(onnx, kind)
        calls["Keras dataset and predict, float32"] = dataset
        if options.defaults:
            kept = (default, "extract by tensorflow, bfloat16")
            calls = {
                what: call for what, call in calls.items() if what.endswith(kept) or " and " in what
            }
        times = measure.in_turns(calls, options.rounds)
    found = {what: rows.reshape(len(rows), -1).astype(np.float32) for what, rows in found.items()}
    exact = ("featx's function by tensorflow, float32", "PyTorch and a DataLoader, float32")
    truth = next(found[what] for what in exact if what in found)
    rows = []
    for what in sorted(calls, key=lambda what: np.median(times[what])):
        off = np.linalg.norm(found[what] - truth, axis=1)
        off = float(np.median(off / np.linalg.norm(truth, axis=1)))
        median = np.median(times[what])
        rate = {"images/s": round(options.images / median, 2)}
        distance = {"features off by": f"{off:.1e}"}
        rows.append({"": what, **measure.spread(times[what]), **rate, **distance})
    ours = f"featx extract {default}"
    others = {
        "its bare function": f"featx's function {default}",
        "Keras dataset and predict in float32": "Keras dataset and predict, float32",
        "extract in bfloat16": "featx extract by tensorflow, bfloat16",
        **{
            f"PyTorch and a DataLoader in {kind}": f"PyTorch and a DataLoader, {kind}"
            for kind in kinds
        },
    }
    ratios = {
        f"extract against {what}": measure.ratio(times, other, ours)
        for what, other in others.items()
        if other in times and other != ours
    }
    for what in times:
        kind = what.rpartition(" ")[2]
        first = f"featx's function by tensorflow, {kind}"
        if what.startswith("featx's function") and first in times and what != first:
            ratios[f"{what} against by tensorflow"] = measure.ratio(times, first, what)
    measure.tell("extract", options, rows, ratios, images=options.images,
                 rounds=options.rounds, precision=by_default)  # fmt: skip


def _decoded(paths: list[str]) -> np.ndarray:
    return np.stack([decode.decode(decode.read(path).data, SIZE, "crop").pixels for path in paths])


if __name__ == "__main__":
    main()
