"""What must be equal for two results to be comparable or interchangeable."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Self

from ..errors import IncompatibleError, InputError, printable, require_one_of
from ..images import augment, decode
from .activations import PooledLayers
from .networks import DEFAULT, Network, network_of
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
    "network": DEFAULT,
    "features": [],
    "also": [],
}

#: What networks whose features stand side by side have in common, of a fingerprint and its trunk.
_SHARED = ("copies", "augment", "seed")
_SHARED_IMAGES = ("resize", "decoding", "bits")


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
        SHA-256 of the weights; of the whole file where it is a network of the user's own.
    preprocessing : str
        A member of `preprocessing.PREPROCESSING`.
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
    network : str
        A key of `networks.NETWORKS`, or "file".
    features : tuple of int
        Of the network of a file, the shape of what it gives for an image; else ().
    """

    weights: str
    preprocessing: str
    cut: str
    size: int
    resize: str
    decoding: int = decode.RULES
    bits: int = 16
    network: str = DEFAULT
    features: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self.shape  # noqa: B018 - refuses what cannot be
        require_one_of("resize", self.resize, decode.RESIZE)
        decode.check_bits(self.bits)

    @property
    def row(self) -> Network:
        """The network."""
        return network_of(self.network, self.features)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the features of one image: (height, width, channels)."""
        return self.shape_at(self.cut)

    def shape_at(self, cut: str) -> tuple[int, int, int]:
        """Return the shape of the features of one image at another layer."""
        return self.row.shape(cut, self.size)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return dataclasses.asdict(self) | {"features": list(self.features)}


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
    also : tuple of Fingerprint
        Those of further networks, whose activations of the same images stand beside the first's.
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
    also: tuple["Fingerprint", ...] = ()

    def __post_init__(self) -> None:
        require_one_of("keep", self.keep, KEEP)
        self.pooled  # noqa: B018 - refuses what cannot be
        for other in self.also:
            if other.also:
                raise InputError("A fingerprint beside another one has further ones of its own.")
            self._require_same_images(other)

    def _require_same_images(self, other: "Fingerprint") -> None:
        """Check that another network sees the same images, and the same copies of them."""
        both = [(name, getattr(self, name), getattr(other, name)) for name in _SHARED]
        for name in _SHARED_IMAGES:
            both.append((name, getattr(self.trunk, name), getattr(other.trunk, name)))
        different = [f"{name}: {a!r} and {b!r}" for name, a, b in both if a != b]
        if different:
            raise InputError(
                "The features of two networks stand side by side only where they are of the same "
                f"images and copies, and here differ {'; '.join(different)}. Extract them again "
                "with the same settings."
            )

    @property
    def each(self) -> tuple["Fingerprint", ...]:
        """The fingerprint of each network by itself, the first's first."""
        return (dataclasses.replace(self, also=()), *self.also)

    @property
    def sizes_in_all(self) -> tuple[int, ...]:
        """All sizes at which images are made, each once: the trunk's, its further ones, others'."""
        return tuple(dict.fromkeys(size for one in self.each for size in one.pooled.sizes))

    @property
    def pooled(self) -> PooledLayers:
        """Which layers are pooled, over which passes."""
        sizes = (self.trunk.size, *self.sizes)
        return PooledLayers(self.layers, sizes, self.mirror, self.trunk.network)

    @property
    def gmac(self) -> float:
        """What an image costs by all networks, sizes and mirrored passes.

        Multiplications of convolutions in 1e9. Where a network ends before its last layer that is
        an upper bound.
        """
        return sum(
            one.trunk.row.gmac * (run.size / 224) ** 2
            for one in self.each
            for run in one.pooled.passes
        )

    @property
    def in_full(self) -> "Fingerprint":
        """The fingerprint of the same features where all of them are kept."""
        return dataclasses.replace(self, keep="all", also=tuple(one.in_full for one in self.also))

    def without_layers(self) -> "Fingerprint":
        """Return the fingerprint of the features at the cut alone, all of them."""
        also = tuple(one.without_layers() for one in self.also)
        return dataclasses.replace(self, layers=(), sizes=(), mirror=False, keep="all", also=also)

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
        own |= {"also": [one.as_dict() for one in self.also]}
        return {**self.trunk.as_dict(), **own}

    def as_json(self) -> str:
        """Return the fields as JSON with sorted keys; those of later versions only if they differ.

        So the fingerprint of a cache that an earlier featx made stays the same text.
        """
        whole = self.as_dict() | {"ranges": self.ranges.text if self.ranges else "none"}
        whole |= {"also": [json.loads(one.as_json()) for one in self.also]}
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
        if "also" in own:
            own["also"] = tuple(cls.from_json(json.dumps(one)) for one in own["also"])
        if "features" in fields:
            fields["features"] = tuple(fields["features"])
        return cls(TrunkFingerprint(**fields), **own)
