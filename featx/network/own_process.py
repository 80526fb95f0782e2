"""A process of which nothing is believed: plain bytes go in and out, each within a time."""

import json
import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import FeatxError

__all__ = ["OwnProcess", "ProcessDied"]

_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from featx.network.own_serving import serve; serve(sys.argv[1])"
)
_LENGTH = struct.Struct("<Q")
_MAX_HEAD = 1 << 16

#: What the process keeps of the environment: the rest may hold secrets.
_KEPT = ("LANG", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "PATH", "TF_ENABLE_ONEDNN_OPTS")


class ProcessDied(FeatxError):
    """The process ended, or was ended; the message says why."""


class OwnProcess:
    """A process that runs a network of the user's own, started at once.

    Parameters
    ----------
    job : mapping
        Plain values, for `own_serving.serve`.
    folder : Path
        Where it runs, and what it takes for its home.
    seconds : float
        How long it may take to start, and to answer.
    """

    def __init__(self, job: Mapping[str, Any], folder: Path, seconds: float) -> None:
        self._seconds = seconds
        paths = [os.path.abspath(path) for path in sys.path]
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-c", _PROGRAM, json.dumps(job), *paths],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # TensorFlow and others write there by themselves
            bufsize=0,
            cwd=folder,
            start_new_session=True,  # Ctrl-C is for the parent, which ends this one
            env={name: os.environ[name] for name in _KEPT if name in os.environ}
            | dict.fromkeys(("HOME", "KERAS_HOME", "TMPDIR"), str(folder))  # nothing of the user's
            | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
            | {"ORT_DISABLE_TELEMETRY": "1"}
            # A GPU would need devices that the process may write to.
            | {"CUDA_VISIBLE_DEVICES": "-1"},
        )
        to, back = self._process.stdin, self._process.stdout
        if to is None or back is None:
            raise AssertionError("the process has no pipes")
        self._to, self._back = to.fileno(), back.fileno()
        for pipe in (self._to, self._back):
            os.set_blocking(pipe, False)

    def ask(self, head: Mapping[str, Any], data: "bytes | memoryview") -> dict[str, Any]:
        """Send a question, and return the head of the answer; `receive` returns the rest.

        Raises
        ------
        ProcessDied
            When it does not answer, or with what is no answer.
        """
        text = json.dumps(head).encode()
        until = time.monotonic() + self._seconds
        try:
            for part in (_LENGTH.pack(len(text)), text, data):
                self._send(memoryview(part), until)
            (length,) = _LENGTH.unpack(self._receive(_LENGTH.size, until))
            answer = self._receive(length, until) if length <= _MAX_HEAD else b""
            found = json.loads(answer)
        except (ValueError, RecursionError) as error:
            raise self._death("it answered with what is no answer") from error
        except BaseException:
            self.close()
            raise
        if not isinstance(found, dict):
            raise self._death("it answered with what is no answer")
        return found

    def receive(self, count: int) -> bytearray:
        """Return the next bytes of an answer.

        Raises
        ------
        ProcessDied
        """
        try:
            return self._receive(count, time.monotonic() + self._seconds)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the process, and those that it started."""
        with suppress(OSError):  # it is over already
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()

    def _send(self, data: memoryview, until: float) -> None:
        while len(data):
            self._wait(self._to, select.POLLOUT, until)
            try:
                data = data[os.write(self._to, data) :]
            except BlockingIOError:  # there is room, and too little for what is written whole
                time.sleep(0.001)
            except BrokenPipeError as error:
                raise self._death(self._ending()) from error

    def _receive(self, count: int, until: float) -> bytearray:
        data = bytearray(count)
        free = memoryview(data)
        while len(free):
            self._wait(self._back, select.POLLIN, until)
            got = os.readv(self._back, [free])
            if not got:
                raise self._death(self._ending())
            free = free[got:]
        return data

    def _wait(self, pipe: int, event: int, until: float) -> None:
        waiting = select.poll()
        waiting.register(pipe, event)
        left = max(0.0, until - time.monotonic())
        if not waiting.poll(1000 * left):
            raise self._death(f"it took more than {self._seconds:g} seconds, and was ended")

    def _ending(self) -> str:
        """Return how it ended, for whose pipes are closed it is over, or about to be."""
        try:
            code = self._process.wait(1)
        except subprocess.TimeoutExpired:
            return "it closed its pipes"
        if code >= 0:
            return f"it ended with exit code {code}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        hint = ", as where memory runs out" if -code in (signal.SIGKILL, signal.SIGABRT) else ""
        return f"it was ended by {name}{hint}"

    def _death(self, reason: str) -> ProcessDied:
        self.close()
        return ProcessDied(reason)
