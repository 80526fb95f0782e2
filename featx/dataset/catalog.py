"""The ordered list of images: path, label, split, group. No pixels."""

import itertools
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError, printable
from ..showing.display import Display, Part
from ..showing.words import number_of, shortened

if TYPE_CHECKING:
    from .stores import Store

__all__ = ["NO_LABEL", "SPLITS", "Catalog", "Entry", "build_catalog", "split_of"]

#: Words that mean a split, in names of folders, values of a manifest and options.
SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}

#: What may stand beside such a word in a folder's name: seg_train, train_images, Test-Set, val2017.
_BESIDE = frozenset(("set", "sets", "data", "dataset", "image", "images", "img", "imgs", "seg",
                     "photos", "pictures", "split", "folder", "dir"))  # fmt: skip

#: The label of an image that has none.
NO_LABEL = -1


def split_of(name: str) -> str | None:
    """Return the split that a name means, "train", "val" or "test"; None when it means none.

    Examples
    --------
    >>> split_of("Training"), split_of("seg_test"), split_of("val2017"), split_of("trainer")
    ('train', 'test', 'val', None)
    """
    words = re.findall(r"[^\W\d_]+", name.lower())
    found = [word for word in words if word in SPLITS]
    beside = [word for word in words if word not in SPLITS]
    return SPLITS[found[0]] if len(found) == 1 and _BESIDE.issuperset(beside) else None


