"""A command that stands for featx in tests of scripts: it writes down what it is asked for."""

import os
from pathlib import Path

__all__ = ["asked", "environment", "stand_in"]

#: It ends with the codes of a file in turn; "wait" waits for SIGTERM, as a run does.
_SCRIPT = """#!/usr/bin/env bash
echo "$(basename "$0") $*" >> "$PLACE/asked"
code=$(head -1 "$PLACE/codes" 2> /dev/null); sed -i 1d "$PLACE/codes"
[ "$code" != wait ] || { trap 'exit 143' TERM; touch "$PLACE/waits"; while :; do sleep 0.05; done; }
exit "${code:-0}"
"""
_PRINTS = """#!/usr/bin/env bash
echo "$(basename "$0") $*" >> "$PLACE/asked"
echo 4711
"""


def stand_in(place: Path, name: str, *, prints: bool = False) -> Path:
    """Make a command of this name in a folder."""
    path = place / name
    path.write_text(_PRINTS if prints else _SCRIPT)
    path.chmod(0o755)
    return path


def environment(place: Path, codes: str = "", **more: str) -> dict[str, str]:
    """Make a folder with a stand-in for featx; return the environment in which it is found."""
    place.mkdir()
    (place / "codes").write_text("".join(f"{code}\n" for code in codes.split()))
    stand_in(place, "featx")
    return {"PATH": f"{place}{os.pathsep}{os.environ['PATH']}", "PLACE": str(place), **more}


def asked(place: Path) -> list[str]:
    """Return the commands that were run, in order."""
    path = place / "asked"
    return path.read_text().splitlines() if path.exists() else []
