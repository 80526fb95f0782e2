"""(t) What is like an image, and features as tables, of large caches: seconds and peak memory.

The caches are synthetic: sparse random features and layer pools, as images of 224 pixels have them,
(7, 7, 512) at block5_pool, or as those of 32 pixels have, (1, 1, 512). The image that is given is
not in the cache, so the network runs once.

    python benchmarks/bench_similar.py [--rows 10000,100000] [--size 32]
"""

import sys
import tempfile
from pathlib import Path

import measure
import numpy as np
from PIL import Image

from featx.cache.parts import Parts
from featx.cache.rows import CacheRows
from featx.cache.writer import assemble
from featx.dataset.catalog import Catalog
from featx.network import weights
from featx.network.activations import Activations
from featx.network.fingerprint import Fingerprint, TrunkFingerprint
from featx.network.networks import get_network
from featx.storage.files import digest

CLASSES = tuple(f"class {number}" for number in range(10))
_PART = 500


def make(path: Path, count: int, size: int) -> None:
    """Write a cache of `count` images that are not there; the images of each part are the same."""
    chosen = weights.resolve_weights("random")
    trunk = TrunkFingerprint(chosen.digest, chosen.preprocessing, "block5_pool", size, "crop")
    made = Fingerprint(trunk, 0, "", 0, "float16", "float32", layers=get_network("vgg16").pooled)
    random = np.random.default_rng(0)
    features = random.random((_PART, 1, *trunk.shape), np.float32)
    features *= random.random(features.shape) < 1 / 6
    pools = random.random((_PART, *made.pools_shape), np.float32).astype(np.float16)
    found = Activations(features.astype(np.float16), pools)
    digests = [digest(f"{size} {index}".encode()) for index in range(count)]
    parts = Parts(path)
    for start in range(0, count, _PART):
        some = slice(start, min(start + _PART, count))
        here = found.take(slice(0, some.stop - some.start))
        parts.write(here, digests[some], [(640, 480)] * len(here), made)
    empty = np.full(count, "", dtype=object)
    paths = np.array([f"camera/2026/{index:09d}.jpg" for index in range(count)], dtype=object)
    labels = random.integers(0, len(CLASSES), count).astype(np.int32)
    listed = Catalog(Path("/nowhere"), paths, labels, empty, empty, CLASSES)
    rows = CacheRows(listed, np.array(digests, dtype=object), np.full((count, 2), 480, np.int32))
    assemble(path, rows, [], [], made, parts=parts, old=None)
    parts.remove()


def main() -> None:
    """Print and write the table."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--rows", default="10000,100000")
    parser.add_argument("--size", type=int, default=32, help="pixels a side")
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    table: list[dict[str, object]] = []
    peaks: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(dir=options.results) as name:
        folder = Path(name)
        pixels = np.random.default_rng(1).integers(0, 256, (240, 320, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "image.png")
        for count in map(int, options.rows.split(",")):
            cache = folder / f"{count}.h5"
            make(cache, count, options.size)
            similar = ("similar", folder / "image.png", cache, "--weights", "random", "-q")
            commands = {
                "similar, avg": similar,
                "similar, layers": (*similar, "--view", "layers"),
                "features to .npz": ("features", cache, "-q", "-o", folder / f"{count}.npz"),
                "features to .parquet": (
                    "features",
                    cache,
                    "-q",
                    "-o",
                    folder / f"{count}.parquet",
                ),
                "features to .csv": ("features", cache, "-q", "-o", folder / f"{count}.csv"),
            }
            for what, words in commands.items():
                seconds, peak = measure.peak_of(sys.executable, "-m", "featx", *words)
                peaks.setdefault(what, []).append(peak)
                figures = {"seconds in all": round(seconds, 1), "peak MiB": round(peak)}
                table.append({"images": f"{count:,}", "what": what, **figures})
                measure.note(f"{count:,} images, {what}: {seconds:.1f} s")
            cache.unlink()
    ratios = {
        f"{what}: peak memory of the most images against the least": found[-1] / found[0]
        for what, found in peaks.items()
    }
    measure.tell(f"similar-{options.size}", options, table, ratios, pixels=options.size)


if __name__ == "__main__":
    main()
