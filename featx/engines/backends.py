"""The backend of joblib that does folds, where a cluster is asked for."""

import contextlib
from collections.abc import Iterator

from .choose import require_backend
from .cluster import LostError, place_of, require_dask, unreachable

__all__ = ["chosen_backend"]

_SECONDS = 20.0  # that a scheduler has to answer


@contextlib.contextmanager
def chosen_backend(backend: str | None, scheduler: str | None) -> Iterator[None]:
    """Have joblib send what the block does to a cluster, where one is asked for.

    Parameters
    ----------
    backend, scheduler
        See `choose.choose_engine`.

    Raises
    ------
    InputError
        See `choose.require_backend`; or Dask is not installed.
    StorageError
        When no scheduler answers.
    """
    if require_backend(backend, scheduler) == "local":
        yield
        return
    require_dask()
    import joblib
    from distributed import Client

    try:
        client = Client(**place_of(scheduler or ""), timeout=_SECONDS, set_as_default=False)
    except (LostError, OSError) as error:
        raise unreachable(scheduler or "", error) from error
    with client, joblib.parallel_config("dask", client=client):
        yield
