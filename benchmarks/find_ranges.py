"""Find the ranges that int8 has for VGG16's weights, and say how far its features are from float32.

The images of the train split of each source, a few of each class, are what the ranges are found by;
others of its train split are what the features are compared on.

    python benchmarks/find_ranges.py SOURCE... [--images 128] [--write]
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

import featx
from featx.images import decode
from featx.network import openvino, ranges, vgg16
from featx.network.fingerprint import Fingerprint, TrunkFingerprint
from featx.network.trunk import Trunk
from featx.network.weights import resolve_weights

PINNED = Path(ranges.__file__).with_name("ranges.json")
SIZE = 224


def main() -> None:
    """Print the distances; with --write, put the ranges into the package."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sources", nargs="+", type=Path)
    parser.add_argument("--images", type=int, default=128, help="of each source")
    parser.add_argument("--write", action="store_true", help="keep the ranges in the package")
    options = parser.parse_args()
    weights = resolve_weights()
    trunk = TrunkFingerprint(weights.digest, weights.preprocessing, "block5_pool", SIZE, "crop")
    kept = tuple(name for name in vgg16.CONVOLUTIONS if name >= "block4")
    exact = Fingerprint(trunk, 0, "", 0, "float32", "float32", "openvino", kept)
    found = {source.name: photographs(source, 2 * options.images) for source in options.sources}
    calibration = np.concatenate([pixels[::2] for pixels in found.values()])
    made = openvino.calibrate(weights.arrays(), exact, calibration)
    if options.write:
        known = json.loads(PINNED.read_text()) | {weights.digest: made.text}
        PINNED.write_text(json.dumps(known, indent=1) + "\n")
    kinds = {"int8": replace(exact, precision="int8", ranges=made)}
    if openvino.has_bfloat16():
        kinds["bfloat16"] = replace(exact, precision="bfloat16")
    print("| images | precision | features | mean over positions | layer pools |\n|" + "---|" * 5)
    for name, pixels in found.items():
        truth = Trunk(weights, exact).activations([pixels[1::2]])
        for kind, fingerprint in kinds.items():
            other = Trunk(weights, fingerprint).activations([pixels[1::2]])
            apart = [
                distance(other.features, truth.features),
                distance(other.features.mean((1, 2)), truth.features.mean((1, 2))),
                distance(other.pools.astype(np.float32), truth.pools.astype(np.float32)),
            ]
            print(f"| {name} | {kind} | " + " | ".join(f"{one:.2%}" for one in apart) + " |")


def photographs(source: Path, count: int) -> np.ndarray:
    """Return images of the train split, taken evenly, as pixels."""
    listed = featx.scan(source)
    train = np.flatnonzero(listed.splits == "train")
    chosen = train[np.linspace(0, len(train) - 1, min(count, len(train))).astype(int)]
    read = (decode.read(str(listed.file(index))).data for index in chosen)
    return np.stack([decode.decode(data, SIZE, "crop").pixels for data in read])


def distance(found: np.ndarray, truth: np.ndarray) -> float:
    """Return the median over images of the relative norm of the difference."""
    found, truth = (rows.reshape(len(rows), -1) for rows in (found, truth))
    return float(np.median(np.linalg.norm(found - truth, axis=1) / np.linalg.norm(truth, axis=1)))


if __name__ == "__main__":
    main()
