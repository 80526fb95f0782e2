"""Files that a stopped run leaves beside its output, so that the same command goes on from them.

- `Shards`, for rows of an output: the folder ``<out>.shards`` has `run.json`, and a file for each
  finished block: one line of JSON (the SHA-256 of the block, and a summary), then the block itself.
- `Checkpoint`, for a training: the file ``<out>.checkpoint`` has the weights and plain values at
  the end of an epoch.

Both store what their run was asked to do, and refuse to go on when another run finds them. The
parts of a cache are in `cache.parts`.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..errors import CorruptError, IncompatibleError, StorageError, printable
from . import files
from .tensors import read_tensors, save_tensors

__all__ = ["Checkpoint", "Shards", "State", "shard_bytes"]

_RUN = "run.json"


class _Unfinished:
    """A path beside an output, and the run that may go on from it.

    Parameters
    ----------
    out : Path
        The output.
    run : dict
        Plain values; two runs with equal ones make the same output.
    """

    suffix: ClassVar[str]

    def __init__(self, out: Path, run: dict[str, Any]) -> None:
        self.path = out.with_name(out.name + self.suffix)
        self._run = json.loads(json.dumps(run))

    def _require_same(self, before: Mapping[str, Any]) -> None:
        """Check that the run that was stopped is this one.

        Raises
        ------
        IncompatibleError
            When it is another one; the message names the values that differ.
        """
        different = [name for name in self._run if before.get(name) != self._run[name]]
        if different:
            raise IncompatibleError(
                f"{printable(self.path)} is left from a run that was not finished, with other "
                f"{', '.join(different)}. Run the same command as then, give another output, or "
                "add --overwrite to start again."
            )


def _damaged(path: Path) -> CorruptError:
    return CorruptError(f"{printable(path)} is damaged. Delete it and run the same command again.")


class Shards(_Unfinished):
    """The folder of finished blocks beside an output."""

    suffix = ".shards"

    def begin(self) -> set[int]:
        """Make the folder if it is missing, and return the numbers of the blocks it has.

        Raises
        ------
        IncompatibleError
            When the folder is of another run.
        """
        record = self.path / _RUN
        if not record.exists():
            files.make_folder(self.path)
            files.write_bytes(record, json.dumps(self._run, indent=1).encode())
            return set()
        try:
            before = dict(json.loads(files.read_bytes(record)))
        except (ValueError, TypeError):
            before = {}
        self._require_same(before)
        return {int(path.stem) for path in self.path.glob("*.shard")}

    def leftover(self, name: str) -> list[dict[str, Any]]:
        """Return summaries of the blocks of any run with the same value of this name as this one.

        A block whose summary cannot be read is passed over.
        """
        try:
            before = dict(json.loads(files.read_bytes(self.path / _RUN)))
        except (StorageError, ValueError, TypeError):
            return []
        if before.get(name) != self._run[name]:
            return []
        found = []
        for path in sorted(self.path.glob("*.shard")):
            with contextlib.suppress(CorruptError):
                found.append(self.summary(int(path.stem)))
        return found

    def write(self, number: int, summary: dict[str, Any], block: bytes) -> None:
        """Write a block and its summary, atomically."""
        files.write_bytes(self.shard(number), shard_bytes(summary, block))

    def summary(self, number: int) -> dict[str, Any]:
        """Return the summary of a block.

        Raises
        ------
        CorruptError
            When it cannot be parsed.
        """
        path = self.shard(number)
        with files.storage_errors(path), path.open("rb") as file:
            return _summary(path, file.readline())

    def blocks(self, count: int) -> Iterator[bytes]:
        """Yield the blocks 0 to `count` − 1.

        Raises
        ------
        CorruptError
            When a block's SHA-256 is not the one that was stored.
        """
        for number in range(count):
            path = self.shard(number)
            with files.storage_errors(path), path.open("rb") as file:
                head, block = file.readline(), file.read()
            if _summary(path, head)["sha256"] != files.digest(block):
                raise _damaged(path)
            yield block

    def remove(self) -> None:
        """Delete the folder; `run.json` goes last, since files are deleted in order of name."""
        files.remove_folder(self.path)

    def shard(self, number: int) -> Path:
        """Return the file of a block."""
        return self.path / f"{number:08d}.shard"


def shard_bytes(summary: Mapping[str, Any], block: bytes) -> bytes:
    """Return the bytes of a shard."""
    head = json.dumps({"sha256": files.digest(block), **summary})
    return head.encode() + b"\n" + block


def _summary(path: Path, line: bytes) -> dict[str, Any]:
    try:
        return {"sha256": "", **json.loads(line)}
    except (ValueError, TypeError) as error:
        raise _damaged(path) from error


class State(NamedTuple):
    """The content of a checkpoint: groups of arrays, each in the order it was given, and values."""

    arrays: dict[str, list[np.ndarray]]
    values: dict[str, Any]


class Checkpoint(_Unfinished):
    """The file with the state of a training beside an output (safetensors)."""

    suffix = ".checkpoint"

    def load(self) -> State | None:
        """Return the state that was saved, or None. Call it under the lock of the output.

        Raises
        ------
        IncompatibleError
            When the state is of another training.
        CorruptError
            When the file is damaged.
        """
        files.remove_partials(self.path)
        if not self.path.exists():
            return None
        try:
            tensors, about = read_tensors(self.path)
            described = json.loads(about["featx"])
            run, values = dict(described["run"]), dict(described["values"])
            arrays: dict[str, list[np.ndarray]] = {
                group: [tensors[f"{group}/{number}"] for number in range(count)]
                for group, count in described["groups"].items()
            }
        except (OSError, LookupError, ValueError, TypeError) as error:
            raise _damaged(self.path) from error
        self._require_same(run)
        return State(arrays, values)

    def save(self, arrays: Mapping[str, Sequence[np.ndarray]], values: dict[str, Any]) -> None:
        """Write the state, atomically, in place of the one before."""
        tensors = {
            f"{group}/{number}": array
            for group, some in arrays.items()
            for number, array in enumerate(some)
        }
        groups = {group: len(some) for group, some in arrays.items()}
        described = {"run": self._run, "groups": groups, "values": values}
        files.write_bytes(self.path, save_tensors(tensors, {"featx": json.dumps(described)}))

    def remove(self) -> None:
        """Delete the file."""
        files.remove(self.path)
