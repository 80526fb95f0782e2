"""The command extract."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import printable
from .exits import exit_on_error
from .meter import Meter
from .options import (
    AUGMENTATIONS,
    HOW,
    OUTPUT,
    RARE,
    WHAT,
    HelpPage,
    Json,
    Outside,
    Quiet,
    Resize,
    Runtime,
    Seed,
    Size,
    Sources,
    examples,
    listed_sources,
    settings_from,
)
from .terminal import say, say_next, say_skipped, write_json

if TYPE_CHECKING:
    from ..cache.extract import ExtractResult

__all__ = ["app"]

app = typer.Typer()

_MOST_CLASSES = 12


@app.command(
    cls=HelpPage,
    epilog=examples(
        "extract photos",
        "extract photos -o flips.h5 --copies 1 --augment flip",
        "extract list.csv --cut block4_pool --json",
    ),
)
def extract(
    source: Sources,
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            metavar="CACHE",
            help="The cache of features to make, or to bring up to date.",
            rich_help_panel=WHAT,
        ),
    ] = Path("features.h5"),
    copies: Annotated[
        int,
        typer.Option(
            metavar="K",
            help="How many augmented copies of each image are cached beside the original. They "
            "are used for training only.",
            rich_help_panel=WHAT,
        ),
    ] = 0,
    augment: Annotated[
        str | None,
        typer.Option(
            metavar=AUGMENTATIONS,
            help="Augmentation policy of the copies; featx preview shows what they look like.",
            show_default="mild with copies, else none",
            rich_help_panel=WHAT,
        ),
    ] = None,
    size: Size = 224,
    resize: Resize = "crop",
    cut: Annotated[
        str,
        typer.Option(
            metavar="LAYER",
            help="Layer of VGG16 whose output is cached, such as block4_pool.",
            rich_help_panel=HOW,
        ),
    ] = "block5_pool",
    seed: Seed = 0,
    weights: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            envvar="FEATX_WEIGHTS",
            help="Weights of VGG16: auto, keras, torchvision, random (for tests), or a .h5 or "
            ".safetensors file.",
            rich_help_panel=HOW,
        ),
    ] = "auto",
    precision: Annotated[
        str,
        typer.Option(
            metavar="PRECISION",
            help="Precision in which the network computes: auto, float32 or bfloat16. auto is "
            "bfloat16 where the processor has it.",
            rich_help_panel=RARE,
        ),
    ] = "auto",
    dtype: Annotated[
        str,
        typer.Option(
            metavar="float16|float32",
            help="Data type of the cached features.",
            rich_help_panel=RARE,
        ),
    ] = "float16",
    runtime: Runtime = "auto",
    batch: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="How many images the network computes at a time.",
            rich_help_panel=RARE,
        ),
    ] = 16,
    preprocessing: Annotated[
        str | None,
        typer.Option(
            metavar="caffe|torch",
            help="How pixels are normalised for the weights of a file that featx does not know.",
            rich_help_panel=RARE,
        ),
    ] = None,
    max_bad: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Stop when more than this share of the images cannot be used.",
            show_default="0.1, and never for 10 or fewer",
            rich_help_panel=RARE,
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Stop at the first image that cannot be used.",
            rich_help_panel=RARE,
        ),
    ] = False,
    allow_outside: Outside = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace an existing cache, whatever its settings.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Send every image through VGG16 once and cache its features.

    Run again, the command computes only what is new. Interrupted, it continues where it stopped.
    Images that cannot be used are skipped and listed, and the exit code is then 3.
    """
    given = locals()
    with exit_on_error(json, quiet=quiet, resume="Finished parts are kept."):
        from ..cache.extract import ExtractSettings
        from ..cache.extract import extract as run

        settings = settings_from(ExtractSettings, given)
        with (
            Meter("Fetching weights", "MB", scale=1e6, quiet=quiet) as download,
            Meter("Extracting", "images", quiet=quiet) as progress,
        ):
            listed = listed_sources(source, allow_outside)
            done = run(listed, out, settings, progress=progress, download_progress=download)
        if json:
            write_json(done.as_dict())
        else:
            _show(done)
            if done.classes:
                say_next(f"featx fit {printable(out)}", "finds the best classifier", quiet=quiet)
        if done.skipped:
            raise typer.Exit(3)


def _show(done: "ExtractResult") -> None:
    """Write what was cached, and what was not."""
    fingerprint = done.fingerprint
    shape = "×".join(map(str, fingerprint.trunk.shape))
    copies = f", with {fingerprint.copies} copies of each image" if fingerprint.copies else ""
    rate = f" ({done.computed / done.seconds:.1f} a second)" if done.computed else ""
    say(f"{printable(done.out)}: {shape} features at {fingerprint.trunk.cut}{copies}")
    say(
        f"  {done.listed} listed = {done.cached} cached + {done.duplicates} duplicates "
        f"+ {len(done.skipped)} skipped"
    )
    say(f"  {done.reused} reused; {done.computed} computed in {done.seconds:.1f} s{rate}")
    say(f"  {_counts('classes', done.classes)}" if done.classes else "  no labels")
    if done.splits:
        say(f"  {_counts('splits', done.splits)}")
    if done.ignored:
        say(f"  {done.ignored} files that do not look like images were ignored")
    say_skipped([(row.path, row.reason) for row in done.skipped])


def _counts(what: str, counts: Mapping[str, int]) -> str:
    named = [f"{printable(name)} {count}" for name, count in counts.items()]
    more = f" and {len(named) - _MOST_CLASSES} more" if len(named) > _MOST_CLASSES else ""
    return f"{len(named)} {what}: {', '.join(named[:_MOST_CLASSES])}{more}"
