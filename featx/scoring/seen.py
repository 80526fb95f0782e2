"""What a model sees, and whether a cache has it."""

from ..cache.file import Cache
from ..errors import IncompatibleError, printable
from ..model.model import Model
from ..network.naming import network_names

__all__ = ["require_same_trunks", "require_seen"]


def require_same_trunks(model: Model, cache: Cache) -> None:
    """Check that a cache has features of the model's network, or of all of them."""
    ours, theirs = model.fingerprint.each, cache.fingerprint.each
    if len(ours) != len(theirs):
        has, needs = (" and ".join(network_names(some)) for some in (theirs, ours))
        raise IncompatibleError(
            f"{printable(cache.path)} has features of {has}, and the model sees images by {needs}. "
            "Give the images themselves: every network of the model sees them."
        )
    for one, other in zip(ours, theirs, strict=True):
        one.trunk.require_equal(
            other.trunk,
            mine="in the model",
            theirs="in the cache",
            advice="Score the images themselves, or extract them again with those settings.",
            where=str(cache.path),
        )


def require_seen(model: Model, cache: Cache) -> None:
    """Check that a cache has the features and layer pools that a model sees."""
    if (model.tail or model.view.kind.positions) and not cache.fingerprint.also:
        cache.features  # noqa: B018 - refuses where there are none
    if model.view.is_seen_in(cache.fingerprint):
        return
    needed = model.view.pooled
    names, passes = ", ".join(needed.names), ", ".join(map(str, needed.passes))
    raise IncompatibleError(
        f"{printable(cache.path)} lacks what the model sees: pools of {names}, at {passes}. Score "
        "the images themselves, or extract them again with those layers and sizes."
    )
