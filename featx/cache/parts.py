"""Parts: files with the features of some images, which a cache is made of.

A part is a safetensors file, written atomically and never changed. A stopped run goes on from its
parts. `features` and, where layers are pooled, `pools` are the gzip chunks of the images one after
another (uint8), as an HDF5 cache keeps them; `features_ends` int64 (n, 1 + copies) says where each
chunk ends, and `features_checks` uint8 (n, 32) is the SHA-256 of each image's chunks; so for pools.
`digests` uint8 (n, 32) and `sizes` int32 (n, 2) are of the n images with features here. The account
of all images of the part is in `listed_digests`, `listed_sizes` and `listed_keys`, see
`account.Account`. The metadata has the fingerprint, the rest of the account, and the SHA-256 of all
but the chunks.
"""

import contextlib
import hashlib
import itertools
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import CorruptError, printable
from ..network.activations import Activations
from ..network.fingerprint import Fingerprint
from ..storage import files
from ..storage.tensors import save_tensors, tensor_errors
from .account import Account
from .contents import Contents, as_bytes
from .structure import PART_NAME, ROW_BITS, datasets_of

__all__ = ["FOLDER", "Part", "PartReader", "Parts", "Place", "encode_part", "is_folder"]

_FORMAT = "2"
_GZIP = 1
_LISTED = "listed_"
_MOST_OPEN = 4
_NO_POOLS = (1, 0)

#: How the name of a cache ends that is a folder.
FOLDER = ".d"


def is_folder(out: Path) -> bool:
    """Tell whether the cache of this name is a folder of parts, and no HDF5 file."""
    return out.name.endswith(FOLDER)


class Place(NamedTuple):
    """Where the features of an image are: a part, and its row there."""

    part: int
    row: int

    @classmethod
    def of(cls, number: int) -> "Place":
        """Return the place that a number of `Contents.places` means."""
        return cls(*divmod(number, 1 << ROW_BITS))


def encode_part(
    found: Activations,
    digests: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    fingerprint: Fingerprint,
    account: Account | None = None,
) -> bytes:
    """Return a part as the bytes of its file.

    Parameters
    ----------
    found : Activations
        Of n images with their copies.
    digests : sequence of str
        SHA-256 of each image's file.
    sizes : sequence of (width, height)
    fingerprint : Fingerprint
    account : Account, optional
        Of all images that the part is about, where it is part of an extraction.
    """
    large: dict[str, np.ndarray] = {}
    small: dict[str, np.ndarray] = {
        "digests": as_bytes(digests),
        "sizes": np.array(sizes, np.int32).reshape(-1, 2),
    }
    for name in datasets_of(fingerprint):
        chunks = [[zlib.compress(copy.tobytes(), _GZIP) for copy in image]
                  for image in getattr(found, name)]  # fmt: skip
        lengths = np.array([[len(chunk) for chunk in image] for image in chunks], np.int64)
        ends = lengths.reshape(-1).cumsum().reshape(len(digests), 1 + fingerprint.copies)
        joined = [b"".join(image) for image in chunks]
        large[name] = np.frombuffer(b"".join(joined), np.uint8)
        checks = b"".join(hashlib.sha256(image).digest() for image in joined)
        small[f"{name}_ends"] = ends
        small[f"{name}_checks"] = np.frombuffer(checks, np.uint8).reshape(-1, 32)
    about = {"format": _FORMAT, "fingerprint": fingerprint.as_json()}
    if account is not None:
        small |= {f"{_LISTED}{name}": array for name, array in account.arrays.items()}
        about["account"] = account.as_json()
    return save_tensors({**large, **small}, {**about, "sha256": _seal(small, about)})


def _seal(small: Mapping[str, np.ndarray], about: Mapping[str, str]) -> str:
    """Return the SHA-256 of all of a part but its chunks."""
    found = hashlib.sha256()
    for name in sorted(small):
        found.update(name.encode() + small[name].tobytes())
    for name in sorted(about):
        found.update(f"{name} {about[name]}".encode())
    return found.hexdigest()


