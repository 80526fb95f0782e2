"""The network and the weights that an extraction is asked for."""

import logging

from ..errors import FeatxError, printable
from ..network.downloads import keep
from ..network.fingerprint import Fingerprint
from ..network.networks import DEFAULT, FILE
from ..network.own_weights import describe, find_own, is_file_of_network
from ..network.weights import Weights, resolve_weights
from ..progress import Progress
from .plan import ExtractSettings, sizes_of

__all__ = ["keep_own", "weights_for"]

log = logging.getLogger("featx")


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
    known = there.preprocessing if there and wanted else None
    if network != FILE and not is_file_of_network(network):
        return resolve_weights(
            settings.weights,
            network=network,
            preprocessing=settings.preprocessing or (known if settings.weights == "auto" else None),
            wanted=wanted,
            progress=progress,
        )
    found = find_own(network, settings.preprocessing or known, wanted, weights=settings.weights)
    return describe(found, sizes_of(settings)[0])


def keep_own(found: Weights) -> None:
    """Keep a copy of a user's file that features were made with.

    Scoring then does not depend on where the file lies. Where no copy can be kept, it does.
    """
    if found.provider == "file" and found.path:
        try:
            keep(found.path, found.digest)
        except FeatxError as error:
            log.info("No copy of %s is kept: %s", printable(found.path), error)
