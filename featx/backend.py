"""Keras on TensorFlow, imported late and without its log lines."""

import functools
import os
import sys
import tempfile
from typing import Any

from .errors import InputError

__all__ = ["keras", "tensorflow"]


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
