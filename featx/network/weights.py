"""Which weights a network computes with: those of a provider, of a file, or random ones."""

import logging
from dataclasses import dataclass
from pathlib import Path

from ..errors import (
    FeatxError,
    IncompatibleError,
    InputError,
    StorageError,
    printable,
    require_one_of,
)
from ..progress import Progress
from ..storage import files
from .downloads import fetch, find_kept, find_weights, read_weights, verified
from .networks import DEFAULT, NETWORKS, get_network
from .preprocessing import PREPROCESSING
from .steps import Arrays

__all__ = ["Weights", "provider_of", "resolve_weights"]

log = logging.getLogger("featx")

_RANDOM_SEED = 0


@dataclass(frozen=True)
class Weights:
    """One set of weights that was found, not yet read.

    Attributes
    ----------
    provider : str
        A key of `networks.Network.providers`, "file" or "random".
    path : Path or None
        None for random weights.
    digest : str
        SHA-256 of the file; of the recipe for random weights.
    preprocessing : str
        A member of `preprocessing.PREPROCESSING`.
    network : str
        A key of `networks.NETWORKS`, or "file".
    features : tuple of int
        See `fingerprint.TrunkFingerprint`.
    runtime : str
        Of the network of a file, what computes it: "keras", "onnxruntime" or "openvino"; else "".
    """

    provider: str
    path: Path | None
    digest: str
    preprocessing: str
    network: str = DEFAULT
    features: tuple[int, ...] = ()
    runtime: str = ""

    def arrays(self) -> Arrays:
        """Read the weights of all layers.

        Raises
        ------
        CorruptError
            When the file changed since it was found, or does not hold the network's weights.
        """
        steps = get_network(self.network).steps
        if self.path is None:
            return steps.random_arrays(_RANDOM_SEED)
        return steps.from_file(verified(read_weights(self.path), self.digest, self.path))


def resolve_weights(
    name: str = "auto",
    *,
    network: str = DEFAULT,
    preprocessing: str | None = None,
    wanted: str | None = None,
    progress: Progress | None = None,
) -> Weights:
    """Find the weights called `name`, and fetch them when they are not there yet.

    Parameters
    ----------
    name : str
        "auto", a provider of the network, "random", or the path of a ``.h5`` or ``.safetensors``
        file.
    network : str
        A key of `networks.NETWORKS`.
    preprocessing : str, optional
        What the weights of an unknown file want.
    wanted : str, optional
        Digest that an existing cache or model names; "auto" then takes exactly those weights.
    progress : callable, optional
        See `progress.Progress`; in bytes.

    Raises
    ------
    InputError
        When there is no such network, source or file, or its preprocessing is not known.
    IncompatibleError
        When "auto" knows no source of the wanted weights.
    StorageError
        When they cannot be fetched.
    """
    if preprocessing is not None:
        require_one_of("preprocessing", preprocessing, PREPROCESSING)
    row = get_network(network)
    random = _random(network, preprocessing or row.preprocessing[0])
    if name == "random" or (name == "auto" and wanted == random.digest):
        weights = random
    elif name == "auto" or (wanted and name in _elsewhere(network)):
        weights = _auto(network, wanted, progress, preprocessing)
    elif name in row.providers:
        weights = _found(network, name) or _fetched(network, name, progress)
    else:
        weights = _from_path(network, Path(name), preprocessing)
    if preprocessing not in (None, weights.preprocessing):
        raise InputError(
            f"The weights {printable(name)!r} want the preprocessing {weights.preprocessing!r}, "
            f"not {preprocessing!r}. Leave the option out."
        )
    if weights.provider == "random":
        log.warning("Using random weights: results are only meaningful in tests.")
    else:
        log.info("Weights of %s: %s, %s", row.title, weights.provider, printable(weights.path))
    return weights


