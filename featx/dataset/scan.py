"""Folders, manifests and paths → a catalog."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import InputError, printable
from .catalog import SPLITS, Catalog, Entry, build_catalog
from .manifest import SUFFIXES, read_manifest

__all__ = ["EXTENSIONS", "Source", "as_catalog", "from_paths", "scan"]

#: File name extensions that make a file a listed image, in lower case. HEIC and AVIF cannot be
#: decoded; they are listed all the same, so that they are reported and not overlooked.
EXTENSIONS = frozenset(
    f".{name}"
    for name in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "dib", "gif", "tif", "tiff"),
        *("heic", "heif", "avif"),
    )
)

#: What images are taken from.
Source = str | os.PathLike[str] | Catalog | Iterable[str | os.PathLike[str]]


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
    elif len(files) == 1 and root.suffix.lower() in SUFFIXES:
        entries = list(read_manifest(root, allow_outside))
        root = root.parent
    else:
        root = Path()
        entries = [Entry(_listed_file(file)) for file in files]
    return build_catalog(root, entries, ignored)


def as_catalog(source: Source, *, labelled: bool = True) -> Catalog:
    """Return the images of a source: a `Catalog` unchanged, anything else by `scan`."""
    if isinstance(source, Catalog):
        return source
    sources = [source] if isinstance(source, str | os.PathLike) else source
    return scan(*sources, labelled=labelled)


def from_paths(paths: Iterable[str]) -> Catalog:
    """Return a catalog of the paths of a list, as they are given; no file is looked at.

    Raises
    ------
    InputError
        When there is none, or one is listed twice.
    """
    entries = [Entry(path) for path in paths]
    if not entries:
        raise InputError("The list of images is empty. Expected a path for each image.")
    return build_catalog(Path(), entries, 0)


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


def _from_path(path: str, layout: str) -> Entry:
    parts = path.split(os.sep)
    if layout == "classes":
        return Entry(path, label=parts[0])
    if layout == "splits":
        label = parts[1] if len(parts) > 2 else None
        return Entry(path, label=label, split=SPLITS[parts[0].lower()])
    return Entry(path)


def _listed_file(file: Path) -> str:
    if file.is_dir() or not _is_image(file.name):
        raise InputError(
            f"{printable(file)} is not an image. Give one folder, one manifest (.csv or .jsonl), "
            "or only images."
        )
    return str(file)
