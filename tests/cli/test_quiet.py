"""The command line keeps log lines of TensorFlow off the terminal; the library does not."""

import subprocess
import sys


def said(quiet: str) -> tuple[str, str]:
    """Return what a process writes to both streams when a library writes to descriptor 2."""
    code = f"""
import os
from featx import backend
{quiet}
with backend.during_import():
    os.write(2, b"a line of a library")
print("done")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.strip(), run.stderr.strip()


def test_log_lines_of_the_import_are_kept_off_the_terminal() -> None:
    assert said("from featx.cli.quiet import quiet_backend; quiet_backend()") == ("done", "")


def test_the_library_leaves_the_error_stream_alone() -> None:
    assert said("") == ("done", "a line of a library")


def test_what_a_failing_import_says_is_shown() -> None:
    code = """
import os
from featx import backend
from featx.cli.quiet import quiet_backend
quiet_backend()
with backend.during_import():
    os.write(2, b"why it failed")
    raise ImportError("broken")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 1 and "why it failed" in run.stderr and "broken" in run.stderr
