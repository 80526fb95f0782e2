"""The backend of joblib that does folds, where a cluster is asked for."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ..errors import StorageError, printable
from .choose import require_backend
from .cluster import require_dask

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

    place = Path(scheduler or "")
    where = {"scheduler_file": str(place)} if place.is_file() else {"address": scheduler}
    try:
        client = Client(**where, timeout=_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise StorageError(
            f"No scheduler answers at {printable(scheduler)}: {error}. Start one with `dask "
            "scheduler`, or correct --scheduler."
        ) from error
    with client, joblib.parallel_config("dask", client=client):
        yield
