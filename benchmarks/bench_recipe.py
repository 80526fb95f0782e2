"""(b) From a folder to a fitted model: featx, and ten epochs of the classic recipe.

The classic recipe: a Keras generator with random rotation (40 degrees), shift and zoom (0.2), shear
and flip; VGG16 with its last four layers and a dense head of 256 trained, Adam at 1e-4, batches of
32. Both train on the train split of a source and are tested on its test (or val) split; featx runs
`extract` and `fit` with their defaults, and once more with the four quickest heads.

    python benchmarks/bench_recipe.py SOURCE [--rounds 5] [--epochs 10]
"""

import statistics
import tempfile
import time
from pathlib import Path

import measure
import networks
import numpy as np

import featx
from featx import backend, images, weights

SIZE = 224


def recipe(source: Path, epochs: int) -> tuple[list[float], float]:
    """Return the seconds of each epoch and the accuracy at the end."""
    tf, keras = backend.tensorflow(), backend.keras()
    keras.utils.set_random_seed(0)
    listed = featx.scan(source)
    pixels = np.stack(
        [images.load(listed.file(i), SIZE, "crop").pixels for i in range(len(listed))]
    ).astype(np.float32)
    truth = np.eye(len(listed.classes), dtype=np.float32)[listed.labels]
    is_train = listed.splits == "train"
    is_test = listed.splits == listed.test_split
    generator = tf.keras.preprocessing.image.ImageDataGenerator(
        rotation_range=40, width_shift_range=0.2, height_shift_range=0.2, shear_range=0.2,
        zoom_range=0.2, horizontal_flip=True,
    )  # fmt: skip
    base = networks.keras_model(weights.resolve(), SIZE)
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
    seconds = []
    batches = generator.flow(pixels[is_train], truth[is_train], batch_size=32, seed=0)
    for epoch in range(epochs):
        begun = time.perf_counter()
        model.fit(batches, epochs=1, verbose=0)
        seconds.append(time.perf_counter() - begun)
        measure.note(f"epoch {epoch + 1}: {seconds[-1]:.1f} s")
    found = model.predict(pixels[is_test], verbose=0, batch_size=32).argmax(axis=1)
    return seconds, float((found == truth[is_test].argmax(axis=1)).mean())


def main() -> None:
    """Print and write the table."""
    options = measure.arguments(__doc__, source=True, rounds=5, epochs=10).parse_args()
    accuracy: dict[str, float] = {}
    lean = "featx extract, fit --heads (four)"
    quick = ("nearest-centroid", "lda", "logreg", "linear-svm")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def ours(what: str, **settings: object) -> None:
            cache = folder / "f.h5"
            featx.extract(options.source, cache, overwrite=True)
            fitted = featx.fit(cache, folder / "m.featx", **settings)
            accuracy[what] = fitted.test.accuracy

        calls = {
            "featx extract, fit": lambda: ours("featx extract, fit"),
            lean: lambda: ours(lean, heads=quick),
        }
        times = measure.in_turns(calls, options.rounds)
    epochs, accuracy["classic recipe"] = recipe(options.source, options.epochs)
    all_epochs = sum(epochs)
    rows = [
        {"": what, **measure.spread(found), "test accuracy": round(accuracy[what], 4)}
        for what, found in times.items()
    ]
    classic = f"classic recipe, {options.epochs} epochs in one run"
    share = round(accuracy["classic recipe"], 4)
    rows.append({"": classic, **measure.spread([all_epochs]), "test accuracy": share})
    rows.append({"": "classic recipe, an epoch", **measure.spread(epochs)})
    ratios = {
        f"classic recipe against {what}": all_epochs / statistics.median(found)
        for what, found in times.items()
    }
    better = accuracy["featx extract, fit"] - accuracy["classic recipe"]
    ratios["points of accuracy more than the classic recipe"] = 100 * better
    name = f"recipe-{options.source.name}"
    measure.tell(name, options, rows, ratios, rounds=options.rounds)


if __name__ == "__main__":
    main()
