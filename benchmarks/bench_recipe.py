"""(b) From a folder to a fitted and tested model: featx, and ten epochs of the classic recipe.

The classic recipe: a Keras generator with random rotation (40 degrees), shift and zoom (0.2), shear
and flip; VGG16 with its last four layers and a dense head of 256 trained, Adam at 1e-4, batches of
32. Both train on the train split of a source and are tested on its test (or val) split; featx runs
`extract` and `fit` with their defaults. All is counted:
featx's two commands as whole processes; the recipe's import of TensorFlow, its reading, epochs and
test. One training by the recipe is spread over the rounds, some epochs in each.

    python benchmarks/bench_recipe.py SOURCE [--rounds 5] [--epochs 10]
"""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import measure
import networks
import numpy as np

import featx
from featx import backend
from featx.images import decode
from featx.network import weights

SIZE = 224


def recipe(source: Path) -> tuple[Callable[[], None], Callable[[], float]]:
    """Return what trains for one epoch more, and what gives the test accuracy."""
    tf, keras = backend.tensorflow(), backend.keras()
    keras.utils.set_random_seed(0)
    listed = featx.scan(source)
    pixels = np.stack(
        [
            decode.decode(decode.read(listed.file(i)).data, SIZE, "crop").pixels
            for i in range(len(listed))
        ]
    ).astype(np.float32)
    truth = np.eye(len(listed.classes), dtype=np.float32)[listed.labels]
    is_train = listed.splits == "train"
    is_test = listed.splits == listed.test_split
    generator = tf.keras.preprocessing.image.ImageDataGenerator(
        rotation_range=40, width_shift_range=0.2, height_shift_range=0.2, shear_range=0.2,
        zoom_range=0.2, horizontal_flip=True,
    )  # fmt: skip
    base = networks.keras_model(weights.resolve_weights(), SIZE)
    convolutions = base.layers[-1]
    for layer in convolutions.layers[:-4]:
        layer.trainable = False
    x = keras.layers.Flatten()(base.output)
    x = keras.layers.Dense(256, activation="relu")(x)
    x = keras.layers.Dropout(0.5)(x)
    x = keras.layers.Dense(len(listed.classes), activation="softmax")(x)
    model = keras.Model(base.input, x)
    model.compile(
        optimizer=keras.optimizers.Adam(1e-4), loss="categorical_crossentropy", metrics=["accuracy"]
    )
    batches = generator.flow(pixels[is_train], truth[is_train], batch_size=32, seed=0)

    def epoch() -> None:
        model.fit(batches, epochs=1, verbose=0)

    def accuracy() -> float:
        found = model.predict(pixels[is_test], verbose=0, batch_size=32).argmax(axis=1)
        return float((found == truth[is_test].argmax(axis=1)).mean())

    return epoch, accuracy


def main() -> None:
    """Print and write the table."""
    options = measure.arguments(__doc__, source=True, rounds=5, epochs=10).parse_args()
    each, left = divmod(options.epochs, options.rounds)
    if left:
        raise SystemExit(f"{options.epochs} epochs are not divided by {options.rounds} rounds.")
    defaults = "featx extract, fit"
    classic = f"classic recipe, {options.epochs} epochs in one run"
    accuracy: dict[str, float] = {}
    (epoch, tested), start = measure.timed(lambda: recipe(options.source))
    epochs: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        cache, model = Path(name) / "f.h5", Path(name) / "m.featx"

        def ours() -> None:
            measure.command("extract", options.source, "-o", cache, "--overwrite", "-q")
            printed = measure.command("fit", cache, "-o", model, "--overwrite", "--json", "-q")
            accuracy[defaults] = json.loads(printed)["test"]["accuracy"]

        calls = {
            defaults: ours,
            classic: lambda: epochs.extend(measure.timed(epoch)[1] for _ in range(each)),
        }
        times = measure.in_turns(calls, options.rounds)
    accuracy[classic], test = measure.timed(tested)
    times[classic] = [start + sum(epochs) + test]
    rows = [
        {"": what, **measure.spread(found), "test accuracy": round(accuracy[what], 4)}
        for what, found in times.items()
    ]
    rows.append({"": "classic recipe, an epoch", **measure.spread(epochs)})
    ratios = {f"classic recipe against {defaults}": measure.ratio(times, classic, defaults)}
    better = accuracy[defaults] - accuracy[classic]
    ratios["points of accuracy more than the classic recipe"] = 100 * better
    name = f"recipe-{options.source.name}"
    measure.tell(name, options, rows, ratios, rounds=options.rounds)


if __name__ == "__main__":
    main()
