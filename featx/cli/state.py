"""How far a run is, as a small JSON file and as text for Prometheus. Nothing here acts."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from .lines import moment

__all__ = ["BEGINS", "STATES", "Far", "State", "as_bytes", "state_after"]

StateName = Literal["running", "done", "failed", "stopped"]
STATES: tuple[StateName, ...] = ("running", "done", "failed", "stopped")

#: How progress files begin, so that no other file is replaced by one.
BEGINS = (b'{\n "command"', b"# HELP featx_")
#: Exit codes of a run that did what it was asked for, and of one that somebody stopped.
_DONE, _STOPPED = (0, 3), (12, 130, 143)


def state_after(code: int) -> StateName:
    """Return what an exit code means for those who wait for the result."""
    return "done" if code in _DONE else "stopped" if code in _STOPPED else "failed"


@dataclass(frozen=True)
class Far:
    """How far one stage of a run is.

    Attributes
    ----------
    stage : str
        What is going on, such as "Extracting".
    done, total : float
        0 as the total when it is not known.
    unit : str
    rate : float
        Units a second of this run; 0 when it is not known yet.
    seconds_left : float, optional
    """

    stage: str = ""
    done: float = 0
    total: float = 0
    unit: str = ""
    rate: float = 0
    seconds_left: float | None = None

    def as_fields(self) -> dict[str, Any]:
        """Return plain values for JSON, rounded to what anybody reads."""
        left = self.seconds_left
        return {
            **asdict(self),
            "done": _short(self.done),
            "total": _short(self.total),
            "rate": round(self.rate, 3),
            "seconds_left": None if left is None else round(left),
        }


@dataclass(frozen=True)
class State:
    """A run, as whoever waits for it sees it.

    Attributes
    ----------
    command, process, host, version : str or int
        Who runs.
    started, updated : float
        Seconds since 1970.
    far : Far
    state : {"running", "done", "failed", "stopped"}
    exit_code : int, optional
    message : str
        Why it failed, or what stopped it.
    """

    command: str
    process: int
    host: str
    version: str
    started: float
    updated: float
    far: Far = Far()
    state: StateName = "running"
    exit_code: int | None = None
    message: str = ""

    def as_json(self) -> str:
        """Return the content of a progress file."""
        content = {
            "command": self.command,
            "process": self.process,
            "host": self.host,
            "version": self.version,
            "started": moment(self.started),
            "updated": moment(self.updated),
            "state": self.state,
            **self.far.as_fields(),
            "exit_code": self.exit_code,
            "message": self.message,
        }
        return json.dumps(content, indent=1) + "\n"

    def as_prometheus(self, run: str) -> str:
        """Return metrics in the text format that node_exporter's textfile collector reads.

        Parameters
        ----------
        run : str
            A label that tells runs apart whose files lie in one folder.
        """
        labels = {"run": run, "command": self.command}
        unit = {**labels, "unit": self.far.unit}
        metrics: list[tuple[str, str, list[tuple[dict[str, str], float | None]]]] = [
            ("done", "Units of work that are done.", [(unit, self.far.done)]),
            ("total", "Units of work in all; 0 when that is not known.", [(unit, self.far.total)]),
            ("rate_per_second", "Units of work a second.", [(unit, self.far.rate)]),
            ("left_seconds", "Seconds to the end, estimated.", [(labels, self.far.seconds_left)]),
            ("started_timestamp_seconds", "When the run began.", [(labels, self.started)]),
            ("updated_timestamp_seconds", "When it last advanced.", [(labels, self.updated)]),
            ("exit_code", "Exit code of a run that ended.", [(labels, self.exit_code)]),
            (
                "state",
                "1 for the state that the run is in.",
                [({**labels, "state": name}, float(name == self.state)) for name in STATES],
            ),
        ]
        lines = []
        for name, text, samples in metrics:
            known = [(some, value) for some, value in samples if value is not None]
            if known:
                lines += [f"# HELP featx_{name} {text}", f"# TYPE featx_{name} gauge"]
                lines += [f"featx_{name}{{{_labels(some)}}} {value:.15g}" for some, value in known]
        return "\n".join(lines) + "\n"


def as_bytes(state: State, path: Path) -> bytes:
    """Return the content of a progress file of this name."""
    is_prometheus = path.suffix == ".prom"
    text = state.as_prometheus(path.stem) if is_prometheus else state.as_json()
    return text.encode("utf-8", "backslashreplace")


def _short(number: float) -> float:
    return int(number) if float(number).is_integer() else round(number, 2)


def _labels(labels: dict[str, str]) -> str:
    def escaped(value: str) -> str:
        return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

    return ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items())
