"""The three standard streams, also where they are closed or their reader goes away."""

import os
import sys

__all__ = ["flush_streams", "open_streams"]


def open_streams() -> None:
    """Have all three streams open, and able to write any name.

    Services and launchers start programs with closed streams. What is written to such a stream is
    lost; without this, a file that is opened would take its number and have messages in it.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def flush_streams() -> OSError | None:
    """Write what is still in memory; return the error of standard output, if it has one."""
    failed = None
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            failed = error if stream is sys.stdout else failed
            # Python flushes again at its end, which must not fail.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
    return failed
