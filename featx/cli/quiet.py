"""What TensorFlow, joblib and matplotlib log stays off the terminal, unless an import fails."""

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from .. import backend

__all__ = ["quiet_backend"]


def quiet_backend() -> None:
    """Have the import of TensorFlow write nothing, in this process."""
    # `crossval` says so itself.
    warnings.filterwarnings("ignore", ".*joblib will operate in serial mode", UserWarning)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # joblib's process that clears up after an interrupted run says what it clears up.
    ignored = ["ignore:resource_tracker:UserWarning", os.environ.get("PYTHONWARNINGS", "")]
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, ignored))
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # where it keeps its list of fonts
    backend.during_import = _without_error_stream


@contextmanager
def _without_error_stream() -> Iterator[None]:
    """Keep what is written to file descriptor 2; show it when the block fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as noise:
        os.dup2(noise.fileno(), 2)
        try:
            yield
            logging.getLogger("tensorflow").setLevel(logging.ERROR)
        except BaseException:
            noise.seek(0)
            os.write(kept, noise.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
