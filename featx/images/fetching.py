"""Images that are no files, from what gives them: many at a time where that is a network."""

import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from ..dataset.stores import Store
from . import decode

__all__ = ["Fetcher"]

#: Images that are on their way at a time, and those that may wait for a decoder as well.
_THREADS, _WAITING = 16, 16


class Fetcher:
    """What has images fetched ahead, in the order in which it is asked for them.

    Parameters
    ----------
    store : Store
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        # The room is taken by whoever asks, in order: so it is always the next images that have it.
        self._room = threading.Semaphore(_THREADS + _WAITING)
        self._pool = ThreadPoolExecutor(_THREADS, "featx-fetcher") if store.is_remote else None

    def start(self, path: str) -> Callable[[], decode.File]:
        """Return what gives an image, see `decode.fetch`; it has to be called once."""
        if self._pool is None:
            return functools.partial(decode.fetch, self._store, path)
        self._room.acquire()
        coming = self._pool.submit(decode.fetch, self._store, path)

        def take() -> decode.File:
            try:
                return coming.result()
            finally:
                self._room.release()

        return take

    def close(self) -> None:
        """Fetch no more images."""
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)
