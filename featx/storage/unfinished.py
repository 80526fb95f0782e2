"""What a stopped run left beside its output, so that the same command goes on from it.

- `Shards`, for rows of an output: the folder ``<out>.shards`` has `run.json`, and a file for each
  finished block: one line of JSON (the SHA-256 of the block, and a summary), then the block itself.
- `Checkpoint`, for a training: the file ``<out>.checkpoint`` has the weights and plain values that
  an epoch ended with.

Both keep what they are of, and refuse to go on with anything else. The parts of a cache are in
`cache.parts`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import CorruptError, IncompatibleError, printable
from . import files

__all__ = ["Checkpoint", "Shards", "State"]

_RUN = "run.json"


def _require_same(run: dict[str, Any], before: Mapping[str, Any], path: Path) -> None:
    """Check that what was left is of the same run.

    Raises
    ------
    IncompatibleError
        When it is not; the message names what differs.
    """
    different = [name for name in run if before.get(name) != run[name]]
    if different:
        raise IncompatibleError(
            f"{printable(path)} is left from a run that was not finished, with other "
            f"{', '.join(different)}. Run the same command as then, give another output, or "
            "add --overwrite to start again."
        )


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
        try:
            before = dict(json.loads(files.read_bytes(record)))
        except (ValueError, TypeError):
            before = {}
        _require_same(self._run, before, self.folder)
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
            f"{printable(self._path(number))} is damaged. Delete it and run the same command again."
        )


class State(NamedTuple):
    """Arrays in the order that they were given, and plain values."""

    arrays: dict[str, list[np.ndarray]]
    values: dict[str, Any]


class Checkpoint:
    """The file of the state beside an output, ``<out>.checkpoint`` (safetensors).

    Parameters
    ----------
    out : Path
        The output.
    run : dict
        What must be equal for a training to go on, in plain values.
    """

    def __init__(self, out: Path, run: dict[str, Any]) -> None:
        self.path = out.with_name(out.name + ".checkpoint")
        self._run = json.loads(json.dumps(run))

    def load(self) -> State | None:
        """Return the state that is there, or None. Call it under the lock of the output.

        Raises
        ------
        IncompatibleError
            When it is of another training.
        CorruptError
            When it is damaged.
        """
        files.remove_partials(self.path)
        if not self.path.exists():
            return None
        from safetensors import SafetensorError, safe_open

        refused = f"{printable(self.path)} is damaged. Delete it and run the same command again."
        try:
            with safe_open(self.path, framework="numpy") as file:
                described = json.loads((file.metadata() or {})["featx"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            run, values = dict(described["run"]), dict(described["values"])
            arrays: dict[str, list[np.ndarray]] = {
                group: [tensors[f"{group}/{number}"] for number in range(count)]
                for group, count in described["groups"].items()
            }
        except (SafetensorError, OSError, LookupError, ValueError, TypeError) as error:
            raise CorruptError(refused) from error
        _require_same(self._run, run, self.path)
        return State(arrays, values)

    def save(self, arrays: Mapping[str, Sequence[np.ndarray]], values: dict[str, Any]) -> None:
        """Write the state, atomically, in place of the one before."""
        from safetensors.numpy import save

        tensors = {
            f"{group}/{number}": np.array(array, order="C")  # as it is, be it a single number
            for group, some in arrays.items()
            for number, array in enumerate(some)
        }
        groups = {group: len(some) for group, some in arrays.items()}
        described = {"run": self._run, "groups": groups, "values": values}
        files.write_bytes(self.path, save(tensors, {"featx": json.dumps(described)}))

    def remove(self) -> None:
        """Delete the file."""
        files.remove(self.path)
