"""The command verify."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import printable
from .exits import exit_on_error
from .meter import Meter
from .options import WHAT, HelpPage, Json, Quiet, examples
from .terminal import say, write_json

if TYPE_CHECKING:
    from ..model.verify import VerifyResult

__all__ = ["app"]

app = typer.Typer()


@app.command(
    cls=HelpPage,
    epilog=examples("verify features.h5 model.featx", "verify features.h5 --against photos"),
)
def verify(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="Caches and models.", show_default=False),
    ],
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="SOURCE",
            help="The images that the files were made of: check that each is there and unchanged.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Verify caches and models: checksum, structure and every value.

    The report lists the problems and what can still be used; the exit code is then 4.
    """
    with exit_on_error(json, quiet=quiet):
        from ..model.verify import verify as run

        found = []
        with Meter("Verifying", "images", quiet=quiet) as progress:
            for path in paths:
                found.append(run(path, against=against, progress=progress))
        if json:
            write_json({"files": [one.as_dict() for one in found]})
        else:
            for one in found:
                _show(one)
        if any(one.problems for one in found):
            raise typer.Exit(4)


def _show(found: "VerifyResult") -> None:
    """Write what was found in a file, and what can be done."""
    name = printable(found.path)
    if not found.problems:
        parts = f", and {found.parts} whole parts of an unfinished run" if found.parts else ""
        of = "images" if found.kind == "cache" else "training images"
        say(f"{name}: whole, a {found.kind} of {found.images:,} {of}{parts}")
        return
    say(f"{name}: not as it should be")
    for problem in found.problems:
        say(f"  wrong: {problem}")
    for usable in found.usable:
        say(f"  still usable: {usable}")
