"""Files that are listed, and what a catalog says of them."""

from pathlib import Path

from featx.dataset.catalog import Catalog


def touch(root: Path, *names: str) -> Path:
    """Make files with one byte each, and their folders."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def rows(found: Catalog) -> list[tuple[str, str | None, str]]:
    """Return the path, label and split of each image."""
    labels = [None if label < 0 else found.classes[label] for label in found.labels]
    return list(zip(found.paths, labels, found.splits, strict=True))
