"""`featx check`: what is the matter with the images of a source."""

from typing import TYPE_CHECKING, Annotated

import typer

from ..showing.words import shortened
from .exits import exit_on_error
from .listing import print_classes, print_dark, print_equal
from .meter import Meter
from .options import Columns, Json, Outside, Quiet, Sources, source_words, sources
from .terminal import print_next, print_skipped, say, say_wrapped, write_json

if TYPE_CHECKING:
    from ..images.check import CheckResult

__all__ = ["check"]


def check(
    source: Sources,
    columns: Columns = None,
    allow_outside: Outside = False,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="End with exit code 3 for images that are there twice too."),
    ] = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Look through images before anything is computed.

    The command decodes every image and says which cannot be used and why, which are there twice or
    in two classes, and which classes and splits there are. It needs no network and no weights. The
    exit code is 3 when images cannot be used or are in two classes.
    """
    with exit_on_error(json, quiet=quiet):
        from ..images.check import check as run

        with Meter("Checking", "images", quiet=quiet) as progress:
            found = run(sources(source, allow_outside, columns), progress=progress)
        if json:
            write_json(found.as_dict(), "check")
        else:
            print_checked(found)
            given = source_words(source, allow_outside, columns)
            print_next(f"featx extract {given}", quiet=quiet)
        if found.skipped or found.conflicts or (strict and found.equal):
            raise typer.Exit(3)


def print_checked(found: "CheckResult") -> None:
    """Write which images can be used, and what is the matter with the others."""
    say(
        f"{found.listed:,} images: {found.usable:,} usable, {len(found.skipped):,} not "
        f"({found.seconds:.1f} s)"
    )
    print_classes(found.classes, found.splits)
    if found.classes and found.unlabelled:
        say(f"  {found.unlabelled:,} images without a label")
    if found.ignored:
        say(f"  {found.ignored:,} files that do not look like images are ignored")
    if found.few:
        say_wrapped(f"  few images, so scores are mostly chance: {shortened(found.few)}", " " * 4)
    print_skipped(found.skipped)
    print_equal(found.equal)
    print_dark(found.dark)
