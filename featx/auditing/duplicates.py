"""Images that show the same picture: equal files and near duplicates, in groups."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..dataset.catalog import Catalog
from .neighbours import NOBODY, Neighbours
from .pixels import Pixels, correlation

__all__ = [
    "KINDS",
    "DuplicateGroup",
    "DuplicatePair",
    "Pairs",
    "components",
    "equal_pairs",
    "find_groups",
    "near_pairs",
]

#: What two images of a group are to each other.
KINDS = {
    "equal": "their files have the same bytes",
    "near": "their pixels correlate, as after resizing or another compression",
    "mirrored": "the pixels of one correlate with those of the other mirrored",
    "unconfirmed": "their features are nearly the same, and the files could not be compared",
}

#: Two images are compared by their pixels when their features have this cosine or a higher one.
CANDIDATE = 0.60
#: They show the same picture when their thumbnails correlate so much: one minus the correlation is
#: at most this, and at most this share of what is usual here.
SAME, SAME_SHARE = 0.03, 0.05
#: The same of the cosine of their features, which decides where the pixels are not known.
UNSEEN, UNSEEN_SHARE = 0.005, 0.02
# What is usual is the median over images of the tenth most similar one: a set in which most images
# are there a few times must not take its doubles for usual, and digits are all alike.
_USUAL = 10


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of images that show the same picture.

    Attributes
    ----------
    one, two : ndarray of int64, shape (pairs,)
        Positions of the images.
    kinds : ndarray of str, shape (pairs,)
        Keys of `KINDS`.
    similarity : ndarray of float64, shape (pairs,)
        Cosine of their features.
    correlation : ndarray of float64, shape (pairs,)
        Of their thumbnails; not a number where these were not compared.
    """

    one: np.ndarray
    two: np.ndarray
    kinds: np.ndarray
    similarity: np.ndarray
    correlation: np.ndarray

    def __len__(self) -> int:
        return len(self.one)

    @classmethod
    def joined(cls, *some: "Pairs") -> "Pairs":
        """Return all pairs, one after the other."""
        names = ("one", "two", "kinds", "similarity", "correlation")
        return cls(*(np.concatenate([getattr(one, name) for one in some]) for name in names))

    def take(self, chosen: np.ndarray) -> "Pairs":
        """Return some of the pairs."""
        names = ("one", "two", "kinds", "similarity", "correlation")
        return Pairs(*(getattr(self, name)[chosen] for name in names))


@dataclass(frozen=True)
class DuplicatePair:
    """Two images of a group, and why they are taken for the same.

    Attributes
    ----------
    one, two : str
        Their paths.
    kind : str
        A key of `KINDS`.
    similarity : float
        Cosine of their features.
    correlation : float or None
        Of their thumbnails, where these were compared.
    """

    one: str
    two: str
    kind: str
    similarity: float
    correlation: float | None


