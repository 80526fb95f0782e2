"""The state of a training that is under way, so that a killed one goes on from its last epoch."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import files
from .errors import CorruptError, IncompatibleError, shown

__all__ = ["Checkpoint", "State"]


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

        refused = f"{shown(self.path)} is damaged. Delete it and run the same command again."
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
        different = [name for name in self._run if run.get(name) != self._run[name]]
        if different:
            raise IncompatibleError(
                f"{shown(self.path)} is left from a training that was not finished, with other "
                f"{', '.join(different)}. Run the same command as then, give another output, or "
                "add --overwrite to start again."
            )
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
