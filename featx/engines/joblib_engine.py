"""Parts by whatever backend the caller chose with ``joblib.parallel_config``."""

import contextlib
import pickle
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from ..errors import StorageError
from .engine import Work
from .worker import Failure, do_part, opened, packed, versions

__all__ = ["JoblibEngine", "is_configured"]

#: Backends whose workers are on this machine, and see its folders.
_HERE = ("LokyBackend", "MultiprocessingBackend", "SequentialBackend", "ThreadingBackend")
_TRIES = 3
_IN_LIST = 64


def is_configured() -> bool:
    """Tell whether the caller chose a backend, or a number of jobs."""
    from joblib.parallel import get_active_backend

    backend, jobs = get_active_backend()
    if backend.nesting_level:  # this is a worker of joblib: its backend is not the caller's choice
        return False
    # joblib makes its default anew for whoever asks; a backend that was chosen is one object.
    return backend is get_active_backend()[0] or jobs not in (None, 1)


class JoblibEngine:
    """The backend of joblib that is active when it runs: loky, threading, dask, ray, spark."""

    def run(self, work: Work, numbers: Sequence[int]) -> Generator[int, None, None]:
        """Yield the number of each part as it is finished and kept, in any order.

        Raises
        ------
        StorageError
            When workers die again and again.
        """
        from joblib.externals.loky.process_executor import BrokenProcessPool

        missing = dict.fromkeys(numbers)
        for left in reversed(range(_TRIES)):
            if not missing:
                return
            try:
                with contextlib.closing(self._round(work, list(missing))) as finished:
                    for number in finished:
                        del missing[number]
                        yield number
            except BrokenProcessPool as error:
                if not left:
                    raise StorageError(
                        f"A worker process died {_TRIES} times, with {len(missing)} parts of "
                        f"{work.name} left: {error} It may lack memory: use fewer jobs."
                    ) from error

    def _round(self, work: Work, numbers: Sequence[int]) -> Generator[int, None, None]:
        import joblib
        from joblib.parallel import get_active_backend

        backend, jobs = get_active_backend()
        shared = type(backend).__name__ in _HERE
        order, wanted = packed(work.task(shared=shared)), versions()

        def calls(some: Sequence[int]) -> Iterator[Any]:
            for number in some:
                question = pickle.dumps(work.question(number, shared=shared))
                yield joblib.delayed(_numbered)(number, wanted, order, question)

        # A backend that is chosen without a number of jobs means all that it has.
        workers = joblib.Parallel(
            n_jobs=-1 if jobs is None else jobs,
            return_as="generator_unordered" if backend.supports_return_generator else "list",
            pre_dispatch="2*n_jobs",
            batch_size=1,
        )
        # Of backends that return a list, no more is lost when the run is stopped than one of them.
        most = len(numbers) if backend.supports_return_generator else _IN_LIST
        for start in range(0, len(numbers), most):
            found = workers(calls(numbers[start : start + most]))
            try:
                for number, answer in found:
                    content, error = opened(answer)
                    if isinstance(error, Failure):
                        raise RuntimeError(f"Part {number} of {work.name} failed: {error}")
                    if error is not None:
                        raise error
                    work.keep(number, content)
                    yield number
            finally:
                if isinstance(found, Generator):
                    found.close()


def _numbered(number: int, wanted: str, order: bytes, question: bytes) -> tuple[int, bytes]:
    return number, do_part(wanted, order, question)
