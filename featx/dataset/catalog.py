"""The ordered list of images: path, label, split, group. No pixels."""

import csv
import itertools
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, printable

__all__ = [
    "EXTENSIONS",
    "NO_LABEL",
    "SPLITS",
    "Catalog",
    "Source",
    "as_catalog",
    "from_paths",
    "scan",
]

#: File name extensions that make a file a listed image, in lower case. HEIC and AVIF cannot be
#: decoded; they are listed all the same, so that they are reported and not overlooked.
EXTENSIONS = frozenset(
    f".{name}"
    for name in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "dib", "gif", "tif", "tiff"),
        *("heic", "heif", "avif"),
    )
)

#: Folder names, and values of a manifest's `split` column, that mean a split.
SPLITS = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}

#: The label of an image that has none.
NO_LABEL = -1

_COLUMNS = ("path", "label", "split", "group")


@dataclass(frozen=True, eq=False)
class Catalog:
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
    """

    root: Path
    paths: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    groups: np.ndarray
    classes: tuple[str, ...]
    ignored: int = 0

    def __len__(self) -> int:
        return len(self.paths)

    def file(self, index: int) -> Path:
        """Return the path of image `index`, with the root."""
        return self.root / self.paths[index]

    def take(self, indices: np.ndarray) -> "Catalog":
        """Return a catalog of the images at `indices`, with the same classes."""
        return Catalog(
            self.root,
            self.paths[indices],
            self.labels[indices],
            self.splits[indices],
            self.groups[indices],
            self.classes,
        )

    @property
    def test_split(self) -> str:
        """The split to test on: "test", else "val", else "" when there is neither."""
        return next((split for split in ("test", "val") if split in self.splits), "")

    def class_counts(self) -> dict[str, int]:
        """Return the number of images of each class, in the order of `classes`."""
        counts = Counter(self.labels.tolist())
        return {name: counts[index] for index, name in enumerate(self.classes)}


#: What images are taken from.
Source = str | os.PathLike[str] | Catalog | Iterable[str | os.PathLike[str]]


@dataclass(frozen=True, slots=True)
class _Entry:
    """One image while a catalog is being made; None where a value is missing."""

    path: str
    label: str | None = None
    split: str | None = None
    group: str | None = None


def scan(
    *sources: str | os.PathLike[str], labelled: bool = True, allow_outside: bool = False
) -> Catalog:
    """List the images of a folder, a manifest, or one by one.

    Parameters
    ----------
    *sources : path
        One folder: with class folders, with class folders under ``train/``,
        ``val/`` (or ``valid/``, ``validation/``) and ``test/``, or flat. Or one manifest, ``.csv``
        or ``.jsonl``, with the columns ``path[,label][,split][,group]`` and paths relative to it.
        Or any number of image files.
    labelled : bool
        False takes every image of a folder, however deep, and no label from its path.
    allow_outside : bool
        Whether a manifest may name files that are not below its own folder, by ``..``, from the
        root, or through symbolic links.

    Returns
    -------
    Catalog
        Sorted by the bytes of the path. Hidden files are ignored, and folders that are symbolic
        links are not followed.

    Raises
    ------
    InputError
        When there is no such source, it has no image, or what it means cannot be told.
    """
    if not sources:
        raise InputError("No source was given. Give a folder, a manifest or images.")
    files = [Path(source) for source in sources]
    for file in files:
        if not file.exists():
            raise InputError(
                f"{printable(file)} does not exist. Expected a folder, manifest or image."
            )
    ignored = 0
    root = files[0]
    if len(files) == 1 and root.is_dir():
        found, other = _walk(root)
        ignored = len(other)
        if not found:
            raise InputError(_nothing_found(root, other))
        layout = _layout(found) if labelled else "flat"
        entries = [_from_path(path, layout) for path in found]
    elif len(files) == 1 and root.suffix.lower() in (".csv", ".jsonl"):
        entries = list(_read_manifest(root, allow_outside))
        root = root.parent
    else:
        root = Path()
        entries = [_Entry(_listed_file(file)) for file in files]
    return _build(root, entries, ignored)


def as_catalog(source: Source, *, labelled: bool = True) -> Catalog:
    """Return the images of a source: see `scan`; a catalog is what it is."""
    if isinstance(source, Catalog):
        return source
    sources = [source] if isinstance(source, str | os.PathLike) else source
    return scan(*sources, labelled=labelled)


def from_paths(paths: Iterable[str]) -> Catalog:
    """Return a catalog of paths from a list, as they are given; none is looked at.

    Raises
    ------
    InputError
        When there is none, or one is listed twice.
    """
    entries = [_Entry(path) for path in paths]
    if not entries:
        raise InputError("The list of images is empty. Expected a path for each image.")
    return _build(Path(), entries, 0)


def _build(root: Path, entries: Sequence[_Entry], ignored: int) -> Catalog:
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
    )


def _texts(values: Iterable[str]) -> np.ndarray:
    return np.array(list(values), dtype=object)


# Folders ------------------------------------------------------------------------------------


def _walk(root: Path) -> tuple[list[str], list[str]]:
    """Return the relative paths of images, and of other files, below `root`."""
    images: list[str] = []
    other: list[str] = []

    def unreadable(error: OSError) -> None:
        raise InputError(f"{printable(error.filename)} cannot be listed: {error.strerror}.")

    for folder, folders, names in os.walk(root, onerror=unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = os.path.relpath(folder, root)
        prefix = "" if below == os.curdir else os.path.join(below, "")
        for name in names:
            if not name.startswith("."):
                (images if _is_image(name) else other).append(prefix + name)
    return images, other


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in EXTENSIONS


def _nothing_found(root: Path, other: list[str]) -> str:
    known = " ".join(sorted(EXTENSIONS))
    if other:
        return (
            f"{printable(root)} has no images, only {len(other)} other files such as "
            f"{printable(min(other))}. Expected files that end in {known}."
        )
    return f"{printable(root)} is empty. Expected images: files that end in {known}."


def _layout(paths: Sequence[str]) -> str:
    """Decide what the folders mean: "flat", "classes" or "splits"."""
    parts = [path.split(os.sep) for path in paths]
    beside = [path for path, part in zip(paths, parts, strict=True) if len(part) == 1]
    if len(beside) == len(paths):
        return "flat"
    if beside:
        raise InputError(
            f"{len(beside)} images, for example {printable(beside[0])}, lie beside the folders "
            f"with the other {len(paths) - len(beside)}, so their class cannot be told. Move them "
            "into a class folder, or list the images in a manifest."
        )
    depths: dict[str, set[int]] = {}
    for part in parts:
        depths.setdefault(part[0], set()).add(len(part))
    split_like = {name for name in depths if name.lower() in SPLITS and max(depths[name]) > 2}
    if not split_like:
        return "classes"
    strangers = sorted(name for name in depths if name.lower() not in SPLITS)
    if strangers:
        raise InputError(
            f"The folder {printable(min(split_like))!r} looks like a split, but beside it is "
            f"{printable(strangers[0])!r}, which does not. Keep only train, val and test folders "
            "there, or list the images in a manifest."
        )
    return "splits"


def _from_path(path: str, layout: str) -> _Entry:
    parts = path.split(os.sep)
    if layout == "classes":
        return _Entry(path, label=parts[0])
    if layout == "splits":
        label = parts[1] if len(parts) > 2 else None
        return _Entry(path, label=label, split=SPLITS[parts[0].lower()])
    return _Entry(path)


def _listed_file(file: Path) -> str:
    if file.is_dir() or not _is_image(file.name):
        raise InputError(
            f"{printable(file)} is not an image. Give one folder, one manifest (.csv or .jsonl), "
            "or only images."
        )
    return str(file)


# Manifests ----------------------------------------------------------------------------------


def _read_manifest(file: Path, allow_outside: bool) -> Iterator[_Entry]:
    """Yield the entries of a CSV or JSONL manifest."""
    rows = _csv_rows if file.suffix.lower() == ".csv" else _jsonl_rows
    seen: dict[str, int] = {}
    root = os.path.realpath(file.parent)
    with file.open("rb") as start:
        if start.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            raise InputError(f"{printable(file)}, line 1: this is UTF-16. Save the file as UTF-8.")
    for line, row in rows(file):
        where = f"{printable(file)}, line {line}"
        unknown = [str(name) for name in row if name not in _COLUMNS]
        if unknown:
            raise InputError(
                f"{where}: unknown column {printable(unknown[0])!r}. Expected "
                f"{', '.join(_COLUMNS)}."
            )
        bad = [name for name, value in row.items() if not isinstance(value, str | None)]
        if bad:
            raise InputError(f"{where}: {bad[0]} is {row[bad[0]]!r}. Expected text.")
        strange = [name for name in _COLUMNS[1:] if not _is_utf8(row.get(name) or "")]
        if strange:
            raise InputError(f"{where}: {strange[0]} is not UTF-8. Save the file as UTF-8.")
        path = row.get("path")
        if not path or "\0" in path:
            raise InputError(f"{where}: there is no path. Every image needs one.")
        path = os.path.normpath(path)
        if path in seen:
            raise InputError(f"{where}: {printable(path)} stands on line {seen[path]} already.")
        if not allow_outside and not _is_below(os.path.join(file.parent, path), root):
            raise InputError(
                f"{where}: {printable(path)} is outside the folder of the manifest. If that is "
                "meant, add --allow-outside."
            )
        seen[path] = line
        split = row.get("split") or None
        if split and split.lower() not in SPLITS:
            raise InputError(
                f"{where}: unknown split {printable(split)!r}. Expected train, val or test."
            )
        yield _Entry(
            path,
            row.get("label") or None,
            SPLITS[split.lower()] if split else None,
            row.get("group") or None,
        )
    if not seen:
        raise InputError(f"{printable(file)} lists no images.")


def _is_utf8(text: str) -> bool:
    return not any("\udc80" <= character <= "\udcff" for character in text)


def _is_below(path: str, root: str) -> bool:
    return os.path.realpath(path).startswith(os.path.join(root, ""))


def _csv_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with file.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as text:
        reader = csv.DictReader(text, restkey="(beyond the header)", strict=True)
        if "path" not in (reader.fieldnames or ()):
            raise InputError(
                f"{printable(file)}: the first line must name the columns, with 'path' among them; "
                f"it reads {printable(','.join(reader.fieldnames or ()))!r}."
            )
        try:
            for row in reader:
                yield reader.line_num, row
        except csv.Error as error:
            raise InputError(f"{printable(file)}, line {reader.line_num}: {error}.") from error


def _jsonl_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with file.open(encoding="utf-8-sig", errors="surrogateescape") as text:
        for line, content in enumerate(text, start=1):
            if not content.strip():
                continue
            try:
                row = json.loads(content)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{printable(file)}, line {line}: not JSON: {error}.") from error
            if not isinstance(row, dict):
                raise InputError(f"{printable(file)}, line {line}: expected an object, {{...}}.")
            yield line, row
