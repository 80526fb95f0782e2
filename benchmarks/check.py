"""Compare what the benchmarks found with what is promised, and say what falls short.

    python benchmarks/check.py [--results build/bench]

Exit code 1 when something falls short, or was not measured.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measure


@dataclass(frozen=True)
class Promise:
    """A figure of a benchmark and its bound.

    Attributes
    ----------
    bench : str
        Name of the JSON file.
    figure : str
        One of its ratios.
    least, most : float, optional
        The bound.
    native : bool, optional
        Only where bfloat16 is native, or only where it is not.
    """

    bench: str
    figure: str
    least: float | None = None
    most: float | None = None
    native: bool | None = None


_BARE, _KERAS, _TORCH = (
    "extract against its bare function, {}",
    "extract against Keras dataset and predict in float32, {}",
    "extract against PyTorch and a DataLoader, {}",
)
_EPOCHS = "classic recipe against featx extract, fit"
_MORE = "points of accuracy more than the classic recipe"

PROMISES = (
    *(
        Promise("extract", figure.format(precision), least=least, native=native)
        for figure, precision, least, native in (
            (_BARE, "float32", 0.95, None),
            (_BARE, "bfloat16", 0.95, True),
            (_KERAS, "float32", 1.4, None),
            (_KERAS, "bfloat16", 2.5, True),
            (_TORCH, "float32", 1.2, None),
            (_TORCH, "bfloat16", 1.2, True),
        )
    ),
    Promise("recipe-hymenoptera", _EPOCHS, least=9, native=True),
    Promise("recipe-flowers17", _EPOCHS, least=9, native=True),
    Promise("recipe-flowers17", _MORE, least=0.01),
    Promise("classes", "seconds of fit", most=60),
    Promise("recipe-hymenoptera", _MORE, least=0.01),
    Promise("memory", "peak memory of the most images against a tenth", most=1.1),
    Promise("memory", "peak GiB of the most images", most=3),
    Promise("reader", "images/s of 500 × 375 for two cores", least=300),
    Promise("reader", "images/s of 4000 × 3000 for two cores", least=40),
    Promise("reader", "core milliseconds a copy", most=3),
    Promise("start", "seconds of --help", most=0.3),
    Promise("start", "seconds of a rerun of 10,000", most=1),
    Promise("start", "commands that imported TensorFlow", most=0),
    Promise("precision-hymenoptera", "features apart, largest", most=1e-2),
    Promise("precision-hymenoptera", "points of accuracy apart, largest", most=0.3),
    Promise("precision-flowers17", "features apart, largest", most=1e-2),
    Promise("precision-flowers17", "points of accuracy apart, largest", most=0.3),
    Promise("compare", "seconds of compare", most=60),
    Promise("compare", "peak GiB of compare", most=2),
    Promise("finetune", "the whole network against featx", least=3, native=False),
    Promise("finetune", "the whole network against featx", least=5, native=True),
    Promise("score", "score against extract", least=0.95),
    Promise("reliability", "percent of the time at 25 images/s", most=2),
)


def verdict(promise: Promise, found: dict[str, Any] | None) -> tuple[str, str]:
    """Return a figure in words, and "ok", "falls short", "does not apply" or "not measured"."""
    if found is None:
        return "", "not measured"
    if promise.native is not None and promise.native != found["machine"]["native bfloat16"]:
        return "", "does not apply"
    figure = found["ratios"].get(promise.figure)
    if figure is None:
        return "", "not measured"
    least = promise.least if promise.least is not None else float("-inf")
    most = promise.most if promise.most is not None else float("inf")
    return f"{figure:.4g}", "ok" if least <= figure <= most else "falls short"


def main() -> None:
    """Print the table."""
    options = measure.arguments(__doc__).parse_args()
    bad = 0
    print("| benchmark | figure | promised | found | |\n|---|---|---|---|---|")
    for promise in PROMISES:
        path: Path = options.results / f"{promise.bench}.json"
        found = json.loads(path.read_text()) if path.is_file() else None
        figure, word = verdict(promise, found)
        bad += word in ("falls short", "not measured")
        bounds = ((">=", promise.least), ("<=", promise.most))
        bound = " ".join(f"{sign} {value:g}" for sign, value in bounds if value is not None)
        print(f"| {promise.bench} | {promise.figure} | {bound} | {figure} | {word} |")
    print(f"\n{bad} of {len(PROMISES)} fall short or were not measured.")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
