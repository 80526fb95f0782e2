"""Images that a model is unsure of, and a choice of different ones among them.

Zhdanov, "Diverse mini-batch active learning" (2019): the most uncertain images of a pool are often
alike, so that labels of ten of them teach little more than one. Clusters among ten times as many
uncertain images give a batch that is uncertain and varied.
"""

from dataclasses import dataclass

import numpy as np

from ..heads.training import one_thread

__all__ = ["Candidates", "choose"]

_FOR_EACH = 10  # candidates for each image that is chosen
#: Images are nearly equal that are closer than this share of the median distance of candidates.
#: JPEGs of one photograph, smaller or mirrored ones are at 0.2 to 0.4 of it, and a photograph's
#: nearest neighbour at 0.5 to 0.8. See docs/curve.md.
_NEAR = 0.4
_SAME = 1e-6  # squared distance of rows that are equal but for rounding
_SAMPLE = 500


@dataclass(frozen=True, eq=False)
class Candidates:
    """Images with what a model says of them.

    Attributes
    ----------
    paths, digests : ndarray of str, shape (n,)
    rows : ndarray of float32, shape (n, d)
        Rows of length 1.
    probabilities : ndarray of float64, shape (n, classes)
    novelty : ndarray of float64, shape (n,)
    """

    paths: np.ndarray
    digests: np.ndarray
    rows: np.ndarray
    probabilities: np.ndarray
    novelty: np.ndarray

    @classmethod
    def none(cls, classes: int) -> "Candidates":
        """Return no candidates."""
        texts = np.empty(0, object)
        return cls(texts, texts, np.empty((0, 0), np.float32), np.empty((0, classes)), np.empty(0))

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def margin(self) -> np.ndarray:
        """By how much the most probable class is more probable than the second, shape (n,)."""
        best = np.sort(self.probabilities, axis=1)[:, -2:]
        margin: np.ndarray = best[:, 1] - best[:, 0]
        return margin

    def take(self, chosen: np.ndarray) -> "Candidates":
        """Return some of them."""
        return Candidates(*(column[chosen] for column in vars(self).values()))

    def joined(self, other: "Candidates") -> "Candidates":
        """Return these and others."""
        if not len(self) or not len(other):
            return self if len(self) else other
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Candidates(*(np.concatenate(pair) for pair in pairs))

    def most_uncertain(self, count: int) -> "Candidates":
        """Return ten times `count` of them, the smallest margin first; of equal files one."""
        first = np.unique(self.digests.astype(str), return_index=True)[1]
        first.sort()
        order = np.argsort(self.margin[first], kind="stable")
        return self.take(first[order[: _FOR_EACH * count]])


def choose(found: Candidates, count: int, seed: int) -> Candidates:
    """Return different images among candidates, the most uncertain first.

    Parameters
    ----------
    found : Candidates
        In the order of their margins.
    count : int
        Images to choose, as far as there are that many which are not nearly equal.
    seed : int
    """
    near = _NEAR * _median_distance(found.rows, seed)
    chosen: list[int] = []
    for members in _clusters(found.rows, count, seed):
        for at in members:
            if _is_new(found.rows, at, chosen, near):
                chosen.append(at)
                break
    for at in range(len(found)):  # where clusters had none
        if len(chosen) < count and at not in chosen and _is_new(found.rows, at, chosen, near):
            chosen.append(at)
    return found.take(np.sort(np.array(chosen, np.int64)))


def _clusters(rows: np.ndarray, count: int, seed: int) -> list[list[int]]:
    """Return the members of each cluster in order; the cluster of the first row comes first."""
    from sklearn.cluster import KMeans

    if len(rows) <= count:
        return [[at] for at in range(len(rows))]
    with one_thread():
        found = KMeans(count, n_init=1, max_iter=50, random_state=seed).fit_predict(rows)
    members: dict[int, list[int]] = {}
    for at, cluster in enumerate(found.tolist()):
        members.setdefault(cluster, []).append(at)
    return list(members.values())


def _median_distance(rows: np.ndarray, seed: int) -> float:
    """Return the median distance between different rows, of a random choice where they are many."""
    if len(rows) < 2:
        return 0.0
    random = np.random.default_rng(seed)
    some = rows[random.permutation(len(rows))[:_SAMPLE]]
    pairs = (some @ some.T)[np.triu_indices(len(some), 1)]
    return float(np.sqrt(np.maximum(2 - 2 * np.median(pairs), 0)))


def _is_new(rows: np.ndarray, at: int, chosen: list[int], near: float) -> bool:
    """Tell whether a row is not nearly equal to any that is chosen."""
    if not chosen:
        return True
    closest = float((rows[chosen] @ rows[at]).max())
    return 2 - 2 * closest > max(near**2, _SAME)
