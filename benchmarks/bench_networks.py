"""Networks side by side, for docs/networks.md: how right, how sure, how quick, how large.

For each folder and network: features at 224 pixels with everything at its default, `fit` with its
default heads, tested once on the test split (or on a fifth of the images). Then `fit` over the
caches of each pair of networks, which chooses between either and both. Times are of the network
alone, with its layer pools, on the same pixels, in turns.

    python benchmarks/bench_networks.py FOLDER... [--networks vgg16,efficientnet-lite0,…]
        [--weights mobilenet-v2=FILE] [--work DIRECTORY] [--rounds 5]
"""

import argparse
import functools
import itertools
import math
import statistics
import tempfile
from pathlib import Path
from typing import Any

import measure
import numpy as np

import featx
from featx.network.networks import NETWORKS
from featx.network.trunk import BATCH, same_trunk

_PREPROCESSING = "torch"  # of the files that are given


def extract(folder: Path, network: str, weights: dict[str, str], work: Path) -> Path:
    """Return the cache of a folder by a network, made where it is not there yet."""
    out = work / f"{folder.name}.{network}.h5"
    own = {}
    if network in weights:
        own = {"weights": weights[network], "preprocessing": _PREPROCESSING}
    featx.extract(folder, out, network=network, **own)
    return out


def rates_of(paths: dict[str, Path], weights: dict[str, str], rounds: int) -> dict[str, float]:
    """Return images a second by each network, the medians of rounds in turns."""
    pixels = np.random.default_rng(0).integers(0, 256, (4 * BATCH, 224, 224, 3), np.uint8)
    calls = {}
    for network, path in paths.items():
        with featx.Cache.open(path) as cache:
            made = cache.fingerprint
        trunk = same_trunk(
            made,
            "The cache",
            weights=weights.get(network, "auto"),
            runtime=made.runtime,
            precision=made.precision,
        )
        trunk.activations([pixels[:BATCH]])  # compiles
        calls[network] = functools.partial(trunk.activations, [pixels])
    times = measure.in_turns(calls, rounds)
    return {network: len(pixels) / statistics.median(some) for network, some in times.items()}


def fitted(caches: list[Path], work: Path) -> dict[str, Any]:
    """Return what `fit` chose over some caches, and its test."""
    done = featx.fit(caches if len(caches) > 1 else caches[0], work / "model.featx", overwrite=True)
    choice = done.leaderboard.choice if done.leaderboard else None
    return {
        "chosen": f"{choice.head} on {choice.view}" if choice else done.model.head_name,
        "network": choice.network if choice else "",
        "cv": f"{choice.score:.4f} / {choice.log_loss:.4f}" if choice else "",
        "right": round(done.test.accuracy * done.test.images),
        "images": done.test.images,
        "accuracy": done.test.accuracy,
        "log_loss": done.test.log_loss,
    }


def main() -> None:
    """Print a table for each folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--networks", default="vgg16,efficientnet-lite0")
    parser.add_argument("--weights", action="append", default=[], metavar="NETWORK=FILE")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    networks = options.networks.split(",")
    weights = dict(one.split("=", 1) for one in options.weights)
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        for number, folder in enumerate(options.folders):
            paths = {network: extract(folder, network, weights, work) for network in networks}
            if number == 0:
                print_costs(paths, rates_of(paths, weights, options.rounds))
            print(f"\n**{folder.name}**\n")
            print("| caches | chosen | cross-validation | test accuracy | log loss | KB an image |")
            print("|---|---|---|---|---|---|")
            for some in (*((one,) for one in networks), *itertools.combinations(networks, 2)):
                print_fit(some, paths, work)


def print_costs(paths: dict[str, Path], rates: dict[str, float]) -> None:
    """Print what an image costs by each network."""
    print("\n| network | computed in, by | images/s | GMAC | weights, MB | columns |")
    print("|---|---|---|---|---|---|")
    for network, path in paths.items():
        with featx.Cache.open(path) as cache:
            made = cache.fingerprint
        row = NETWORKS[network]
        shapes = [shape for name in row.cuts for shape in row.steps.variables(name).values()]
        megabytes = sum(4 * math.prod(shape) for shape in shapes) / 1e6
        cells = [network, f"{made.precision}, {made.runtime}", f"{rates[network]:.0f}"]
        cells += [f"{row.gmac:.2f}", f"{megabytes:.0f}", str(row.cuts[row.last][1])]
        print(f"| {' | '.join(cells)} |", flush=True)


def print_fit(some: tuple[str, ...], paths: dict[str, Path], work: Path) -> None:
    """Print what comes of the caches of some networks."""
    found = fitted([paths[network] for network in some], work)
    kilobytes = []
    for network in some:
        with featx.Cache.open(paths[network]) as cache:
            kilobytes.append(paths[network].stat().st_size / len(cache) / 1e3)
    of = f" of {found['network']}" if len(some) > 1 else ""
    print(
        f"| {', '.join(some)} | {found['chosen']}{of} | {found['cv']} | {found['right']} of "
        f"{found['images']} ({found['accuracy']:.4f}) | {found['log_loss']:.4f} "
        f"| {sum(kilobytes):.0f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
