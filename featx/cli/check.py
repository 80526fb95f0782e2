"""`featx check`: what is the matter with the images of a source."""

from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import printable
from .exits import exit_on_error
from .meter import Meter
from .options import Columns, Json, Outside, Quiet, Sources, source_words, sources
from .terminal import (
    print_next,
    print_skipped,
    print_some,
    say,
    say_wrapped,
    shortened,
    warn,
    write_json,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..dataset.duplicates import EqualImages
    from ..images.check import CheckResult

__all__ = ["check", "print_equal"]


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
    if found.classes:
        say_wrapped(f"  {len(found.classes)} classes: {shortened(found.classes)}", " " * 4)
    else:
        say("  no classes: the images have no labels")
    if found.splits:
        say_wrapped(f"  {len(found.splits)} splits: {shortened(found.splits)}", " " * 4)
    if found.classes and found.unlabelled:
        say(f"  {found.unlabelled:,} images without a label")
    if found.ignored:
        say(f"  {found.ignored:,} files that do not look like images are ignored")
    if found.few:
        say_wrapped(f"  few images, so scores are mostly chance: {shortened(found.few)}", " " * 4)
    print_skipped(found.skipped)
    print_equal(found.equal)
    if found.dark:
        warn(
            f"  {len(found.dark):,} images of 16 bits are nearly black, for example "
            f"{printable(found.dark[0])}: for a 12-bit camera, extract with --bits 12"
        )


def print_equal(equal: "Sequence[EqualImages]") -> None:
    """Write which images have the same bytes, those in two classes first, to the error stream."""
    if not equal:
        return
    lines = []
    for group in equal:
        names = " = ".join(map(printable, group.paths))
        if group.has_conflict:
            labels = ", ".join(map(printable, group.labels))
            names += f": in the classes {labels}, so fit refuses them; remove or relabel one"
        elif len(group.splits) > 1:
            names += f": in the splits {', '.join(group.splits)}, so they are not trained on"
        lines.append(f"the same image: {names}")
    print_some(lines)
