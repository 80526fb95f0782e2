"""Heavy libraries, imported late, and without what they would bring along."""

import functools
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .errors import InputError

__all__ = ["block_imports", "keras", "tensorflow"]


@functools.cache
def _load() -> tuple[Any, Any]:
    """Import both once. What they write to the error stream is shown only when the import fails."""
    wanted = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if wanted != "tensorflow":
        raise InputError(
            f"KERAS_BACKEND is {wanted!r}; featx runs on 'tensorflow'. Unset it for this command."
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as noise:
        os.dup2(noise.fileno(), 2)
        try:
            import keras
            import tensorflow as tf

            tf.get_logger().setLevel("ERROR")
            tf.config.list_physical_devices()  # the first look at the devices writes as well
        except BaseException:
            noise.seek(0)
            os.write(kept, noise.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
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
