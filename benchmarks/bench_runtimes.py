"""(a) What computes the network, once it is compiled, at several sizes; and what compiling takes.

Batches of 16 in float32, random pixels (rates do not hang on them), the runtimes in turns.

    python benchmarks/bench_runtimes.py [--rounds 5]
"""

import functools
import time
from typing import Any

import measure
import numpy as np

from featx import backend
from featx.network.fingerprint import Fingerprint, TrunkFingerprint
from featx.network.runtime import RUNTIMES, compile_network
from featx.network.trunk import BATCH
from featx.network.vgg16 import VGG16

SIZES = (64, 96, 128, 160, 224, 320)


def main() -> None:
    """Print and write the table."""
    options = measure.arguments(__doc__, rounds=5).parse_args()
    backend.tensorflow()  # imports are left out
    arrays = VGG16().random_arrays(0)
    random = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    ratios = {}
    for size in SIZES:
        trunk = TrunkFingerprint("", "caffe", "block5_pool", size, "crop")
        pixels = random.integers(0, 256, (BATCH, size, size, 3), dtype=np.uint8)
        calls, first, features = {}, {}, {}
        for by in RUNTIMES[1:]:
            begun = time.perf_counter()
            made = Fingerprint(trunk, 0, "", 0, "float32", "float32", by)
            network = compile_network(arrays, made, BATCH)
            features[by], _ = network(pixels)
            first[by] = time.perf_counter() - begun
            calls[by] = functools.partial(network, pixels)
        times = measure.in_turns(calls, options.rounds)
        truth = features["tensorflow"]
        for by, found in times.items():
            median = float(np.median(found))
            off = float(np.linalg.norm(features[by] - truth) / np.linalg.norm(truth))
            rows.append(
                {
                    "size": size,
                    "runtime": by,
                    **measure.spread(found),
                    "images/s": round(BATCH / median, 2),
                    "compiling s": round(first[by] - median, 1),
                    "off by": f"{off:.1e}",
                }
            )
            if by != "tensorflow":
                figure = f"{by} against tensorflow at {size} pixels"
                ratios[figure] = measure.ratio(times, "tensorflow", by)
    measure.tell("runtimes", options, rows, ratios, batch=BATCH, rounds=options.rounds)


if __name__ == "__main__":
    main()
