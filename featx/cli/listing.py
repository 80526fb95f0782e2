"""What was found in a source, in lines: shared by check and extract."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..errors import printable
from ..showing.words import number_of, shortened
from .terminal import print_some, say, say_wrapped, warn

if TYPE_CHECKING:
    from ..dataset.duplicates import EqualImages

__all__ = ["print_classes", "print_dark", "print_equal"]


def print_classes(classes: Mapping[str, int], splits: Mapping[str, int]) -> None:
    """Write the classes and splits with the numbers of their images."""
    if classes:
        counted = f"{number_of(len(classes), 'class', 'classes')}: {shortened(classes)}"
        say_wrapped(f"  {counted}", " " * 4)
    else:
        say("  no classes: the images have no labels")
    if splits:
        say_wrapped(f"  {number_of(len(splits), 'split')}: {shortened(splits)}", " " * 4)


def print_equal(equal: "Sequence[EqualImages]") -> None:
    """Write which images have the same bytes, those in two classes first, to the error stream."""
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


def print_dark(dark: Sequence[str]) -> None:
    """Write that images of 16 bits are nearly black, to the error stream."""
    if dark:
        warn(
            f"  {number_of(len(dark), 'image')} of 16 bits, for example {printable(dark[0])}, use "
            "less than a sixteenth of the range and are nearly black. For a 12-bit camera, extract "
            "with --bits 12."
        )
