import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from featx.plain import plain


class Point(NamedTuple):
    x: float
    y: np.float32


@dataclass(frozen=True)
class Result:
    out: Path
    sizes: tuple[int, ...]
    point: Point
    counts: dict[Any, Any]
    confusion: np.ndarray
    _draws: np.ndarray | None = None


def test_everything_becomes_a_value_of_json() -> None:
    result = Result(
        Path("a/b"), (1, 2), Point(0.5, np.float32(0.25)), {3: np.int64(4), "none": None},
        np.array([[True, False]]), np.zeros(3),
    )  # fmt: skip
    expected = {
        "out": "a/b",
        "sizes": [1, 2],
        "point": {"x": 0.5, "y": 0.25},
        "counts": {"3": 4, "none": None},
        "confusion": [[True, False]],
    }
    assert plain(result) == expected
    assert json.loads(json.dumps(plain([result]))) == [expected]
    assert plain(np.array(["a", Path("b")], object)) == ["a", "b"]


@pytest.mark.parametrize("value", [Result, {1, 2}, b"bytes", [object()]])
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="has no plain value"):
        plain(value)