class Part:
    """A part that is open for reading; all but its chunks is read and checked at once.

    Raises
    ------
    CorruptError
        When it is damaged.

    Attributes
    ----------
    path : Path
    fingerprint : Fingerprint
    digests : ndarray of uint8, shape (n, 32)
    sizes : ndarray of int32, shape (n, 2)
    account : Account or None
    seal : str
        SHA-256 of all but the chunks, which their own checks are in.
    """

    def __init__(self, path: Path) -> None:
        from safetensors import safe_open

        self.path = path
        with _reading(path):
            if not path.is_file():  # reading from a pipe would wait for ever
                raise ValueError("there is no such file" if not path.exists() else "it is no file")
            self._file: Any = safe_open(path, framework="numpy")
            about = dict(self._file.metadata() or {})
            self.seal = about.pop("sha256", "")
            if about.get("format") != _FORMAT:
                raise ValueError("an earlier featx wrote it, or it is no part")
            names = set(self._file.keys())
            self.fingerprint = Fingerprint.from_json(about["fingerprint"])
            self._kinds = datasets_of(self.fingerprint)
            if not self._kinds.keys() <= names:
                raise ValueError("it lacks features")
            small = {name: self._file.get_tensor(name) for name in names - self._kinds.keys()}
            if _seal(small, about) != self.seal:
                raise ValueError("its SHA-256 is another")
            self.digests, self.sizes = small["digests"], small["sizes"]
            self._ends = {name: small[f"{name}_ends"] for name in self._kinds}
            self._checks = {name: small[f"{name}_checks"] for name in self._kinds}
            listed = {
                name.removeprefix(_LISTED): array
                for name, array in small.items()
                if name.startswith(_LISTED)
            }
            self.account = Account.from_parts(listed, about["account"]) if listed else None

    def __len__(self) -> int:
        return len(self.digests)

    def chunks(self, row: int, names: Collection[str] | None = None) -> list[bytes]:
        """Return the compressed features, then pools, of each copy of an image.

        Parameters
        ----------
        row : int
        names : collection of str, optional
            Which of them; all by default.

        Raises
        ------
        CorruptError
            When they are not those that were written.
        """
        found: list[bytes] = []
        with _reading(self.path):
            for name in self._kinds:
                if names is not None and name not in names:
                    continue
                ends = self._ends[name].reshape(-1)
                each = self._ends[name].shape[1]
                cuts = [0 if not row else ends[row * each - 1], *ends[row * each :][:each]]
                data = self._file.get_slice(name)[cuts[0] : cuts[-1]].tobytes()
                if hashlib.sha256(data).digest() != self._checks[name][row].tobytes():
                    raise ValueError("features are not those that were written")
                inside = [cut - cuts[0] for cut in cuts]
                found += [data[a:b] for a, b in itertools.pairwise(inside)]
        return found

    def rows(self, rows: Sequence[int], name: str, each: int | None = None) -> np.ndarray:
        """Return the features, or the pools, of some images: (rows, each, …)."""
        shape, dtype = self._kinds[name]
        found = np.empty((len(rows), each or shape[0], *shape[1:]), dtype)
        for at, row in enumerate(rows):
            chunks = self.chunks(row, (name,))
            with _reading(self.path):
                for copy, chunk in enumerate(chunks[: len(found[at])]):
                    # No more than there should be: a chunk can claim gigabytes.
                    data = zlib.decompressobj().decompress(chunk, found[at, copy].nbytes)
                    found[at, copy] = np.frombuffer(data, dtype).reshape(shape[1:])
        return found


