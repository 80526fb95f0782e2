"""How fast images come to the network, and what copies cost, with the network replaced.

Photographs brought to 500 × 375 and to 4000 × 3000 pixels, as JPEG; read, digested, decoded and
copied by the reader of `featx extract`, from files that the system has in memory. Then the whole of
`extract` with a network that answers at once.

    python benchmarks/bench_reader.py SOURCE [--images 600] [--large 40] [--rounds 5]
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import measure
import numpy as np
from PIL import Image, ImageOps

import featx
from featx.images import augment
from featx.images.reader import Reader
from featx.images.sandbox import Job
from featx.network import trunk

COPIES = 4


def resized(source: Path, folder: Path, count: int, size: tuple[int, int]) -> Path:
    """Write photographs of a source at a size, in class folders, each with its own bytes."""
    listed = featx.scan(source)
    kinds = min(40, count)
    for kind, index in enumerate(np.linspace(0, len(listed) - 1, kinds).astype(int).tolist()):
        place = folder / "kinds" / listed.classes[listed.labels[index]] / f"{kind}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(listed.file(index)) as image:
            ImageOps.fit(image.convert("RGB"), size).save(place, quality=90)
    return measure.copied(folder / "kinds", folder / "all", count)


def reading(photos: Path, copies: int) -> Callable[[], None]:
    """Return what reads all images with copies."""
    listed = featx.scan(photos)
    policy = augment.POLICIES["mild" if copies else "none"]
    reader = Reader(Job(224, "crop", policy, 0, copies))
    paths = [listed.file(index) for index in range(len(listed))]

    def read() -> None:
        for one in reader.ahead(paths, window=64):
            assert one.pixels.shape == (1 + copies, 224, 224, 3), one.reason

    return read


def main() -> None:
    """Print and write the table."""
    numbers = {"images": 600, "large": 40, "rounds": 5}
    options = measure.arguments(__doc__, source=True, **numbers).parse_args()
    sparse = measure.sparse_activations(128)
    trunk.Trunk.activations = lambda self, pixels: sparse.take(slice(len(pixels[0])))  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        usual = resized(options.source, folder / "usual", options.images, (500, 375))
        large = resized(options.source, folder / "large", options.large, (4000, 3000))
        counts = {
            "500 × 375": options.images,
            f"500 × 375 with {COPIES} copies": options.images,
            "4000 × 3000": options.large,
            "extract without a network, 500 × 375": options.images,
        }
        calls = dict(
            zip(
                counts,
                (
                    reading(usual, 0),
                    reading(usual, COPIES),
                    reading(large, 0),
                    lambda: featx.extract(usual, folder / "f.h5", weights="random", overwrite=True),
                ),
                strict=True,
            )
        )
        times = measure.in_turns(calls, options.rounds)
    rates = {what: counts[what] / np.median(found) for what, found in times.items()}
    rows = [
        {"": what, **measure.spread(times[what]), "images/s": round(rate)}
        for what, rate in rates.items()
    ]
    each = (1 / rates[f"500 × 375 with {COPIES} copies"] - 1 / rates["500 × 375"]) / COPIES
    cores = measure.machine()["cores"]
    ratios = {
        "images/s of 500 × 375 for two cores": rates["500 × 375"] * 2 / cores,
        "images/s of 4000 × 3000 for two cores": rates["4000 × 3000"] * 2 / cores,
        "core milliseconds a copy": 1000 * each * cores,
    }
    measure.tell("reader", options, rows, ratios, rounds=options.rounds)


if __name__ == "__main__":
    main()
