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
    on : str, optional
        Only on processors where featx computes in this precision by default.
    """

    bench: str
    figure: str
    least: float | None = None
    most: float | None = None
    on: str | None = None


_BARE = "extract against its bare function"
_KERAS = "extract against Keras dataset and predict in float32"
_TORCH = "extract against PyTorch and a DataLoader in {}"
_BFLOAT16 = "extract against extract in bfloat16"
_EPOCHS = "classic recipe against featx extract, fit"
_MORE = "points of accuracy more than the classic recipe"

PROMISES = (
    Promise("extract", _BARE, least=0.95, on="float32"),
    Promise("extract", _BARE, least=0.95, on="bfloat16"),
    Promise("extract", _BARE, least=0.9, on="int8"),
    Promise("extract", _KERAS, least=1.4, on="float32"),
    Promise("extract", _KERAS, least=2.5, on="bfloat16"),
    Promise("extract", _KERAS, least=5, on="int8"),
    Promise("extract", _TORCH.format("float32"), least=1.2, on="float32"),
    Promise("extract", _TORCH.format("bfloat16"), least=1.2, on="bfloat16"),
    Promise("extract", _TORCH.format("bfloat16"), least=4, on="int8"),
    Promise("extract", _BFLOAT16, least=1.7, on="int8"),
    Promise("recipe-hymenoptera", _EPOCHS, least=9, on="bfloat16"),
    Promise("recipe-hymenoptera", _EPOCHS, least=15, on="int8"),
    Promise("recipe-hymenoptera", _MORE, least=0.01),
    Promise("recipe-flowers17", _EPOCHS, least=9, on="bfloat16"),
    Promise("recipe-flowers17", _EPOCHS, least=15, on="int8"),
    Promise("recipe-flowers17", _MORE, least=0.01),
    Promise("classes", "seconds of fit", most=60),
    Promise("memory", "peak memory of the most images against a tenth", most=1.1),
    Promise("memory", "peak GiB of the most images", most=3),
    *(
        Promise("listing", f"{what} of the {source}", most=most)
        for source in ("manifest", "folder")
        for what, most in (("peak MiB", 600), ("s a million", 60))
    ),
    Promise("reader", "images/s of 500 × 375 for two cores", least=300),
    Promise("reader", "images/s of 4000 × 3000 for two cores", least=40),
    Promise("reader", "core milliseconds a copy", most=3),
    Promise("start", "seconds of --help", most=0.3),
    Promise("start", "seconds of a rerun of 10,000", most=0.8),
    Promise("start", "commands that imported TensorFlow", most=0),
    *(
        Promise(f"precision-{photographs}", figure, least, most, on)
        for photographs in ("hymenoptera", "flowers17")
        for figure, least, most, on in (
            ("points of accuracy apart, largest, bfloat16", None, 0.3, None),
            ("points of accuracy apart, largest, int8", None, 0.3, "int8"),
            ("percent of log loss more, largest, int8", None, 3, "int8"),
            ("features apart, largest, bfloat16", None, 1e-2, None),
            ("features apart, median, int8", None, 0.02, "int8"),
            ("equal labels of score, int8", 0.99, None, "int8"),
        )
    ),
    Promise("compare", "seconds of compare", most=60),
    Promise("compare", "peak GiB of compare", most=2),
    Promise("finetune", "the whole network against featx", least=3, on="float32"),
    Promise("finetune", "the whole network against featx", least=5, on="bfloat16"),
    Promise("score", "score against extract", least=0.95),
    Promise("reliability", "percent of the time at 25 images/s", most=2),
)


def verdict(promise: Promise, found: dict[str, Any] | None) -> tuple[str, str]:
    """Return a figure in words, and "ok", "falls short", "does not apply" or "not measured"."""
    if found is None:
        return "", "not measured"
    if promise.on is not None and promise.on != found["machine"]["precision"]:
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
