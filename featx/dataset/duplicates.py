"""Images with the very same bytes, and what is wrong about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .catalog import NO_LABEL, Catalog

__all__ = ["EqualImages", "find_equal"]


@dataclass(frozen=True)
class EqualImages:
    """Some images with the same bytes.

    Attributes
    ----------
    paths : tuple of str
    labels : tuple of str
        Their different labels; two or more stop `fit`.
    splits : tuple of str
        Their different splits; of those in two, the training ones are left out by `fit`.
    """

    paths: tuple[str, ...]
    labels: tuple[str, ...]
    splits: tuple[str, ...]

    @property
    def has_conflict(self) -> bool:
        """Whether the images have different labels."""
        return len(self.labels) > 1

    def as_dict(self) -> dict[str, Any]:
        """Return the images as plain values, for JSON."""
        return {
            "paths": list(self.paths),
            "labels": list(self.labels),
            "splits": list(self.splits),
        }


def find_equal(catalog: Catalog, digests: Sequence[str] | np.ndarray) -> list[EqualImages]:
    """Return the groups of images with the same bytes; those with different labels come first.

    Parameters
    ----------
    catalog : Catalog
    digests : sequence of str, shape (n,)
        SHA-256 of each image's file; "" for one that could not be read.
    """
    by_digest: dict[str, list[int]] = {}
    for index, digest in enumerate(digests):
        if digest:
            by_digest.setdefault(digest, []).append(index)
    found = []
    for images in by_digest.values():
        if len(images) > 1:
            labels = sorted(set(catalog.labels[images].tolist()) - {NO_LABEL})
            splits = sorted(set(catalog.splits[images]) - {""})
            found.append(
                EqualImages(
                    tuple(map(str, catalog.paths[images])),
                    tuple(catalog.classes[label] for label in labels),
                    tuple(splits),
                )
            )
    return sorted(found, key=lambda equal: not equal.has_conflict)
