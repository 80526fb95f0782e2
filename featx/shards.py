"""Shards: finished blocks of an output that is being made, so that a killed run can go on.

They lie in ``<out>.shards``: `run.json` says what they are shards of, and each shard is a file with
one line of JSON (the SHA-256 of what follows, and a summary of it) and then the block itself.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import files
from .errors import CorruptError, IncompatibleError, shown

__all__ = ["Shards"]

_RUN = "run.json"


class Shards:
    """The folder of shards beside an output.

    Parameters
    ----------
    out : Path
        The output; the shards lie in ``<out>.shards``.
    run : dict
        What must be equal for shards to be of one output, in plain values.
    """

    def __init__(self, out: Path, run: dict[str, Any]) -> None:
        self.folder = out.with_name(out.name + ".shards")
        self._run = json.loads(json.dumps(run))

    def begin(self) -> set[int]:
        """Make the folder, or go on with what is there; return the numbers that are done.

        Raises
        ------
        IncompatibleError
            When there are shards of something else.
        """
        record = self.folder / _RUN
        if not record.exists():
            files.make_folder(self.folder)
            files.write_bytes(record, json.dumps(self._run, indent=1).encode())
            return set()
        with files.storage_errors(record):
            before = record.read_bytes()
        different = _differences(before, self._run)
        if different:
            raise IncompatibleError(
                f"{shown(self.folder)} is left from a run that was not finished, with other "
                f"{', '.join(different)}. Run the same command as then, give another output, or "
                "add --overwrite to start again."
            )
        return {int(path.stem) for path in self.folder.glob("*.shard")}

    def write(self, number: int, summary: dict[str, Any], block: bytes) -> None:
        """Write a shard, atomically."""
        head = json.dumps({"sha256": files.digest(block), **summary})
        files.write_bytes(self._path(number), head.encode() + b"\n" + block)

    def summary(self, number: int) -> dict[str, Any]:
        """Return the summary of a shard."""
        with files.storage_errors(self._path(number)), self._path(number).open("rb") as file:
            return self._summary(number, file.readline())

    def blocks(self, count: int) -> Iterator[bytes]:
        """Yield the blocks of shards 0 to `count` − 1.

        Raises
        ------
        CorruptError
            When one is not what was written.
        """
        for number in range(count):
            with files.storage_errors(self._path(number)), self._path(number).open("rb") as file:
                head, block = file.readline(), file.read()
            if self._summary(number, head)["sha256"] != files.digest(block):
                raise self._damaged(number)
            yield block

    def remove(self) -> None:
        """Delete the folder, and what says what the shards are of last, by the order of names."""
        files.remove_folder(self.folder)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08d}.shard"

    def _summary(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            return {"sha256": "", **json.loads(line)}
        except (ValueError, TypeError) as error:
            raise self._damaged(number) from error

    def _damaged(self, number: int) -> CorruptError:
        return CorruptError(
            f"{shown(self._path(number))} is damaged. Delete it and run the same command again."
        )


def _differences(before: bytes, run: dict[str, Any]) -> list[str]:
    try:
        other = dict(json.loads(before))
    except (ValueError, TypeError):
        return list(run)
    return [name for name in run if other.get(name) != run[name]]
