"""Parts: files with the features of some images, written while a cache is being made.

A part is a safetensors file, written atomically and never changed. A stopped run goes on from its
parts, which are removed once the cache is written. Its tensors are `features` (n, 1 + copies,
*cut), where layers are pooled `pools` (n, 1 + copies, passes, columns), `digests` uint8 (n, 32) of
the images' files, `sizes` int32 (n, 2) with width and height, and `checks` uint8 (n, 32), the
SHA-256 of each image's features and pools. The metadata has the fingerprint, and the SHA-256 of the
last three.
"""

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import CorruptError, printable
from ..network.activations import Activations
from ..network.fingerprint import Fingerprint
from ..storage import files
from ..storage.tensors import save_tensors, tensor_errors

__all__ = ["PartReader", "Parts", "Place"]


class Place(NamedTuple):
    """The place of an image's features: part and row, size of the image in pixels, SHA-256."""

    path: Path
    row: int
    width: int
    height: int
    check: bytes


_SMALL = ("digests", "sizes", "checks")


class Parts:
    """The folder of parts beside a cache file that is being made.

    Parameters
    ----------
    out : Path
        The cache file; the folder of its parts is ``<out>.parts``.
    """

    def __init__(self, out: Path) -> None:
        self.folder = out.with_name(out.name + ".parts")

    def fingerprint(self) -> Fingerprint | None:
        """Return the fingerprint of the parts, or None when there are none."""
        for path in self.paths():
            with _reading(path):
                return Fingerprint.from_json(_opened(path).metadata()["fingerprint"])
        return None

    def index(self) -> dict[str, Place]:
        """Return the place of each image by its digest."""
        found = {}
        for path in self.paths():
            found.update(self.places(path))
        return found

    def places(self, path: Path) -> dict[str, Place]:
        """Return the places of the images of one part by their digests."""
        with _reading(path):
            part = _opened(path)
            Fingerprint.from_json(part.metadata()["fingerprint"])
            small = {name: part.get_tensor(name) for name in _SMALL}
            if part.metadata()["sha256"] != _digest(small):
                raise ValueError("its SHA-256 is another")
        found = {}
        for row, (digest, size) in enumerate(zip(small["digests"], small["sizes"], strict=True)):
            width, height = size.tolist()
            place = Place(path, row, width, height, small["checks"][row].tobytes())
            found[digest.tobytes().hex()] = place
        return found

    def write(
        self,
        found: Activations,
        digests: Sequence[str],
        sizes: Sequence[tuple[int, int]],
        fingerprint: Fingerprint,
    ) -> None:
        """Write one more part, atomically.

        Parameters
        ----------
        found : Activations
            Of n images with their copies.
        digests : sequence of str
            SHA-256 of each image's file.
        sizes : sequence of (width, height)
        fingerprint : Fingerprint
        """
        large = {"features": np.ascontiguousarray(found.features)}
        if fingerprint.layers:
            large["pools"] = np.ascontiguousarray(found.pools)
        small = {
            "digests": _bytes(map(bytes.fromhex, digests)),
            "sizes": np.array(sizes, np.int32),
            "checks": _bytes(map(_check, zip(*large.values(), strict=True))),
        }
        last = self.paths()[-1:]
        number = int(last[0].stem) + 1 if last else 0
        about = {"fingerprint": fingerprint.as_json(), "sha256": _digest(small)}
        data = save_tensors({**large, **small}, about)
        files.make_folder(self.folder)
        files.write_bytes(self.folder / f"{number:08d}.safetensors", data)

    def remove(self) -> None:
        """Delete the folder."""
        files.remove_folder(self.folder)

    def paths(self) -> list[Path]:
        """Return the files of the parts, in the order in which they were written."""
        return sorted(self.folder.glob("*.safetensors"))

    def check(self, path: Path) -> None:
        """Read all of a part and compare each row with its SHA-256.

        Raises
        ------
        CorruptError
            When a row has changed since it was written.
        """
        reader = PartReader()
        for place in self.places(path).values():
            reader.activations(place)


def _bytes(rows: Iterable[bytes]) -> np.ndarray:
    return np.array([list(row) for row in rows], np.uint8)


def _check(arrays: Iterable[np.ndarray]) -> bytes:
    """Return the SHA-256 of an image's arrays."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(array.data)
    return found.digest()


def _digest(small: Mapping[str, np.ndarray]) -> str:
    return files.digest(b"".join(small[name].tobytes() for name in _SMALL))


def _damaged(path: Path, reason: object) -> CorruptError:
    return CorruptError(f"{printable(path)} is damaged: {reason}. Delete it and run again.")


def _opened(path: Path) -> Any:
    from safetensors import safe_open

    return safe_open(path, framework="numpy")


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what reading a damaged part raises into a `CorruptError`."""
    try:
        with tensor_errors():
            yield
    except (OSError, LookupError, ValueError, TypeError) as error:
        raise _damaged(path, error) from error


class PartReader:
    """A reader of single images that keeps the last part open, because rows mostly follow parts."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._slices: list[Any] = []

    def activations(self, place: Place) -> Activations:
        """Return the features and pools of one image with its copies; see `Activations`."""
        with _reading(place.path):
            if place.path != self._path:
                part = _opened(place.path)
                names = [name for name in ("features", "pools") if name in part.keys()]  # noqa: SIM118
                self._slices = [part.get_slice(name) for name in names]
                self._path = place.path
            found = [some[place.row : place.row + 1][0] for some in self._slices]
            if _check(found) != place.check:
                raise ValueError("features are not those that were written")
        features, *pools = found
        return Activations(features, *(pools or [np.empty((len(features), 1, 0), np.float16)]))
