"""Temporary files without a name: what is too large for memory, and is gone when its user is."""

import os
import secrets
import tempfile
from pathlib import Path

from . import files

__all__ = ["Scratch"]


class Scratch(files.Partial):
    """A temporary file that nothing has to delete, however the process ends.

    Its name is removed as soon as it is open, in the platform's folder for temporary files (the
    environment variable `TMPDIR` names another). The disk frees it when it is closed.

    Raises
    ------
    StorageError
        When it cannot be made.
    """

    def __init__(self) -> None:
        path = Path(tempfile.gettempdir(), f"featx-{secrets.token_hex(8)}.tmp")
        with files.storage_errors(path):
            super().__init__(path)
            files.disk.remove(path)

    def fileno(self) -> int:
        """Return the descriptor; `os.pread` with it moves no position."""
        return self._descriptor

    def append(self, data: bytes) -> int:
        """Write at the end, and return where the data begin.

        Raises
        ------
        StorageError
            When the disk is full, or another call failed.
        """
        with files.storage_errors(self.path.parent):
            offset = self.seek(0, os.SEEK_END)
            self.write(data)
            self.check()
        return offset
