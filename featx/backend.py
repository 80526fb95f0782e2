"""Heavy libraries, imported late, and without what they would bring along."""

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from .errors import InputError

__all__ = ["block_imports", "keras", "tensorflow"]

#: The first import of Keras and TensorFlow happens inside this. The command line puts a manager
#: here that keeps their log lines off the terminal; other programs see them as ever.
during_import: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext


@functools.cache
def _load() -> tuple[Any, Any]:
    """Import both once."""
    wanted = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if wanted != "tensorflow":
        raise InputError(
            f"KERAS_BACKEND is {wanted!r}; featx runs on 'tensorflow'. Unset it for this command."
        )
    with during_import():
        import keras
        import tensorflow as tf

        tf.config.list_physical_devices()  # the first look at the devices writes as well
    return keras, tf


def keras() -> Any:
    """Return the `keras` module (its public Keras 3 interface)."""
    return _load()[0]


def tensorflow() -> Any:
    """Return the `tensorflow` module: the compiler and the devices; models stay on Keras."""
    return _load()[1]


@contextmanager
def block_imports(*names: str) -> Iterator[None]:
    """Let imports of these modules fail inside the block, as if they were not installed.

    Modules that were imported before stay. Use it only for packages that handle a missing import.
    """
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None: cannot be imported
    try:
        yield
    finally:
        for name in absent:
            sys.modules.pop(name, None)
