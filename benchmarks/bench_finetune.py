"""An epoch on cached features of the cut against epochs of the whole network.

The same images, batch and trained layers (the last four and a softmax on mean-pooled features):

- featx: features at block4_pool from its cache, a random copy of each image;
- the whole network, images in memory at 224 pixels, decoded once, without augmentation, compiled
  as Keras does it by itself and by XLA, as featx does it;
- the classic recipe: the same with Keras's random rotation, shift, zoom and flip on the fly (which
  XLA cannot compile).

    python benchmarks/bench_finetune.py SOURCE [--images 64] [--rounds 5] [--copies 4]
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import measure
import numpy as np

import featx
from featx import backend
from featx.finetuning.epochs import TrainingImages, epoch_of
from featx.finetuning.recipe import Recipe
from featx.heads.dense import DenseClassifier
from featx.images import decode
from featx.model.keras_network import apply_head, apply_view, build_network
from featx.network.hardware import has_bfloat16
from featx.network.networks import get_network
from featx.network.preprocessing import normalization
from featx.network.runtime import choose_precision
from featx.network.steps import INPUT

BATCH = 32
#: The networks to compare with, and how each is compiled.
WHOLE = {
    "the whole network": False,
    "the whole network, XLA": True,
    "the whole network, with augmentation": False,
}


def network_of_pixels(model: featx.Model, augmented: bool, dtype: str) -> object:
    """Return the whole VGG16 with a softmax, the last four layers trainable."""
    keras = backend.keras()
    trunk = model.fingerprint.trunk
    order, scale, offset = normalization(trunk.preprocessing)
    arrays = dict(model.trunk.weights.arrays())
    kernel, bias = arrays["block1_conv1"]
    arrays["block1_conv1"] = (kernel[:, :, order], bias)
    pixels = keras.Input((trunk.size, trunk.size, 3))
    x = pixels
    if augmented:
        layers = keras.layers
        for layer in (layers.RandomFlip("horizontal"), layers.RandomRotation(40 / 360),
                      layers.RandomTranslation(0.2, 0.2), layers.RandomZoom(0.2)):  # fmt: skip
            x = layer(x)
    x = keras.layers.Rescaling(scale, offset)(x)
    row = get_network("vgg16")
    names = row.layers_between(INPUT, "block5_pool")
    outputs = row.steps.outputs(x, names, arrays, keras.DTypePolicy(dtype))
    x = outputs["block5_pool"]
    head = DenseClassifier.of_softmax(
        np.zeros((512, len(model.classes))), np.zeros(len(model.classes))
    )
    network = keras.Model(pixels, apply_head(apply_view("avg", {"features": x}), head))
    for layer in network.layers:
        if layer.name in names:
            layer.trainable = layer.name.startswith("block5")
    return network


def timed(step: Callable[[], object]) -> float:
    """Return the seconds of a call."""
    begun = time.perf_counter()
    step()
    return time.perf_counter() - begun


def main() -> None:
    """Print seconds an epoch and ratios."""
    numbers = {"images": 64, "rounds": 5, "copies": 4}
    options = measure.arguments(__doc__, source=True, **numbers).parse_args()
    listed = featx.scan(options.source)
    step = max(1, len(listed) // options.images)
    chosen = np.arange(0, len(listed), step)[: options.images]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        some = listed.take(chosen)
        caching = timed(
            lambda: featx.extract(some, folder / "f.h5", cut="block4_pool", copies=options.copies)
        )
        size = (folder / "f.h5").stat().st_size / 1e6
        with featx.Cache.open(folder / "f.h5") as cache:
            fitted = featx.fit(folder / "f.h5", folder / "m.featx", head="nearest-centroid")
            model, y = fitted.model, cache.labels
            computed = model.fingerprint.precision
            if computed == "int8":  # what trains is computed by TensorFlow; see Tail.dtype
                computed = choose_precision("auto", "tensorflow")
            dtype = "mixed_bfloat16" if computed == "bfloat16" else "float32"
            whole = {
                what: network_of_pixels(model, "augmentation" in what, dtype) for what in WHOLE
            }
            trunk = model.fingerprint.trunk
            pixels = np.stack(
                [
                    decode.decode(decode.read(some.file(i)).data, trunk.size, trunk.resize).pixels
                    for i in range(len(y))
                ]
            )
            ours = tail_network(model, dtype)
            truth = np.eye(len(model.classes), dtype=np.float32)[y]
            # featx has XLA compile its epochs where that is quicker; see epochs._pays_to_compile.
            for network, jit in (
                (ours, not has_bfloat16()),
                *zip(whole.values(), WHOLE.values(), strict=True),
            ):
                network.compile(optimizer="adam", loss="categorical_crossentropy", jit_compile=jit)
            everything = np.arange(len(y))
            none = np.empty(0, int)
            tuning = TrainingImages(cache, everything, y, none, none, len(model.classes))
            recipe = Recipe(batch_size=BATCH)
            steps = {
                "featx, on the cache": lambda: ours.fit(
                    epoch_of(tuning, recipe, 0), verbose=0, shuffle=False
                )
            }
            for what, network in whole.items():
                steps[what] = lambda network=network: network.fit(
                    pixels, truth, batch_size=BATCH, verbose=0
                )
            for call in steps.values():
                call()  # compiles
            times = measure.in_turns(steps, options.rounds)
    first = "featx, on the cache"
    rows = [
        {
            "an epoch": what,
            **measure.spread(found),
            "images/s": round(len(chosen) / statistics.median(found), 1),
            "times as long": round(measure.ratio(times, what, first), 1),
        }
        for what, found in times.items()
    ]
    ratios = {f"{what} against featx": measure.ratio(times, what, first) for what in whole}
    measure.tell("finetune", options, rows, ratios, images=len(chosen), batch=BATCH, dtype=dtype,
                 rounds=options.rounds, caching=f"{caching:.0f} s", copies=options.copies,
                 cache=f"{size:.0f} MB")  # fmt: skip


def tail_network(model: featx.Model, dtype: str) -> object:
    """Return block 5 with a softmax."""
    trunk = replace(model.fingerprint.trunk, cut="block5_pool")
    moved = replace(model, fingerprint=replace(model.fingerprint, trunk=trunk))
    tail = moved.tail_after("block4_pool")
    classes = len(model.classes)
    head = DenseClassifier.of_softmax(np.zeros((512, classes)), np.zeros(classes))
    policy = backend.keras().DTypePolicy(dtype)
    return build_network(tail, "avg", head, trainable=tail.layers, dtype=policy)


if __name__ == "__main__":
    main()
