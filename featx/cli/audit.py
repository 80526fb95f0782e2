"""`featx audit`: which images of a cache a person should look at."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import printable
from ..showing.words import number_of, shortened
from .exits import exit_on_error
from .meter import Meter
from .options import (
    IMAGES,
    TRAINING,
    Features,
    Heads,
    Json,
    Overwrite,
    Quiet,
    Seed,
    names,
)
from .pages import settings_from
from .terminal import print_next, print_table, quoted, say, say_wrapped, write_json

if TYPE_CHECKING:
    from ..auditing.result import AuditResult

__all__ = ["audit", "print_audited"]


def audit(
    features: Features = Path("features.h5"),
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            help="Write a manifest (.csv) of all images, the most suspicious first. Edit it, and "
            "give it to featx extract.",
        ),
    ] = None,
    groups: Annotated[
        Path | None,
        typer.Option(
            "--groups",
            metavar="FILE",
            help="Write a manifest (.csv) in which near duplicates are one group, so that fit and "
            "compare keep them on one side of every split.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    heads: Heads = None,
    most: Annotated[
        int,
        typer.Option("--most", min=0, metavar="N", help="Number of images to print of each kind."),
    ] = 10,
    pixels: Annotated[
        bool,
        typer.Option(
            "--pixels/--no-pixels",
            rich_help_panel=IMAGES,
            help="Read the image files, to confirm near duplicates and to find images that are "
            "dark, blurred and so on.",
        ),
    ] = True,
    folds: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=1000,
            metavar="N",
            rich_help_panel=TRAINING,
            help="Number of folds of the cross-validation over all labelled images.",
        ),
    ] = None,
    seed: Seed = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Find images that a person should look at: wrong labels, near duplicates, leaks, rubbish.

    The command looks at all labelled images of a cache, whatever their split, and changes nothing.
    It runs no network. The exit code is 0, whatever it finds.
    """
    with exit_on_error(json, quiet=quiet):
        from ..auditing.audit import audit as run
        from ..auditing.settings import AuditSettings

        settings = settings_from(AuditSettings, locals(), heads=names(heads))
        with (
            Meter("Looking", "images", quiet=quiet) as progress,
            Meter("Cross-validating", "folds", quiet=quiet) as folds_progress,
        ):
            found = run(
                features,
                out,
                settings,
                groups=groups,
                progress=progress,
                folds_progress=folds_progress,
            )
        if json:
            write_json(found.as_dict(), "audit")
            return
        print_audited(found, most)
        for written, what in (
            (found.out, "the most suspicious first; edit it before the next command"),
            (found.groups_out, "with a group for those that show the same picture"),
        ):
            if written:
                say_wrapped(f"{printable(written)}: all images, {what}", "  ")
        print_next(_after(features, found), quiet=quiet)


def _after(features: Path, found: "AuditResult") -> str:
    """Return the command that takes in what a person edited, or that writes it."""
    written = found.out or found.groups_out
    if written is None:
        return f"featx audit {quoted(features)} -o audit.csv"
    outside = " --allow-outside" if found.is_outside else ""
    return f"featx extract {quoted(written)} -o {quoted(features)}{outside}"


def print_audited(found: "AuditResult", most: int) -> None:
    """Write what an audit found: counts in sentences, then the worst of each kind."""
    say_wrapped(
        f"{number_of(found.images, 'image')} with a label looked at ({found.seconds:.1f} s)"
    )
    for line in _summary(found):
        say_wrapped(f"  {line}", " " * 4)
    _print_issues(found, most)
    _print_duplicates(found, most)
    _print_odd(found, most)


def _summary(found: "AuditResult") -> list[str]:
    """Return the counts in sentences."""
    lines = []
    if found.heads:
        issues = number_of(len(found.label_issues), "label is", "labels are")
        lines.append(
            f"{issues} probably wrong, by {', '.join(found.heads)}, none of them trained on the "
            "images that they judge."
        )
    else:
        lines.append("Labels were not examined.")
    if found.left_out:
        lines.append(f"Labels of these classes were not examined: {shortened(found.left_out)}.")
    together = sum(len(group.paths) for group in found.duplicates)
    groups = number_of(len(found.duplicates), "group")
    line = f"{number_of(together, 'image')} in {groups} show the same picture"
    line += f": {len(found.leaks):,} of the groups are in different splits, and "
    line += f"{len(found.conflicts):,} have different labels."
    lines.append(line if found.duplicates else "No two images show the same picture.")
    counts = _odd_counts(found)
    lines.append(f"Odd images: {shortened(counts)}." if counts else "No image is odd.")
    if found.unreadable:
        lines.append(
            f"{number_of(found.unreadable, 'file')} could not be read, or changed since the "
            "extraction, so pixels were not compared there."
        )
    if found.score_before is not None and found.score_after is not None:
        hint = "" if found.groups_out else " --groups FILE writes a manifest that does that."
        lines.append(
            f"In cross-validation, the best head is right on {found.score_before:.2%} of the "
            f"images; with near duplicates kept together, on {found.score_after:.2%}.{hint}"
        )
    return lines


def _odd_counts(found: "AuditResult") -> Mapping[str, int]:
    counts: dict[str, int] = {}
    for odd in found.odd:
        counts[odd.kind] = counts.get(odd.kind, 0) + 1
    return counts


def _print_issues(found: "AuditResult", most: int) -> None:
    rows = [
        [
            printable(issue.path),
            printable(issue.label),
            printable(issue.suggested),
            f"{issue.label_probability:.3f}",
            f"{issue.suggested_probability:.3f}",
            f"{issue.neighbours_agree:.0%}",
            f"{issue.quality:.3f}",
        ]
        for issue in found.label_issues
    ]
    heads = ["path", "label", "suggested", "p(label)", "p(suggested)", "neighbours", "quality"]
    _print_worst("Labels that are probably wrong", heads, rows, most, ["label", "suggested"])


def _print_duplicates(found: "AuditResult", most: int) -> None:
    rows = []
    for group in found.duplicates:
        what = [", ".join(group.kinds)]
        what += ["different labels"] * group.has_conflict + ["leak"] * group.crosses_splits
        labels = ", ".join(printable(label) for label in dict.fromkeys(group.labels))
        paths = [printable(path) for path in group.paths[:3]]
        more = [f"and {len(group.paths) - 3} more"] if len(group.paths) > 3 else []
        images = " = ".join([*paths, *more])
        rows.append([images, labels, "; ".join(what), f"{group.similarity:.3f}"])
    heads = ["images", "label", "how", "cosine"]
    _print_worst("Images that show the same picture", heads, rows, most, ["label", "how"])


def _print_odd(found: "AuditResult", most: int) -> None:
    from ..auditing.odd import ODD

    for name, kind in ODD.items():
        rows = [
            [printable(odd.path), printable(odd.label), f"{odd.value:.4g}", f"{odd.limit:.4g}"]
            for odd in found.odd
            if odd.kind == name
        ]
        heads = ["path", "label", "value", "limit"]
        _print_worst(f"{name}: {kind.summary}", heads, rows, most, ["label"])


def _print_worst(
    title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], most: int, left: Sequence[str]
) -> None:
    """Write the first rows of a table, and how many more there are; nothing where there is none."""
    if not rows or most < 1:
        return
    say()
    print_table(title, heads, rows[:most], left=left)
    if len(rows) > most:
        say(f"  … and {len(rows) - most} more (-o FILE lists all)")