def provider_of(digest: str) -> str:
    """Return the name of the provider of these weights; "file" when none has them."""
    for network, row in NETWORKS.items():
        if digest == _random(network, "").digest:
            return "random"
        for name, provider in row.providers.items():
            if digest == (provider.digest or provider.recorded):
                return name
    return "file"


def _elsewhere(network: str) -> set[str]:
    """Return the providers of other networks, which say nothing about this one's weights."""
    others = {name for row in NETWORKS.values() for name in row.providers}
    return others - set(get_network(network).providers)


def _found(network: str, name: str) -> Weights | None:
    provider = get_network(network).providers[name]
    there = find_weights(provider)
    return Weights(name, *there, provider.preprocessing, network) if there else None


def _fetched(network: str, name: str, progress: Progress | None) -> Weights:
    provider = get_network(network).providers[name]
    there = fetch(provider, progress=progress)
    return Weights(name, *there, provider.preprocessing, network)


def _random(network: str, preprocessing: str) -> Weights:
    row = get_network(network)
    kernels = "He normal" if network == DEFAULT else "LeCun normal"
    recipe = f"{row.title}, {kernels}, numpy.random.default_rng({_RANDOM_SEED})"
    return Weights("random", None, files.digest(recipe.encode()), preprocessing, network)


def _from_path(network: str, path: Path, preprocessing: str | None) -> Weights:
    row = get_network(network)
    if not path.is_file():
        raise InputError(
            f"Unknown weights {printable(path)!r}. Expected auto, "
            f"{', '.join([*row.providers, 'random'])}, or the path of a file of {row.title}'s "
            "weights."
        )
    digest = files.file_digest(path)
    for name, provider in row.providers.items():
        if digest == (provider.digest or provider.recorded):
            return Weights(name, path, digest, provider.preprocessing, network)
    if preprocessing is None:
        raise InputError(
            f"{printable(path)}: which preprocessing these weights want is not known. Add "
            f"--preprocessing {' or '.join(row.preprocessing)}, which {row.title}'s usual weights "
            "want, or another one."
        )
    return Weights("file", path, digest, preprocessing, network)


def _auto(
    network: str, wanted: str | None, progress: Progress | None, preprocessing: str | None
) -> Weights:
    row = get_network(network)
    if wanted and preprocessing and (kept := find_kept(wanted)):
        return Weights("file", kept, wanted, preprocessing, network)
    known = {name: one.digest or one.recorded for name, one in row.providers.items()}
    names = [name for name, digest in known.items() if wanted in (None, digest) or not digest]
    if not known and wanted is None:
        raise InputError(
            f"{row.title}'s weights are not fetched: of those that packages carry it is not known "
            "where they come from. Give a file that you have, with --weights PATH --preprocessing "
            f"{row.preprocessing[0]}; docs/networks.md says which."
        )
    if not names:
        raise IncompatibleError(_nobody_has(row.title, wanted))
    for name in names:
        if (there := _found(network, name)) and wanted in (None, there.digest):
            return there
    failures = []
    for name in names:
        try:
            there = _fetched(network, name, progress)
        except FeatxError as error:
            failures.append(f"  {name}: {error}")
            log.info("%s is not within reach from here.", row.providers[name].source.place)
            log.debug("%s: %s", name, error)
            continue
        if wanted in (None, there.digest):
            return there
    if not failures:
        raise IncompatibleError(_nobody_has(row.title, wanted))
    option = "" if network == DEFAULT else f" --network {network}"
    raise StorageError(
        "\n".join(
            [f"{row.title}'s weights cannot be had:", *failures]
            + ["For a machine without a network, run"]
            + [f"  {row.providers[name].source.by_hand}" for name in names]
            + ["on one that has it (one of them is enough), copy the file over, and here run"]
            + [f"  featx weights fetch {name} --from FILE{option}" for name in names]
        )
    )


def _nobody_has(title: str, wanted: str | None) -> str:
    return (
        f"{title}'s weights with the SHA-256 {wanted} are needed, and no known source has them. "
        "Give their file with --weights PATH."
    )