@dataclass(frozen=True, eq=False, repr=False)
class Catalog(Display):
    """Images in the order of the bytes of their paths.

    Attributes
    ----------
    root : Path
        What the paths are relative to.
    paths : ndarray of str, shape (n,)
        Relative paths. Bytes that are not UTF-8 are kept as `os.fsdecode` keeps them.
    labels : ndarray of int32, shape (n,)
        Index into `classes`; `NO_LABEL` where there is none.
    splits : ndarray of str, shape (n,)
        ``"train"``, ``"val"``, ``"test"``, or ``""`` when the images are not split.
    groups : ndarray of str, shape (n,)
        Images of one group never stand on both sides of a split; ``""`` is no group.
    classes : tuple of str
        Sorted class names. They never depend on the order in which files were found.
    ignored : int
        Files that were passed over because their extension is not an image's.
    contents : ndarray of object, shape (n,), optional
        For images that are in memory: bytes, one of Pillow's images, or an array; their paths are
        names only. None where an image is a file, and in place of the array where all are.
    store : Store, optional
        What gives the bytes of images that are no files: members of an archive, rows of a Parquet
        file, objects on a network. None where all images are files below the root.
    """

    root: Path
    paths: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    groups: np.ndarray
    classes: tuple[str, ...]
    ignored: int = 0
    contents: np.ndarray | None = None
    store: "Store | None" = None

    def __len__(self) -> int:
        return len(self.paths)

    def _line(self) -> str:
        images = number_of(len(self), "image")
        classes = f" of {number_of(len(self.classes), 'class', 'classes')}" if self.classes else ""
        return f"{images}{classes} in {printable(self.root)}"

    def _parts(self) -> Iterable[Part]:
        yield {
            "classes": shortened(self.class_counts()) or "none: the images have no labels",
            "without a label": int((self.labels == NO_LABEL).sum()) or "",
            "splits": shortened(self.split_counts()),
            "groups": len(set(self.groups.tolist()) - {""}) or "",
            "files passed over": self.ignored or "",
        }

    def file(self, index: int) -> Path:
        """Return the path of image `index`, with the root."""
        return self.root / self.path(index)

    def content(self, index: int) -> Any:
        """Return what image `index` is where it is in memory, and None where it is a file."""
        return None if self.contents is None else self.contents[index]

    def path(self, index: int) -> str:
        """Return the path of image `index`, relative to the root."""
        return str(self.paths[index])

    def block(self, start: int, stop: int) -> "Catalog":
        """Return the images from `start` to before `stop`, with the same classes, in memory."""
        return self._some(slice(start, stop))

    def blocks(self, size: int) -> Iterator["Catalog"]:
        """Yield all images in catalogs of `size` images, the last of which may have fewer."""
        for start in range(0, len(self), size):
            yield self.block(start, start + size)

    def take(self, indices: np.ndarray) -> "Catalog":
        """Return a catalog of the images at `indices`, with the same classes."""
        return self._some(indices)

    def _some(self, at: np.ndarray | slice) -> "Catalog":
        return replace(
            self,
            paths=self.paths[at],
            labels=self.labels[at],
            splits=self.splits[at],
            groups=self.groups[at],
            ignored=0,
            contents=None if self.contents is None else self.contents[at],
        )

    @property
    def test_split(self) -> str:
        """The split to test on: "test", else "val", else "" when there is neither."""
        return next((split for split in ("test", "val") if split in self.splits), "")

    def class_counts(self) -> dict[str, int]:
        """Return the number of images of each class, in the order of `classes`."""
        counts = Counter(self.labels.tolist())
        return {name: counts[index] for index, name in enumerate(self.classes)}

    def split_counts(self) -> dict[str, int]:
        """Return the number of images of each split that there is."""
        counts = Counter(self.splits.tolist())
        return {name: counts[name] for name in ("train", "val", "test") if counts[name]}

    def labels_for(self, classes: Sequence[str], images: np.ndarray | None = None) -> np.ndarray:
        """Return labels as indices into the classes of a model.

        Parameters
        ----------
        classes : sequence of str
            Class names of the model.
        images : ndarray of int, optional
            Which images; all by default.

        Returns
        -------
        ndarray of int32, shape (n,)
            `NO_LABEL` where an image has no label, or a class that the model does not know.
        """
        labels = self.labels if images is None else self.labels[images]
        index = {name: label for label, name in enumerate(classes)}
        known = [*(index.get(name, NO_LABEL) for name in self.classes), NO_LABEL]
        return np.array(known, np.int32)[labels]


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of a catalog that is being built; None where a value is missing.

    `content` is the image itself where it is in memory, see `Catalog`.
    """

    path: str
    label: str | None = None
    split: str | None = None
    group: str | None = None
    content: Any = None


def build_catalog(
    root: Path, entries: Sequence[Entry], ignored: int = 0, store: "Store | None" = None
) -> Catalog:
    """Return a catalog of images in the order of the bytes of their paths.

    Raises
    ------
    InputError
        When an image is listed twice, or some have a split and others have none.
    """
    entries = sorted(entries, key=lambda entry: os.fsencode(entry.path))
    for one, two in itertools.pairwise(entries):
        if one.path == two.path:
            raise InputError(f"{printable(one.path)} is listed twice. List every image once.")
    classes = tuple(sorted({entry.label for entry in entries if entry.label is not None}))
    index = {name: label for label, name in enumerate(classes)}
    splits = [entry.split or "" for entry in entries]
    if any(splits) and not all(splits):
        first = entries[splits.index("")].path
        raise InputError(
            f"{splits.count('')} of {len(entries)} images have no split while others have one, "
            f"for example {printable(first)}. Give every image a split, or none."
        )
    return Catalog(
        root,
        _texts(entry.path for entry in entries),
        np.array(
            [NO_LABEL if entry.label is None else index[entry.label] for entry in entries], np.int32
        ),
        _texts(splits),
        _texts(entry.group or "" for entry in entries),
        classes,
        ignored,
        _contents(entries),
        store,
    )


def _contents(entries: Sequence[Entry]) -> np.ndarray | None:
    """Return the images that are in memory; one by one, as NumPy would look into arrays."""
    if all(entry.content is None for entry in entries):
        return None
    found = np.empty(len(entries), object)
    for index, entry in enumerate(entries):
        found[index] = entry.content
    return found


def _texts(values: Iterable[str]) -> np.ndarray:
    return np.array(list(values), dtype=object)
