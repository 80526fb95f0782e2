"""Options about where the work of a run is done, and for how long."""

from typing import Annotated

import typer

from . import completion
from .options import ADVANCED

__all__ = ["Backend", "MaxHours", "Scheduler"]

Backend = Annotated[
    str | None,
    typer.Option(
        "--backend",
        metavar="NAME",
        autocompletion=completion.BACKEND,
        rich_help_panel=ADVANCED,
        help="Where the work is done: local, on this machine, or dask, by the workers of a Dask "
        "cluster, which --scheduler names.",
        show_default="local",
    ),
]

Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        rich_help_panel=ADVANCED,
        help="The scheduler of the Dask cluster: tcp://HOST:8786, or the file that it wrote its "
        "address into.",
    ),
]

MaxHours = Annotated[
    float | None,
    typer.Option(
        "--max-hours",
        metavar="H",
        rich_help_panel=ADVANCED,
        help="Stop after H hours, when the part that is under way is written, with exit code 12. "
        "The same command goes on from there.",
    ),
]
