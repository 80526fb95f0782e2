"""Which weights VGG16 computes with: those of a provider, of a file, or random ones."""

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
from . import weight_files
from .downloads import PROVIDERS, fetch, find_weights, read_weights, verified
from .layers import Arrays
from .preprocessing import PREPROCESSING

__all__ = ["Weights", "provider_of", "resolve_weights"]

log = logging.getLogger("featx")

_RANDOM_SEED = 0


@dataclass(frozen=True)
class Weights:
    """One set of weights that was found, not yet read.

    Attributes
    ----------
    provider : str
        "keras", "torchvision", "file" or "random".
    path : Path or None
        None for random weights.
    digest : str
        SHA-256 of the file; of the recipe for random weights.
    preprocessing : str
        "caffe" or "torch".
    """

    provider: str
    path: Path | None
    digest: str
    preprocessing: str

    def arrays(self) -> Arrays:
        """Read the convolutions.

        Raises
        ------
        CorruptError
            When the file changed since it was found, or does not hold VGG16's convolutions.
        """
        if self.path is None:
            return weight_files.random_arrays(_RANDOM_SEED)
        return weight_files.from_file(verified(read_weights(self.path), self.digest, self.path))


def resolve_weights(
    name: str = "auto",
    *,
    preprocessing: str | None = None,
    wanted: str | None = None,
    progress: Progress | None = None,
) -> Weights:
    """Find the weights called `name`, and fetch them when they are not there yet.

    Parameters
    ----------
    name : str
        "auto", a key of `PROVIDERS`, "random", or the path of a ``.h5`` or ``.safetensors`` file.
    preprocessing : {"caffe", "torch"}, optional
        What the weights of an unknown file want.
    wanted : str, optional
        Digest that an existing cache or model names; "auto" then takes exactly those weights.
    progress : callable, optional
        See `progress.Progress`; in bytes.

    Raises
    ------
    InputError
        When there is no such source or file, or its preprocessing is not known.
    IncompatibleError
        When "auto" knows no source of the wanted weights.
    StorageError
        When they cannot be fetched.
    """
    if preprocessing is not None:
        require_one_of("preprocessing", preprocessing, PREPROCESSING)
    if name == "random" or (name == "auto" and wanted == _random("caffe").digest):
        weights = _random(preprocessing or "caffe")
    elif name == "auto":
        weights = _auto(wanted, progress)
    elif name in PROVIDERS:
        weights = _of_provider(name, find_weights(name) or fetch(name, progress=progress))
    else:
        weights = _from_path(Path(name), preprocessing)
    if preprocessing not in (None, weights.preprocessing):
        raise InputError(
            f"The weights {printable(name)!r} want the preprocessing {weights.preprocessing!r}, "
            f"not {preprocessing!r}. Leave the option out."
        )
    if weights.provider == "random":
        log.warning("Using random weights: results are only meaningful in tests.")
    else:
        log.info("Weights: %s, %s", weights.provider, printable(weights.path))
    return weights


def provider_of(digest: str) -> str:
    """Return the name of the provider of these weights; "file" when none has them."""
    if digest == _random("caffe").digest:
        return "random"
    return next((name for name, provider in PROVIDERS.items() if provider.digest == digest), "file")


def _of_provider(name: str, path: Path) -> Weights:
    return Weights(name, path, PROVIDERS[name].digest, PROVIDERS[name].preprocessing)


def _random(preprocessing: str) -> Weights:
    recipe = f"VGG16, He normal, numpy.random.default_rng({_RANDOM_SEED})"
    return Weights("random", None, files.digest(recipe.encode()), preprocessing)


def _from_path(path: Path, preprocessing: str | None) -> Weights:
    if not path.is_file():
        raise InputError(
            f"Unknown weights {printable(path)!r}. Expected auto, {', '.join(PROVIDERS)}, random, "
            "or the path of a .h5 or .safetensors file."
        )
    digest = files.file_digest(path)
    for name, provider in PROVIDERS.items():
        if digest == provider.digest:
            return _of_provider(name, path)
    if preprocessing is None:
        raise InputError(
            f"{printable(path)}: which preprocessing these weights want is not known. Add "
            "--preprocessing caffe (the original weights, Keras) or torch (torchvision's)."
        )
    return Weights("file", path, digest, preprocessing)


def _auto(wanted: str | None, progress: Progress | None) -> Weights:
    names = [name for name, provider in PROVIDERS.items() if wanted in (None, provider.digest)]
    if not names:
        raise IncompatibleError(
            f"The weights with the SHA-256 {wanted} are needed, and no known source has them. "
            "Give their file with --weights PATH."
        )
    for name in names:
        if path := find_weights(name):
            return _of_provider(name, path)
    failures = []
    for name in names:
        try:
            return _of_provider(name, fetch(name, progress=progress))
        except FeatxError as error:
            failures.append(f"  {name}: {error}")
            log.info("%s is not within reach from here.", PROVIDERS[name].place)
            log.debug("%s: %s", name, error)
    raise StorageError(
        "\n".join(
            ["VGG16's weights cannot be had:", *failures, "For a machine without a network, run"]
            + [f"  {PROVIDERS[name].by_hand}" for name in names]
            + ["on one that has it (one of them is enough), copy the file over, and here run"]
            + [f"  featx weights fetch {name} --from FILE" for name in names]
        )
    )
