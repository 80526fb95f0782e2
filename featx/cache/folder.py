"""A cache that is a folder: a file of images, and sealed parts with their features.

``features.d/images.h5`` says which images there are and in which row of which part their features
are, see `structure`; ``features.d/parts`` has the parts. A part is never changed, so what a change
costs does not grow with the features: it writes new parts, and then another file of images in the
place of the one before. What is read of a part is compared with its SHA-256 then and not before.
"""

import functools
import logging
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from ..errors import CorruptError, printable
from ..network.fingerprint import Fingerprint
from ..storage.kinds import IMAGES
from .parts import Part, PartReader, Place
from .structure import ROW_BITS, datasets_of

__all__ = ["FolderRows", "PartsDataset", "images_file"]

log = logging.getLogger("featx")


def images_file(path: Path) -> Path:
    """Return the HDF5 file of a cache: itself, or the one in its folder."""
    return path / IMAGES if path.is_dir() else path


class _SealedReader(PartReader):
    """A reader of parts that are those which the file of images records."""

    def __init__(self, paths: Sequence[Path], seals: Sequence[str], made: Fingerprint) -> None:
        super().__init__(paths)
        self._seals = seals
        self._made = made

    def _opened(self, number: int) -> Part:
        if not self._paths[number].exists():
            raise CorruptError(
                f"{printable(self._paths[number])} is not there. If the cache was changed since it "
                "was opened (--prune, --overwrite), open it again; else extract again, which "
                "computes the images of that part anew."
            )
        part = super()._opened(number)
        if part.seal != self._seals[number] or part.fingerprint != self._made:
            raise CorruptError(f"{printable(part.path)} is not the part that belongs to the cache.")
        return part


class FolderRows:
    """The features of the images of a folder, by their rows.

    Parameters
    ----------
    folder : Path
        Of the parts.
    file : h5py.File
        The file of images, checked.
    made : Fingerprint

    Attributes
    ----------
    names, seals : list of str
        Of the parts.
    """

    def __init__(self, folder: Path, file: h5py.File, made: Fingerprint) -> None:
        self.names = [name.decode("ascii") for name in file["parts/name"][()].tolist()]
        self.seals = [seal.decode("ascii") for seal in file["parts/seal"][()].tolist()]
        paths = self._paths = [folder / name for name in self.names]
        self._folder = folder
        self._reader = _SealedReader(paths, self.seals, made)
        groups = [name for name in ("images", "removed") if name in file]
        self._parts = np.concatenate([file[f"{name}/part"][()] for name in groups])
        self._rows = np.concatenate([file[f"{name}/row"][()] for name in groups])

    def __len__(self) -> int:
        return len(self._parts)

    @property
    def places(self) -> np.ndarray:
        """The place of each row as a number, see `parts.Place`; int64 (n,)."""
        return (self._parts.astype(np.int64) << ROW_BITS) + self._rows

    @functools.cached_property
    def is_there(self) -> np.ndarray:
        """Which rows have a part whose file is there, bool (n,); its content is not looked at."""
        there = np.array([path.is_file() for path in self._paths], bool)
        if not there.all():
            log.warning(
                "%d parts of %s are missing. The features of their images are computed again.",
                (~there).sum(), printable(self._folder),
            )  # fmt: skip
        return there[self._parts]

    def part(self, number: int) -> Part:
        """Return a part by its number."""
        return self._reader.part(number)

    def chunks(self, row: int) -> list[bytes]:
        """Return the chunks of an image; see `parts.Part.chunks`."""
        return self._reader.chunks(Place(int(self._parts[row]), int(self._rows[row])))

    def read(self, rows: np.ndarray, name: str, each: int) -> np.ndarray:
        """Return the features or the pools of some images with copies: (rows, each, …)."""
        found = []
        parts = self._parts[rows]
        runs = np.split(np.arange(len(rows)), np.flatnonzero(np.diff(parts)) + 1)
        for run in runs:  # rows of one part after another
            part = self.part(int(parts[run[0]]))
            found.append(part.rows(self._rows[rows[run]].tolist(), name, each))
        return np.concatenate(found)


class PartsDataset:
    """Features or pools in parts, which are sliced as an HDF5 dataset is.

    Attributes
    ----------
    shape : tuple of int
        (images with removed ones, 1 + copies, …).
    dtype : numpy dtype
    """

    def __init__(self, rows: FolderRows, name: str, made: Fingerprint) -> None:
        self._rows = rows
        self._name = name
        shape, dtype = datasets_of(made)[name]
        self.shape = (len(rows), *shape)
        self.ndim = len(self.shape)
        self.dtype = np.dtype(dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, wanted: object) -> np.ndarray:
        """Return rows, or copies of rows: an integer, a slice or an array for either."""
        every = slice(None)
        given = wanted if isinstance(wanted, tuple) else (wanted,)
        rows, copies = (*(every if one is Ellipsis else one for one in given), every, every)[:2]
        chosen = np.arange(len(self))[rows]
        last = np.arange(self.shape[1])[copies]
        each = int(np.max(last, initial=0)) + 1
        flat = np.atleast_1d(chosen)
        if not len(flat):
            return np.empty((0, *np.atleast_1d(last).shape, *self.shape[2:]), self.dtype)
        found = self._rows.read(flat, self._name, each)[:, copies]
        return found if np.ndim(chosen) else found[0]
