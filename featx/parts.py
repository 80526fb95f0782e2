"""Parts: files with the features of some pictures, written while a cache is being made.

A part is a safetensors file, written atomically and never changed. A stopped run goes on from its
parts; they are removed when the cache stands. Tensors: `features` (n, 1 + copies, *cut), `digests`
uint8 (n, 32), `sizes` int32 (n, 2) with width and height; the fingerprint is in the metadata.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import files
from .errors import CorruptError, InputError, shown
from .fingerprint import Fingerprint

__all__ = ["PartReader", "Parts", "Place"]


class Place(NamedTuple):
    """Where a picture's features are, and the size of the upright original in pixels."""

    path: Path
    row: int
    width: int
    height: int


class Parts:
    """The folder of parts beside a cache file that is being made.

    Parameters
    ----------
    out : Path
        The cache file; the parts lie in ``<out>.parts``.
    """

    def __init__(self, out: Path) -> None:
        self.folder = out.with_name(out.name + ".parts")

    def fingerprint(self) -> Fingerprint | None:
        """Return the fingerprint of the parts that are there, or None."""
        for path in self._paths():
            return _part_fingerprint(path)
        return None

    def index(self) -> dict[str, Place]:
        """Return where each picture is, by its digest."""
        found = {}
        for path in self._paths():
            with _part(path) as part:
                digests = part.get_tensor("digests")
                sizes = part.get_tensor("sizes")
            for row, (digest, size) in enumerate(zip(digests, sizes, strict=True)):
                found[digest.tobytes().hex()] = Place(path, row, *size.tolist())
        return found

    def write(
        self,
        features: np.ndarray,
        digests: Sequence[str],
        sizes: Sequence[tuple[int, int]],
        fingerprint: Fingerprint,
    ) -> None:
        """Write one more part, atomically.

        Parameters
        ----------
        features : ndarray, shape (n, 1 + copies, *cut)
        digests : sequence of str
            SHA-256 of each picture's file.
        sizes : sequence of (width, height)
        fingerprint : Fingerprint
        """
        from safetensors.numpy import save

        tensors = {
            "features": np.ascontiguousarray(features),
            "digests": np.array([list(bytes.fromhex(digest)) for digest in digests], np.uint8),
            "sizes": np.array(sizes, np.int32),
        }
        last = self._paths()[-1:]
        number = int(last[0].stem) + 1 if last else 0
        data = save(tensors, {"fingerprint": fingerprint.as_json()})
        files.make_folder(self.folder)
        files.write_bytes(self.folder / f"{number:08d}.safetensors", data)

    def remove(self) -> None:
        """Delete the folder."""
        files.remove_folder(self.folder)

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("*.safetensors"))


def _part(path: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(path, framework="numpy")
    except (SafetensorError, OSError) as error:
        raise CorruptError(
            f"{shown(path)} is damaged ({error}). Delete it and run again."
        ) from error


def _part_fingerprint(path: Path) -> Fingerprint:
    with _part(path) as part:
        metadata = part.metadata() or {}
    try:
        return Fingerprint.from_json(metadata["fingerprint"])
    except (KeyError, TypeError, ValueError, InputError) as error:
        raise CorruptError(f"{shown(path)} is not a part of a featx cache. Delete it.") from error


class PartReader:
    """Reads single pictures from parts, holding the last part open: rows mostly follow parts."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._features: Any = None

    def features(self, place: Place) -> np.ndarray:
        """Return the features of one picture, shape (1 + copies, height, width, channels)."""
        if place.path != self._path:
            self._features = _part(place.path).get_slice("features")
            self._path = place.path
        return self._features[place.row : place.row + 1][0]
