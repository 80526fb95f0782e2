"""The ranges of VGG16 in eight bits: what the integer 255 of each channel stands for."""

import base64
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

import numpy as np

from ..errors import CorruptError
from ..storage import files
from .vgg16 import CONVOLUTIONS

__all__ = ["QUANTIZED", "Ranges", "known_ranges"]

#: The convolutions that are computed with integers, and the channels of their input: all but the
#: first, whose input is pixels.
QUANTIZED: Mapping[str, int] = {name: CONVOLUTIONS[name][0] for name in [*CONVOLUTIONS][1:]}


@dataclass(frozen=True)
class Ranges:
    """The largest activation that each channel of each convolution's input keeps.

    Attributes
    ----------
    text : str
        Base64 of the ranges as little-endian float16: `QUANTIZED`'s layers one after the other.

    Raises
    ------
    ValueError
        When the text is anything else, or a range is not above 0.
    """

    text: str

    def __post_init__(self) -> None:
        found = self._all
        if len(found) != sum(QUANTIZED.values()):
            raise ValueError(f"{len(found)} ranges; VGG16 has {sum(QUANTIZED.values())}")
        if not (np.isfinite(found).all() and (found > 0).all()):
            raise ValueError("a range is not a number above 0")

    @classmethod
    def of(cls, found: Mapping[str, np.ndarray]) -> "Ranges":
        """Return the ranges of layers: name → (channels,), each above 0.

        Raises
        ------
        CorruptError
            When one is not a number that float16 has, which only odd weights give.
        """
        whole = np.concatenate([found[name] for name in QUANTIZED])
        if not (whole <= np.finfo(np.float16).max).all():
            raise CorruptError(
                "The network's activations are too large for int8's ranges, or not finite: are "
                "these VGG16's weights? Use --precision float32."
            )
        kept = np.maximum(whole, np.finfo(np.float16).tiny).astype("<f2")
        return cls(base64.b64encode(kept.tobytes()).decode())

    @property
    def digest(self) -> str:
        """SHA-256 of the text."""
        return files.digest(self.text.encode())

    @property
    def _all(self) -> np.ndarray:
        data = base64.b64decode(self.text, validate=True)
        return np.frombuffer(data, "<f2").astype(np.float32)

    def layers(self) -> dict[str, np.ndarray]:
        """Return the ranges by layer: name → float32 (channels,)."""
        ends = np.cumsum([*QUANTIZED.values()])[:-1]
        return dict(zip(QUANTIZED, np.split(self._all, ends), strict=True))


@functools.cache
def known_ranges(weights: str) -> Ranges | None:
    """Return the ranges that featx has for weights, by their SHA-256; None for others."""
    text = resources.files(__package__).joinpath("ranges.json").read_text()
    known = json.loads(text)
    return Ranges(known[weights]) if weights in known else None
