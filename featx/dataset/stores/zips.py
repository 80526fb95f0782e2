"""Zip archives."""

import contextlib
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from ...errors import CorruptError, printable
from ...storage import files
from .members import check_name
from .store import NotRead

__all__ = ["Zip"]

_ENCRYPTED = 1  # a flag of a member
_MODE, _IS_LINK, _KIND = 16, 0o120000, 0o170000  # where Unix puts the kind of a file


class Zip:
    """An open zip archive, whose members are read by their names.

    Parameters
    ----------
    path : str
    """

    def __init__(self, path: str) -> None:
        self._path = path
        with _refusals(path), files.storage_errors(Path(path)):
            self._zip = zipfile.ZipFile(path)
        found = [info for info in self._zip.infolist() if not info.is_dir()]
        self._members = {check_name(path, info.filename): info for info in found}
        if len(self._members) < len(found):
            seen: set[str] = set()
            for info in found:
                name = check_name(path, info.filename)
                if name in seen:
                    raise CorruptError(
                        f"{printable(path)} has two members {printable(name)!r}, and it cannot be "
                        "told which is meant. Pack it anew."
                    )
                seen.add(name)
        self.names = list(self._members)

    def read(self, name: str, most: int) -> bytes:
        """Return the bytes of a member; see `Store.read`."""
        info = self._members.get(name)
        if info is None:
            raise NotRead("vanished", "the archive has no such member")
        if info.flag_bits & _ENCRYPTED:
            raise NotRead("unreadable", "it is encrypted in the archive")
        if (info.external_attr >> _MODE) & _KIND == _IS_LINK:
            raise NotRead("unreadable", "a link in the archive, and no file")
        if info.file_size > most:
            raise NotRead("too_large", f"{info.file_size:,} bytes, and {most:,} are the most")
        with files.storage_errors(Path(self._path)):
            try:
                with self._zip.open(info) as member:
                    # What the archive says of the size need not be so.
                    data = member.read(most + 1)
            except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                raise NotRead("unreadable", f"damaged in the archive: {error}") from error
            except (NotImplementedError, RuntimeError) as error:
                raise NotRead("unreadable", f"packed in an unknown way: {error}") from error
        if len(data) > most:
            raise NotRead("too_large", f"more than {most:,} bytes")
        return data


@contextlib.contextmanager
def _refusals(path: str) -> Iterator[None]:
    """Give the errors of damaged archives their names."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        if hasattr(error, "exit_code"):
            raise
        raise CorruptError(
            f"{printable(path)} is damaged, or is no zip archive: {printable(error)}. Make or copy "
            "it again."
        ) from error
