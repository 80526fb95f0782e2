"""Heavy libraries, imported late, without what they would bring along, in a known state."""

import contextlib
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from .errors import InputError

__all__ = ["block_imports", "keras", "own_settings", "tensorflow"]

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
    if keras.config.backend() != "tensorflow":
        raise InputError(
            f"Keras runs on {keras.config.backend()!r} in this process; featx needs it on "
            "'tensorflow'. Set KERAS_BACKEND=tensorflow before Keras is imported."
        )
    return keras, tf


class _Settings:
    """The settings of Keras and NumPy inside featx, and those of the user outside.

    ``~/.keras/keras.json``, or a program that uses featx, can change the order of the axes, the
    data type and the constants of every layer, and turn an underflow into an error.
    """

    _OURS = ("float32", 1e-7, "channels_last", "float32")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._inside = 0
        self._before: tuple[Any, ...] | None = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        import numpy as np

        self._enter()
        try:
            with np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"):
                yield
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside and self._before:
                    _set(sys.modules["keras"], self._before)
                    self._before = None

    def _enter(self) -> None:
        with self._lock:
            self._inside += 1
            self.take(sys.modules.get("keras"))

    def take(self, module: Any) -> None:
        """Keep the user's settings and set ours, if we are inside and Keras is loaded."""
        with self._lock:
            if module and hasattr(module, "config") and self._inside and not self._before:
                config = module.config
                self._before = (
                    config.floatx(),
                    config.epsilon(),
                    config.image_data_format(),
                    config.dtype_policy(),
                )
                _set(module, self._OURS)


def _set(module: Any, settings: tuple[Any, ...]) -> None:
    config = module.config
    setters = config.set_floatx, config.set_epsilon, config.set_image_data_format
    for change, value in zip((*setters, config.set_dtype_policy), settings, strict=True):
        change(value)


#: A decorator and context manager: inside, Keras and NumPy have the settings featx is written for.
own_settings = _Settings()


def keras() -> Any:
    """Return the `keras` module (its public Keras 3 interface)."""
    module = _load()[0]
    own_settings.take(module)
    return module


def tensorflow() -> Any:
    """Return the `tensorflow` module: the compiler and the devices; models stay on Keras."""
    keras()
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
