"""What a process that runs a foreign file gives up, for good, before it reads it.

On Linux the kernel takes away the network (a namespace without one), and by Landlock changes of
files outside one folder, starting programs, TCP, and signals to other processes. Neither needs
privileges, and either is left out where the kernel refuses it: Docker's usual profile does not let
a process have a namespace of its own, and kernels before 5.13 have no Landlock (TCP since 6.7,
signals since 6.12). On Linux and macOS, no file can grow; on Linux, data has a limit.

Reading of files is not taken away: what was read has no way out but the features.
"""

import ctypes
import os
import resource
import struct
import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["confine"]

_NEW_USER, _NEW_NET = 0x10000000, 0x40000000
_NO_NEW_PRIVILEGES = 38

# Landlock's system calls have the same numbers on every architecture that featx runs on.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION, _BENEATH = 1, 1
#: All rights over files and folders but to read them and to control devices: those of the first
#: version of Landlock, and what later ones added.
_EXECUTE = 1
_FILES = {1: 0b1_1111_1111_0011, 2: 1 << 13, 3: 1 << 14}
_TCP = {4: 0b11}
_SCOPES = {6: 0b11}  # abstract sockets of Unix, and signals


def confine(memory: int, folder: Path) -> None:
    """Give up what running a network does not need, in this process and all that it starts.

    The process must have one thread: those that run already would keep what they have.

    Parameters
    ----------
    memory : int
        Bytes of data at most.
    folder : Path
        In it, folders and empty files can be made, which libraries do when they are imported.
    """
    for limit, most in (
        (resource.RLIMIT_DATA, memory),  # not RLIMIT_AS: TensorFlow maps far more than it uses
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):  # a lower limit, or a system without this one, is fine
            resource.setrlimit(limit, (most, most))
    if sys.platform != "linux":
        return
    with suppress(OSError):  # where memory ends, this process goes first and not featx
        Path("/proc/self/oom_score_adj").write_text("1000")
    library = ctypes.CDLL(None, use_errno=True)
    library.unshare(_NEW_USER | _NEW_NET)
    library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _restrict(library, folder)


def _restrict(library: ctypes.CDLL, folder: Path) -> None:
    version = library.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)
    if version < 1:
        return
    rights = [
        sum(bits for since, bits in table.items() if since <= version)
        for table in (_FILES, _TCP, _SCOPES)
    ]
    # A kernel takes a longer description than it knows where the rest is zeros.
    asked = struct.pack("=3Q", *rights)
    rules = library.syscall(_CREATE_RULESET, asked, ctypes.c_size_t(len(asked)), 0)
    if rules < 0:
        return
    inside = os.open(folder, os.O_PATH)
    allowed = struct.pack("=Qi", rights[0] & ~_EXECUTE, inside)
    library.syscall(_ADD_RULE, rules, _BENEATH, allowed, 0)
    library.syscall(_RESTRICT_SELF, rules, 0)
    os.close(inside)
    os.close(rules)
