"""Which engine does the parts of a piece of work."""

from collections.abc import Callable

from ..errors import InputError, one_of
from .engine import Engine, InProcess

__all__ = ["BACKENDS", "choose_engine", "require_backend"]


def _local(scheduler: str | None) -> Engine:
    from .joblib_engine import JoblibEngine, is_configured

    return JoblibEngine() if is_configured() else InProcess()


def _dask(scheduler: str | None) -> Engine:
    from .dask_engine import DaskEngine

    return DaskEngine(scheduler or "")


#: Backend → what makes its engine from the address of a scheduler.
BACKENDS: dict[str, Callable[[str | None], Engine]] = {"local": _local, "dask": _dask}


def require_backend(backend: str | None, scheduler: str | None) -> str:
    """Return the name of a backend, by default "local", and check that a scheduler belongs to it.

    Raises
    ------
    InputError
        When there is no such backend, or it has a scheduler too many or too few.
    """
    backend = backend or "local"
    one_of("backend", backend, BACKENDS)
    if backend == "dask" and not scheduler:
        raise InputError(
            "--backend dask needs the address of a scheduler. Start one with `dask scheduler`, "
            "workers with `dask worker tcp://HOST:8786`, and add --scheduler tcp://HOST:8786."
        )
    if scheduler and backend != "dask":
        raise InputError(
            f"--scheduler {scheduler} is for --backend dask. Add that, or leave --scheduler out."
        )
    return backend


def choose_engine(backend: str | None, scheduler: str | None) -> Engine:
    """Return what does the parts.

    Parameters
    ----------
    backend : {"local", "dask"}, optional
        "local" is this process, or what the caller chose with ``joblib.parallel_config``.
    scheduler : str, optional
        The address of Dask's scheduler, or the file that it wrote its address into.

    Raises
    ------
    InputError
        See `require_backend`; or a library is missing.
    """
    return BACKENDS[require_backend(backend, scheduler)](scheduler)
