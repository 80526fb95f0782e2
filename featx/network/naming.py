"""What networks are called, where the features of several are told apart."""

from collections.abc import Sequence

from .fingerprint import Fingerprint

__all__ = ["joint_name", "network_names"]


def joint_name(made: Fingerprint) -> str:
    """Return a name for features of one network, or of several side by side."""
    return "+".join(network_names(made.each))


def network_names(several: Sequence[Fingerprint]) -> list[str]:
    """Return a name for each of some features: that of the network, and what tells them apart.

    Parameters
    ----------
    several : sequence of Fingerprint
        Each of one network.

    Returns
    -------
    list of str
        Such as "vgg16" and "resnet50", or "vgg16 block4_pool" and "vgg16 block5_pool". Those that
        nothing tells apart have their position.
    """
    described = [_described(one) for one in several]
    names = [[facts["network"]] for facts in described]
    for key in described[0]:
        for network in {name[0] for name in names}:
            same = [at for at, facts in enumerate(described) if facts["network"] == network]
            if _are_apart([names[at] for at in same]):
                continue
            if len({described[at][key] for at in same}) > 1:
                for at in same:
                    names[at].append(described[at][key])
    found = [" ".join(name) for name in names]
    return [
        f"{name} {at}" if found.count(name) > 1 else name for at, name in enumerate(found, start=1)
    ]


def _are_apart(names: Sequence[Sequence[str]]) -> bool:
    return len({tuple(name) for name in names}) == len(names)


def _described(one: Fingerprint) -> dict[str, str]:
    """Return what features may differ in, in words, the most telling first."""
    trunk = one.trunk
    return {
        "network": trunk.network,
        "cut": trunk.cut,
        "size": ",".join(map(str, one.pooled.sizes)),
        "preprocessing": trunk.preprocessing,
        "weights": f"weights {trunk.weights[:8]}",
        "resize": trunk.resize,
        "bits": f"{trunk.bits} bits",
        "decoding": f"decoding {trunk.decoding}",
        "copies": f"{one.copies} copies",
        "augment": f"augmented by {one.augment or 'nothing'}",
        "seed": f"seed {one.seed}",
        "layers": f"layers {','.join(one.layers) or 'none'}",
        "mirror": "mirrored too" if one.mirror else "not mirrored",
        "keep": f"keeps {one.keep}",
        "precision": one.precision,
        "runtime": one.runtime,
        "dtype": one.dtype,
        "ranges": f"ranges {one.ranges.digest[:8]}" if one.ranges else "no ranges",
    }
