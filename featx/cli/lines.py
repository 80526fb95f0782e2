"""A line of a log, as text and as JSON. Nothing here acts."""

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..errors import printable

__all__ = ["Line", "moment"]


def moment(seconds: float, timespec: str = "milliseconds") -> str:
    """Return a time as ISO 8601 with the offset of this machine.

    Parameters
    ----------
    seconds : float
        Since 1970, as `time.time` says.
    timespec : str
        See `datetime.isoformat`.
    """
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec=timespec)


@dataclass(frozen=True)
class Line:
    """What a run says once.

    Attributes
    ----------
    message : str
        May have several lines, such as a traceback.
    level : int
        As in `logging`.
    command : str
        The command that runs, such as "extract".
    process : int
    host : str
    fields : mapping
        What programs want to read apart from the message.
    time : float
        Seconds since 1970.
    """

    message: str
    level: int
    command: str
    process: int
    host: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    time: float = field(default_factory=time.time)

    def as_text(self) -> str:
        """Return the line of a text file; further lines of the message are indented."""
        first, *rest = _lines(self.message)
        head = f"{moment(self.time)} {logging.getLevelName(self.level)}"
        return "\n    ".join([f"{head} {self.command}[{self.process}] {first}", *rest])

    def as_json(self) -> str:
        """Return a JSON object on one line."""
        return json.dumps(
            {
                "time": moment(self.time),
                "level": logging.getLevelName(self.level).lower(),
                "message": "\n".join(_lines(self.message)),
                "command": self.command,
                "process": self.process,
                "host": self.host,
                **self.fields,
            }
        )


def _lines(message: str) -> list[str]:
    """Return the lines of a message; none has a character that would begin another one."""
    return [printable(line.rstrip()) for line in message.strip().split("\n")]
