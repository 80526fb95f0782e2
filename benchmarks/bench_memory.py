"""(c) Memory and time of `featx extract` against the number of images.

The real network sees the first batch; then one answers at once that gives features as sparse as
VGG16's, so that everything but the network is measured. The images are a hundred photographs at
256 pixels a side with other bytes, as many as wanted.

    python benchmarks/bench_memory.py SOURCE [--counts 1000,10000,100000]
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import measure
import numpy as np
from PIL import Image

import featx
from featx.network import trunk
from featx.network.activations import Activations


def child(photos: str, out: str) -> None:
    """Extract, and print seconds and the peak of this process in KiB."""
    sparse = measure.sparse_activations(128)
    real = trunk.Trunk.activations
    seen = 0

    def activations(self: trunk.Trunk, pixels: Sequence[np.ndarray]) -> Activations:
        nonlocal seen
        count = len(pixels[0])
        seen += count
        return real(self, pixels) if seen <= self.batch else sparse.take(slice(count))

    trunk.Trunk.activations = activations  # type: ignore[method-assign]
    begun = time.perf_counter()
    done = featx.extract(photos, out, weights="random")
    seconds = time.perf_counter() - begun
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print(json.dumps({"images": done.cached, "seconds": seconds, "peak": peak}))


def small(source: Path, folder: Path) -> Path:
    """Write a hundred photographs of a source at 256 pixels, in class folders."""
    listed = featx.scan(source)
    for index in np.linspace(0, len(listed) - 1, 100).astype(int).tolist():
        place = folder / listed.classes[listed.labels[index]] / f"{index}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(listed.file(index)) as image:
            image.thumbnail((256, 256))
            image.convert("RGB").save(place, quality=85)
    return folder


def main() -> None:
    """Print and write the table."""
    if sys.argv[1] == "--child":
        child(*sys.argv[2:])
        return
    parser = measure.arguments(__doc__, source=True)
    parser.add_argument("--counts", default="1000,10000,100000")
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    rows = []
    for count in map(int, options.counts.split(",")):
        with tempfile.TemporaryDirectory(dir=options.results) as name:
            folder = Path(name)
            photos = measure.copied(small(options.source, folder / "s"), folder / "p", count)
            command = [sys.executable, __file__, "--child", photos, folder / "f.h5"]
            run = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, check=True)
            found = json.loads(run.stdout)
            shutil.rmtree(folder / "p")
        rows.append(
            {
                "images": found["images"],
                "seconds": round(found["seconds"], 1),
                "images/s": round(found["images"] / found["seconds"]),
                "peak MiB": round(found["peak"] / 1024),
            }
        )
        measure.note(str(rows[-1]))
    ratios = {
        "peak memory of the most images against a tenth": rows[-1]["peak MiB"]
        / rows[-2]["peak MiB"],
        "peak GiB of the most images": rows[-1]["peak MiB"] / 1024,
    }
    measure.tell("memory", options, rows, ratios)


if __name__ == "__main__":
    main()