class Parts:
    """The folder of parts of a cache.

    Parameters
    ----------
    out : Path
        The cache. The parts of an HDF5 file are in ``<out>.parts`` until it is written; those of a
        folder are in it and stay there.
    sealed : collection of str
        Names of parts that belong to the cache as it is; they are passed over here.
    """

    def __init__(self, out: Path, sealed: Collection[str] = ()) -> None:
        self.folder = out / "parts" if is_folder(out) else out.with_name(out.name + ".parts")
        self._sealed = frozenset(sealed)

    def paths(self) -> list[Path]:
        """Return the files of the parts that a run has left, in the order of their names."""
        found = self.folder.glob("*.safetensors")
        return sorted(path for path in found if path.name not in self._sealed)

    def whole(self) -> Iterator[tuple[int, Part]]:
        """Yield each part with its number in `paths`.

        Raises
        ------
        CorruptError
            When one is damaged; the message says what to do.
        """
        for number, path in enumerate(self.paths()):
            yield number, Part(path)

    def fingerprint(self) -> Fingerprint | None:
        """Return the fingerprint of the parts, or None when there are none."""
        return next((part.fingerprint for _, part in self.whole()), None)

    def contents(self) -> Contents:
        """Return where each content is; its places are those of `Place`, with parts by `paths`."""
        digests, sizes, counts = bytearray(), bytearray(), [0]
        for _, part in self.whole():
            digests += part.digests.tobytes()
            sizes += part.sizes.tobytes()
            counts.append(len(part))
        ends = np.cumsum(counts)
        part_of = np.repeat(np.arange(len(counts) - 1, dtype=np.int64), counts[1:])
        places = (part_of << ROW_BITS) + np.arange(ends[-1]) - ends[part_of]
        return Contents(
            np.frombuffer(digests, np.uint8).reshape(-1, 32),
            places,
            np.frombuffer(sizes, np.int32).reshape(-1, 2),
        )

    def write(
        self,
        found: Activations,
        digests: Sequence[str],
        sizes: Sequence[tuple[int, int]],
        fingerprint: Fingerprint,
    ) -> None:
        """Write one more part, atomically; see `encode_part`."""
        numbers = [int(path.stem[-8:]) for path in self.paths() if PART_NAME.fullmatch(path.name)]
        data = encode_part(found, digests, sizes, fingerprint)
        files.make_folder(self.folder)
        files.write_bytes(self.folder / f"{max(numbers, default=-1) + 1:08d}.safetensors", data)

    def remove(self) -> None:
        """Delete all that is in the folder but parts that belong to the cache."""
        if not self._sealed:
            files.remove_folder(self.folder)
            return
        for path in sorted(self.folder.iterdir()):
            if path.name not in self._sealed:
                files.remove(path)

    def check(self, path: Path) -> None:
        """Read all of a part and compare each row with its SHA-256.

        Raises
        ------
        CorruptError
            When a row has changed since it was written.
        """
        part = Part(path)
        for row in range(len(part)):
            part.chunks(row)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what reading a damaged part raises into a `CorruptError`."""
    try:
        with tensor_errors():
            yield
    except (OSError, LookupError, ValueError, TypeError, AttributeError, zlib.error) as error:
        raise CorruptError(
            f"{printable(path)} is damaged: {error}. Delete it and run again."
        ) from error


class PartReader:
    """A reader of single images that keeps some parts open, because rows mostly follow parts.

    Parameters
    ----------
    paths : sequence of Path
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._open: dict[int, Part] = {}

    def part(self, number: int) -> Part:
        """Return a part by its number in `paths`."""
        part = self._open.pop(number, None) or self._opened(number)
        self._open[number] = part
        while len(self._open) > _MOST_OPEN:
            self._open.pop(next(iter(self._open)))
        return part

    def _opened(self, number: int) -> Part:
        return Part(self._paths[number])

    def chunks(self, place: Place) -> list[bytes]:
        """Return the chunks of an image; see `Part.chunks`."""
        return self.part(place.part).chunks(place.row)

    def activations(self, place: Place) -> Activations:
        """Return the features and pools of one image with its copies; see `Activations`."""
        part = self.part(place.part)
        kinds = datasets_of(part.fingerprint)
        found = {name: part.rows([place.row], name)[0] for name in kinds}
        each = 1 + part.fingerprint.copies
        height, width = part.fingerprint.trunk.shape[:2]
        return Activations(
            found.get("features", np.empty((each, height, width, 0), np.float16)),
            found.get("pools", np.empty((each, *_NO_POOLS), np.float16)),
            found.get("cut_pools"),
        )
