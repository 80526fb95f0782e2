"""A real data set that needs no download: scikit-learn's scans of handwritten digits."""

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, printable
from ..plain import plain
from ..storage import files

__all__ = ["SampleResult", "write_sample"]

_TEST_SHARE = 5  # every fifth image of a class is for the test


@dataclass(frozen=True)
class SampleResult:
    """What `write_sample` wrote: images under ``train/`` and ``test/``, in class folders."""

    out: Path
    train: int
    test: int
    classes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain values, for JSON."""
        return plain(self)


def write_sample(folder: str | os.PathLike[str], per_class: int | None = None) -> SampleResult:
    """Write the digits as PNG files, 8 × 8 grey, in class folders under ``train/`` and ``test/``.

    The images are those of `sklearn.datasets.load_digits`: 1,797 digits of 43 people, the test
    set of Alpaydin and Kaynak's Optical Recognition of Handwritten Digits (UCI, 1998).

    Parameters
    ----------
    folder : path
        Empty, or holding this sample already.
    per_class : int, optional
        How many images of each class; all by default.

    Returns
    -------
    SampleResult
        Where the images are, and how many.

    Raises
    ------
    InputError
        When the folder holds anything else, or `per_class` is not 2 or more.

    Examples
    --------
    >>> import featx
    >>> featx.write_sample("photos", per_class=8).train  # doctest: +SKIP
    60
    """
    from PIL import Image
    from sklearn.datasets import load_digits

    if per_class is not None and per_class < 2:
        raise InputError(f"per class is {per_class}. Expected 2 or more: some train, some test.")
    root = Path(folder)
    digits = load_digits()
    content = {}
    for label in range(10):
        chosen = np.flatnonzero(digits.target == label)[:per_class]
        for place, index in enumerate(chosen):
            # The first of each class trains, so that the smallest sample has both.
            split = "test" if place % _TEST_SHARE == 1 else "train"
            grey = np.rint(digits.images[index] * (255 / 16)).astype(np.uint8)
            png = io.BytesIO()
            Image.fromarray(grey).save(png, "PNG")
            content[root / split / str(label) / f"{index:04d}.png"] = png.getvalue()
    _refuse_others(root, set(content))
    for path, data in content.items():
        files.make_folder(path.parent)
        with files.storage_errors(path):
            path.write_bytes(data)
    tests = sum(path.parts[-3] == "test" for path in content)
    return SampleResult(root, len(content) - tests, tests, tuple(map(str, range(10))))


def _refuse_others(root: Path, ours: set[Path]) -> None:
    if root.exists() and not root.is_dir():
        raise InputError(f"{printable(root)} is not a folder.")
    others = sorted(path for path in root.rglob("*") if not path.is_dir() and path not in ours)
    if others:
        raise InputError(
            f"{printable(root)} holds other files, such as {printable(others[0].name)}. "
            "Give an empty folder or a new name."
        )
