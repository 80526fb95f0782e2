"""The features that heads are compared on: those of each cache, and of each pair side by side."""

import itertools
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from ..cache.beside import Beside, match_rows
from ..cache.file import Cache
from ..errors import InputError, printable
from ..network.naming import joint_name, network_names
from ..network.views import VIEWS

__all__ = ["Candidate", "candidates_of"]

log = logging.getLogger("featx")


@dataclass(frozen=True, eq=False)
class Candidate:
    """Features that heads are compared on.

    Attributes
    ----------
    network : str
        Whose they are: "vgg16"; "vgg16 block4_pool" where the same network has other ones too; or
        "vgg16+resnet50", side by side.
    cache : Cache
        All candidates of a comparison have the same images in the same order.
    """

    network: str
    cache: Cache

    def gmac(self, view: str) -> float:
        """Return what an image costs by a view, see `Fingerprint.gmac`."""
        made = self.cache.fingerprint
        return (made if VIEWS[view].layers else made.without_layers()).gmac

    def without_classes(self, names: Collection[str]) -> "Candidate":
        """Return the same features where images of some classes have no label."""
        return Candidate(self.network, self.cache.without_classes(names)) if names else self


def candidates_of(caches: Sequence[Cache]) -> list[Candidate]:
    """Return the features of each cache, and of each two side by side.

    Parameters
    ----------
    caches : sequence of Cache
        The first gives the order of the images.

    Raises
    ------
    InputError
        When they are not of the same images, with the same labels, splits and groups; or two of
        them have the same features.
    """
    table = caches[0]
    made = [cache.fingerprint for cache in caches]
    for at, features in enumerate(made):
        if features in made[:at]:
            same = printable(caches[made.index(features)].path), printable(caches[at].path)
            raise InputError(
                f"{' and '.join(same)} have features of the same network and settings. Give one of "
                "them."
            )
    if len(caches) == 1:
        return [Candidate(joint_name(made[0]), table)]
    if any(one.also for one in made):
        raise InputError(
            "Caches that stand side by side already are compared alone. Give the single caches: "
            "each two of them are tried side by side."
        )
    names = network_names(made)
    rows = [np.arange(len(table)), *(match_rows(table, cache) for cache in caches[1:])]
    found = [Candidate(names[0], table)]
    for at in range(1, len(caches)):
        found.append(Candidate(names[at], Beside(table, [caches[at]], [rows[at]])))
    for pair in itertools.combinations(range(len(caches)), 2):
        both = [caches[at] for at in pair]
        one, two = (printable(cache.path) for cache in both)
        if made[pair[0]].trunk == made[pair[1]].trunk:
            log.info("%s and %s are not tried side by side: they are of one network.", one, two)
            continue
        try:
            beside = Beside(table, both, [rows[at] for at in pair])
        except InputError as error:
            log.warning("%s and %s are not tried side by side: %s", one, two, error)
            continue
        found.append(Candidate("+".join(names[at] for at in pair), beside))
    return found
