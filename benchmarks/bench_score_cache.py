"""(f) Rows scored from a cache: rate and peak memory, for 100,000 and for 1,000,000 rows.

The cache is synthetic: random features of the shape that 32-pixel images have at block5_pool,
(1, 1, 512), a sixth of them not zero, ten classes; the head is a logistic regression.

    python benchmarks/bench_score_cache.py [--rows 100000,1000000]
"""

import csv
import hashlib
import json
import sys
import tempfile
from pathlib import Path

import measure
import numpy as np

import featx
from featx.cache.parts import Parts
from featx.cache.rows import CacheRows
from featx.cache.writer import assemble
from featx.dataset.catalog import Catalog
from featx.network import weights
from featx.network.activations import Activations
from featx.network.fingerprint import Fingerprint, TrunkFingerprint

CLASSES = tuple(f"class {number}" for number in range(10))
_PART = 20_000


def fingerprint() -> Fingerprint:
    """Return that of 32-pixel images on random weights."""
    chosen = weights.resolve_weights("random")
    trunk = TrunkFingerprint(chosen.digest, chosen.preprocessing, "block5_pool", 32, "crop")
    return Fingerprint(trunk, 0, "", 0, "float16", "float32")


def make(path: Path, count: int, seed: int) -> None:
    """Write a cache of `count` images that are not there."""
    if path.exists():
        return
    random = np.random.default_rng(seed)
    labels = random.integers(0, len(CLASSES), count).astype(np.int32)
    means = np.random.default_rng(0).random((len(CLASSES), 512)) * 2
    digests = [hashlib.sha256(f"{seed} {index}".encode()).hexdigest() for index in range(count)]
    parts = Parts(path)
    parts.remove()
    for start in range(0, count, _PART):
        some = slice(start, min(start + _PART, count))
        rows = means[labels[some]] + random.random((len(labels[some]), 512), np.float32)
        rows[random.random(rows.shape, np.float32) < 5 / 6] = 0
        features = rows.astype(np.float16).reshape(-1, 1, 1, 1, 512)
        found = Activations(features, np.empty((len(features), 1, 1, 0), np.float16))
        parts.write(found, digests[some], [(640, 480)] * len(found), fingerprint())
    empty = np.full(count, "", dtype=object)
    paths = np.array([f"camera/2026/{index:09d}.jpg" for index in range(count)], dtype=object)
    listed = Catalog(Path("/nowhere"), paths, labels, empty, empty, CLASSES)
    images = CacheRows(listed, np.array(digests, dtype=object), np.full((count, 2), 480, np.int32))
    assemble(path, images, [], [], fingerprint(), parts=parts, old=None)
    parts.remove()


def agree(stem: Path) -> int:
    """Compare the three files row by row; return how many rows there are."""
    from pyarrow import parquet

    count = 0
    batches = parquet.ParquetFile(stem.with_suffix(".parquet")).iter_batches()
    table = (row for batch in batches for row in batch.to_pylist())
    with stem.with_suffix(".csv").open(newline="") as text, stem.with_suffix(".jsonl").open() as js:
        for a, b, c in zip(csv.DictReader(text), map(json.loads, js), table, strict=True):
            assert b == c, (b, c)
            assert a == {name: "" if cell is None else str(cell) for name, cell in b.items()}
            count += 1
    return count


def main() -> None:
    """Print and write the table."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--rows", default="100000,1000000")
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    rows = []
    with tempfile.TemporaryDirectory(dir=options.results) as name:
        folder = Path(name)
        model = folder / "m.featx"
        make(folder / "train.h5", 2000, seed=1)
        featx.fit(folder / "train.h5", model, head="logreg")
        for count in map(int, options.rows.split(",")):
            cache = folder / f"{count}.h5"
            make(cache, count, seed=2)
            for suffix in ("csv", "jsonl", "parquet"):
                out = folder / f"{count}.{suffix}"
                command = (sys.executable, "-m", "featx", "score", model, cache, "-o", out, "-q")
                seconds, peak = measure.peak_of(*command)
                figures = {"seconds in all": round(seconds, 1), "rows/s": round(count / seconds)}
                sizes = {"peak MiB": round(peak), "file MiB": round(out.stat().st_size / 2**20)}
                rows.append({"rows": f"{count:,}", "format": suffix, **figures, **sizes})
            measure.note(f"all {agree(folder / str(count)):,} rows agree")
    ratios = {"peak memory of the most rows against the least": rows[-1]["peak MiB"]
              / rows[2]["peak MiB"]}  # fmt: skip
    measure.tell("score-cache", options, rows, ratios)


if __name__ == "__main__":
    main()