@dataclass(frozen=True)
class DuplicateGroup:
    """Images that show the same picture, directly or through others.

    Attributes
    ----------
    paths, labels, splits : tuple of str
        Of each image; a split is "" where there are none.
    pairs : tuple of DuplicatePair
    """

    paths: tuple[str, ...]
    labels: tuple[str, ...]
    splits: tuple[str, ...]
    pairs: tuple[DuplicatePair, ...]

    @property
    def crosses_splits(self) -> bool:
        """Whether the images are in different splits, so that a test meets what was trained on."""
        return len(set(self.splits)) > 1

    @property
    def has_conflict(self) -> bool:
        """Whether the images have different labels."""
        return len(set(self.labels)) > 1

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of its pairs, in the order of `KINDS`."""
        found = {pair.kind for pair in self.pairs}
        return tuple(kind for kind in KINDS if kind in found)

    @property
    def similarity(self) -> float:
        """The lowest cosine of its pairs."""
        return min(pair.similarity for pair in self.pairs)

    def as_dict(self) -> dict[str, object]:
        """Return the group as plain values, for JSON."""
        return {
            "paths": list(self.paths),
            "labels": list(self.labels),
            "splits": list(self.splits),
            "kinds": list(self.kinds),
            "similarity": round(self.similarity, 6),
            "crosses_splits": self.crosses_splits,
            "has_conflict": self.has_conflict,
            "pairs": [dict(vars(pair)) for pair in self.pairs],
        }


def equal_pairs(digests: np.ndarray) -> tuple[np.ndarray, Pairs]:
    """Return the position of the first image of each content, and its pairs with the others.

    Parameters
    ----------
    digests : ndarray of str, shape (n,)

    Returns
    -------
    (ndarray of int64, Pairs)
        Positions in order.
    """
    _, first, content = np.unique(digests.astype(str), return_index=True, return_inverse=True)
    others = np.flatnonzero(first[content] != np.arange(len(digests)))
    ones, nothing = np.ones(len(others)), np.full(len(others), np.nan)
    kinds = np.full(len(others), "equal", dtype=object)
    return np.sort(first), Pairs(first[content][others], others, kinds, ones, nothing)


def near_pairs(found: Neighbours, pixels: Pixels, chosen: np.ndarray) -> Pairs:
    """Return the pairs of different files that show the same picture.

    Parameters
    ----------
    found : Neighbours
        Of n images.
    pixels : Pixels
        Of the same images.
    chosen : ndarray of int, shape (m,)
        The images whose pairs are wanted: one of each content.
    """
    index, cosines = found.index[chosen], found.cosine[chosen].astype(np.float64)
    similar = (cosines >= CANDIDATE) & (index != NOBODY)
    row, column = np.nonzero(similar)
    one, two = chosen[row], index[row, column]
    keys = np.minimum(one, two) * len(found.index) + np.maximum(one, two)
    _, first, pair = np.unique(keys, return_index=True, return_inverse=True)
    one, two = np.minimum(one, two)[first], np.maximum(one, two)[first]
    cosine = np.minimum(cosines[row, column][first], 1.0)
    seen = pixels.is_read[one] & pixels.is_read[two]
    correlations = np.full(len(one), np.nan)
    kinds = np.full(len(one), "unconfirmed", dtype=object)
    straight, mirrored = correlation(pixels.thumbnails, one[seen], two[seen])
    correlations[seen] = np.maximum(straight, mirrored)
    kinds[seen] = np.where(straight >= mirrored, "near", "mirrored")
    levels = np.zeros(index.shape)
    levels[row, column] = np.nan_to_num(correlations[pair])
    limit = min(SAME, SAME_SHARE * _usual(levels))
    unseen_limit = min(UNSEEN, UNSEEN_SHARE * _usual(np.where(similar, cosines, 0)))
    same = np.where(seen, 1 - correlations <= limit, 1 - cosine <= unseen_limit)
    return Pairs(one, two, kinds, cosine, correlations).take(same)


def _usual(levels: np.ndarray) -> float:
    """Return one minus the level that the tenth most similar of an image usually has.

    Parameters
    ----------
    levels : ndarray of float, shape (m, k)
        0 where there is nobody.
    """
    if levels.shape[1] < _USUAL or not len(levels):
        return 1.0
    tenth = -np.partition(-levels, _USUAL - 1, axis=1)[:, _USUAL - 1]
    return float(np.median(1 - np.maximum(tenth, 0)))


def components(count: int, pairs: Pairs, units: np.ndarray | None = None) -> np.ndarray:
    """Return, for each of `count` images, the number of its group: that of images tied by pairs.

    Parameters
    ----------
    count : int
    pairs : Pairs
    units : ndarray of int, shape (count,), optional
        Images of one unit are tied too.

    Returns
    -------
    ndarray of int32, shape (count,)
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    one, two = pairs.one, pairs.two
    if units is not None:
        _, first, unit = np.unique(units, return_index=True, return_inverse=True)
        one = np.concatenate([one, np.arange(count)])
        two = np.concatenate([two, first[unit]])
    links = coo_array((np.ones(len(one)), (one, two)), shape=(count, count))
    return np.asarray(connected_components(links, directed=False)[1])


def find_groups(
    catalog: Catalog, images: np.ndarray, pairs: Pairs, numbers: np.ndarray
) -> list[DuplicateGroup]:
    """Return the groups of duplicates: those with different labels first, then across splits.

    Parameters
    ----------
    catalog : Catalog
    images : ndarray of int, shape (n,)
        Index in the catalog of each position.
    pairs : Pairs
    numbers : ndarray of int, shape (n,)
        See `components`.
    """
    members: dict[int, list[int]] = {}
    for position in np.flatnonzero(np.isin(numbers, numbers[pairs.one])).tolist():
        members.setdefault(int(numbers[position]), []).append(position)
    tied: dict[int, list[DuplicatePair]] = {number: [] for number in members}
    paths = [str(path) for path in catalog.paths[images]]
    for row in range(len(pairs)):
        one, two = int(pairs.one[row]), int(pairs.two[row])
        level = float(pairs.correlation[row])
        tied[int(numbers[one])].append(
            DuplicatePair(
                paths[one],
                paths[two],
                str(pairs.kinds[row]),
                round(float(pairs.similarity[row]), 6),
                None if np.isnan(level) else round(level, 6),
            )
        )
    groups = [
        DuplicateGroup(
            tuple(paths[position] for position in some),
            _names(catalog.classes, catalog.labels[images[some]].tolist()),
            tuple(map(str, catalog.splits[images[some]])),
            tuple(tied[number]),
        )
        for number, some in members.items()
    ]
    return sorted(groups, key=lambda group: (not group.has_conflict, not group.crosses_splits))


def _names(classes: Sequence[str], labels: Sequence[int]) -> tuple[str, ...]:
    return tuple(classes[label] for label in labels)
