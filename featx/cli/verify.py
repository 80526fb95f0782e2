"""`featx verify`: whether caches and models are whole."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import printable
from .exits import exit_on_error
from .meter import Meter
from .options import Json, Quiet
from .terminal import print_next, quoted, say, write_json

if TYPE_CHECKING:
    from ..model.verify import VerifyResult

__all__ = ["verify"]


def verify(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="Caches and models to check.", show_default=False),
    ],
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="SOURCE",
            help="Check too that every image the file was made from is in this folder or manifest, "
            "unchanged.",
        ),
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Verify caches and models: checksum, structure and values.

    If something is wrong, the report lists the problems and what can still be used, and the exit
    code is 4.
    """
    with exit_on_error(json, quiet=quiet):
        from ..model.verify import verify as check

        with Meter("Verifying", "images", quiet=quiet) as progress:
            found = [check(path, against=against, progress=progress) for path in paths]
        if json:
            write_json({"files": [one.as_dict() for one in found]})
        else:
            for one in found:
                print_verified(one)
        if any(one.problems for one in found):
            raise typer.Exit(4)
        if not json:
            last = found[-1]
            follows = "score {} FOLDER -o scores.csv" if last.kind == "model" else "fit {}"
            print_next(f"featx {follows.format(quoted(last.path))}", quiet=quiet)


def print_verified(found: "VerifyResult") -> None:
    """Write the problems of a file and what can still be used, or that it is whole."""
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
