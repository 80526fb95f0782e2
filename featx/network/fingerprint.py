"""What must be equal for two results to be comparable or interchangeable."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Self

from ..errors import IncompatibleError, printable, require_one_of
from ..images import augment, decode
from . import layers
from .activations import PooledLayers
from .ranges import Ranges

__all__ = ["DTYPES", "KEEP", "Fingerprint", "TrunkFingerprint"]

DTYPES = ("float16", "float32")

#: What a cache keeps of the features at the cut: all positions, or their mean and maximum alone.
KEEP = ("all", "pooled")

#: Fields that earlier versions did not have, with the value that is what they did.
_LATER: dict[str, Any] = {
    "bits": 16,
    "layers": [],
    "sizes": [],
    "mirror": False,
    "ranges": "none",
    "keep": "all",
}


class _Comparable:
    """What two fingerprints can be asked about each other."""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        raise NotImplementedError

    def differences(self, other: Self) -> dict[str, tuple[Any, Any]]:
        """Return the fields that differ: name → (this one's value, the other's)."""
        mine, theirs = self.as_dict(), other.as_dict()
        return {name: (mine[name], theirs[name]) for name in mine if mine[name] != theirs[name]}

    def require_equal(
        self, other: Self, *, mine: str, theirs: str, advice: str, where: str
    ) -> None:
        """Check that another fingerprint equals this one.

        Parameters
        ----------
        other : of the same class
        mine, theirs : str
            Words after this one's values and after the other's, such as "in the model", "there".
        advice : str
            A sentence that says what to do.
        where : str
            The file or folder that has the other fingerprint.

        Raises
        ------
        IncompatibleError
            When they differ; the message has a line for each field that does.
        """
        different = self.differences(other)
        if different:
            listed = [f"  {name}: {b} {theirs}, {a} {mine}" for name, (a, b) in different.items()]
            first = f"{printable(where)} was made with other settings:"
            raise IncompatibleError("\n".join([first, *listed, advice]))


@dataclass(frozen=True)
class TrunkFingerprint(_Comparable):
    """What must be equal for features of two images to be comparable.

    Attributes
    ----------
    weights : str
        SHA-256 of the weights.
    preprocessing : str
        "caffe" or "torch".
    cut : str
        Layer at which the trunk ends.
    size : int
        Pixels a side.
    resize : str
        "squash" or "crop".
    decoding : int
        Version of the decoding rules, `decode.RULES`.
    bits : int
        Bits of the values in images of 16 bits; see `decode.decode`.
    """

    weights: str
    preprocessing: str
    cut: str
    size: int
    resize: str
    decoding: int = decode.RULES
    bits: int = 16

    def __post_init__(self) -> None:
        layers.cut_shape(self.cut, self.size)
        require_one_of("resize", self.resize, decode.RESIZE)
        decode.check_bits(self.bits)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the features of one image: (height, width, channels)."""
        return layers.cut_shape(self.cut, self.size)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Fingerprint(_Comparable):
    """What must be equal for rows of two caches to be interchangeable.

    Attributes
    ----------
    trunk : TrunkFingerprint
    copies : int
        Augmented copies beside each original.
    augment : str
        The policy's ranges as JSON, see `augment.Policy.as_json`; "" without copies.
    seed : int
        Seed of the copies; 0 without copies.
    dtype : str
        "float16" or "float32".
    precision : str
        "float32", "bfloat16" or "int8".
    runtime : str
        The runtime, "tensorflow", "winograd" or "openvino": they differ in the last bits.
    layers : tuple of str
        Layers whose pools are kept beside the features; see `activations.PooledLayers`.
    sizes : tuple of int
        Further sizes, beside the trunk's, of which layer pools are kept.
    mirror : bool
        Whether layer pools of mirrored images are kept too.
    ranges : Ranges, optional
        With int8, what its integers stand for.
    keep : {"all", "pooled"}
        Whether all features at the cut are kept, or their mean and maximum alone.
    """

    trunk: TrunkFingerprint
    copies: int
    augment: str
    seed: int
    dtype: str
    precision: str
    runtime: str = "tensorflow"
    layers: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    mirror: bool = False
    ranges: Ranges | None = None
    keep: str = "all"

    def __post_init__(self) -> None:
        require_one_of("keep", self.keep, KEEP)
        self.pooled  # noqa: B018 - refuses what cannot be

    @property
    def pooled(self) -> PooledLayers:
        """Which layers are pooled, over which passes."""
        return PooledLayers(self.layers, (self.trunk.size, *self.sizes), self.mirror)

    @property
    def in_full(self) -> "Fingerprint":
        """The fingerprint of the same features where all of them are kept."""
        return dataclasses.replace(self, keep="all")

    def without_layers(self) -> "Fingerprint":
        """Return the fingerprint of the features at the cut alone, all of them."""
        return dataclasses.replace(self, layers=(), sizes=(), mirror=False, keep="all")

    @property
    def pools_shape(self) -> tuple[int, int, int]:
        """Shape of the layer pools of one image with its copies: (1 + copies, passes, columns)."""
        return (1 + self.copies, *self.pooled.shape)

    @property
    def cut_pools_shape(self) -> tuple[int, int]:
        """Shape of the pools of the features of one image: (1 + copies, 2 * channels)."""
        return (1 + self.copies, 2 * self.trunk.shape[2])

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the features of one image with its copies: ``(1 + copies, *cut)``."""
        return (1 + self.copies, *self.trunk.shape)

    def as_dict(self) -> dict[str, Any]:
        """Return all fields, the trunk's among them, as plain values; of ranges, their SHA-256."""
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)[1:]}
        own |= {"layers": list(self.layers), "sizes": list(self.sizes)}
        own |= {"ranges": self.ranges.digest if self.ranges else "none"}
        return {**self.trunk.as_dict(), **own}

    def as_json(self) -> str:
        """Return the fields as JSON with sorted keys; those of later versions only if they differ.

        So the fingerprint of a cache that an earlier featx made stays the same text.
        """
        whole = self.as_dict() | {"ranges": self.ranges.text if self.ranges else "none"}
        fields = {
            name: value
            for name, value in whole.items()
            if name not in _LATER or value != _LATER[name]
        }
        return json.dumps(fields, sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Fingerprint":
        """Return the fingerprint that `as_json` wrote.

        Raises
        ------
        LookupError, ValueError, TypeError, InputError
            When it is another text.
        """
        fields = json.loads(text)
        names = [field.name for field in dataclasses.fields(cls)[1:]]
        own = {name: fields.pop(name) for name in names if name in fields}
        own["augment"] = augment.as_json(own["augment"])
        own |= {name: tuple(own[name]) for name in ("layers", "sizes") if name in own}
        if "ranges" in own:
            own["ranges"] = Ranges(own["ranges"])
        return cls(TrunkFingerprint(**fields), **own)
