"""The network and the weights that an extraction is asked for."""

from ..network.fingerprint import Fingerprint
from ..network.networks import DEFAULT, FILE
from ..network.own_weights import describe, find_own, is_file_of_network, keep_own
from ..network.weights import Weights, resolve_weights
from ..progress import Progress
from .plan import ExtractSettings, sizes_of

__all__ = ["weights_for"]


def weights_for(
    settings: ExtractSettings, before: Fingerprint | None, progress: Progress | None = None
) -> Weights:
    """Find the weights, and fetch them where they are not there yet.

    Parameters
    ----------
    settings : ExtractSettings
    before : Fingerprint, optional
        Of the cache that is updated, or of what a stopped run left: "auto" is what it has.
    progress : callable, optional
        See `progress.Progress`; in bytes.

    Raises
    ------
    InputError, IncompatibleError, StorageError
        See `weights.resolve_weights` and `own_weights.find_own`.
    """
    there = before.trunk if before else None
    network = settings.network or (there.network if there else DEFAULT)
    wanted = there.weights if there and there.network == network else None
    if network != FILE and not is_file_of_network(network):
        return resolve_weights(
            settings.weights,
            network=network,
            preprocessing=settings.preprocessing,
            wanted=wanted,
            progress=progress,
        )
    known = there.preprocessing if there and there.network == FILE else None
    found = find_own(network, settings.preprocessing or known, wanted, weights=settings.weights)
    described = describe(found, sizes_of(settings)[0])
    keep_own(described)
    return described
