"""Commands about images: sample, extract, preview."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import printable
from . import terminal
from .exits import exit_on_error
from .options import Json, Outside, Quiet, Resize, Runtime, Seed, Size, Sources, sources

__all__ = ["app"]

app = typer.Typer()


@app.command(epilog="Example:  featx sample data/digits --per-class 60")
def sample(
    folder: Annotated[Path, typer.Argument(help="Where to; empty or new.")],
    per_class: Annotated[
        int | None, typer.Option(help="Images of each class.", show_default="all 1,797 images")
    ] = None,
    json: Json = False,
) -> None:
    """Write a real data set to try featx on: handwritten digits in class folders."""
    with exit_on_error(json):
        from ..dataset.sample import write_sample

        written = write_sample(folder, per_class)
        if json:
            terminal.write_json(written.as_dict())
        else:
            terminal.say(
                f"{printable(written.out)}: {written.train} images to train, {written.test} to test"
            )


@app.command(
    epilog="Examples:  featx extract photos   |   featx extract photos -o flips.h5 --copies 1 "
    "--augment flip   |   featx extract list.csv --cut block4_pool --json"
)
def extract(
    source: Sources,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="The cache to make or to update.")
    ] = Path("features.h5"),
    cut: Annotated[
        str, typer.Option(help="VGG16's layer where the frozen part ends, such as block4_pool.")
    ] = "block5_pool",
    size: Size = 224,
    resize: Resize = "crop",
    copies: Annotated[int, typer.Option(help="Augmented copies beside each original.")] = 0,
    augment: Annotated[
        str | None,
        typer.Option(
            metavar="none|flip|mild|article",
            help="How copies differ.",
            show_default="mild with copies, else none",
        ),
    ] = None,
    seed: Seed = 0,
    weights: Annotated[
        str,
        typer.Option(
            envvar="FEATX_WEIGHTS",
            help="auto, keras, torchvision, random (for tests), or a .h5 or .safetensors file.",
        ),
    ] = "auto",
    preprocessing: Annotated[
        str | None,
        typer.Option(metavar="caffe|torch", help="What the weights of an unknown file want."),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            metavar="auto|float32|bfloat16",
            help="How the network computes; auto is bfloat16 where the processor has it.",
        ),
    ] = "auto",
    dtype: Annotated[
        str, typer.Option(metavar="float16|float32", help="Of the cached features.")
    ] = "float16",
    runtime: Runtime = "auto",
    batch: Annotated[int, typer.Option(help="Images in a batch of the network.")] = 16,
    max_bad: Annotated[
        float | None,
        typer.Option(
            help="Stop when more than this share of the images cannot be used.",
            show_default="0.1, and never for 10 or fewer",
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first image that cannot be used.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make an existing cache anew, with any settings.")
    ] = False,
    allow_outside: Outside = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Send images through VGG16 once and cache their features.

    Run again, it computes only what is new. Interrupted, it goes on where it was. Images that
    cannot be used are skipped and listed, and the exit code is then 3.
    """
    with exit_on_error(json, quiet=quiet, resume="Finished parts are kept."):
        from ..cache import extract as extraction

        settings = extraction.ExtractSettings(
            cut=cut,
            size=size,
            resize=resize,
            copies=copies,
            augment=augment,
            seed=seed,
            weights=weights,
            preprocessing=preprocessing,
            precision=precision,
            dtype=dtype,
            runtime=runtime,
            batch=batch,
            max_bad=max_bad,
            strict=strict,
            overwrite=overwrite,
        )
        with (
            terminal.Meter("Fetching weights", "MB", scale=1e6, quiet=quiet) as download,
            terminal.Meter("Extracting", "images", quiet=quiet) as progress,
        ):
            listed = sources(source, allow_outside)
            done = extraction.extract(
                listed, out, settings, progress=progress, download_progress=download
            )
        if json:
            terminal.write_json(done.as_dict())
        else:
            terminal.print_extraction(done)
        if done.skipped:
            raise typer.Exit(3)


@app.command(epilog="Example:  featx preview photos -o sheet.png --augment article --copies 4")
def preview(
    source: Sources,
    out: Annotated[Path, typer.Option("-o", "--out", help="The sheet, .png or .jpg.")] = Path(
        "sheet.png"
    ),
    images: Annotated[int, typer.Option(help="How many, taken evenly from the source.")] = 6,
    augment: Annotated[
        str, typer.Option(metavar="none|flip|mild|article", help="How copies differ.")
    ] = "mild",
    copies: Annotated[
        int | None,
        typer.Option(help="Copies beside each original.", show_default="5; flip 1; none 0"),
    ] = None,
    seed: Seed = 0,
    size: Size = 224,
    resize: Resize = "crop",
    allow_outside: Outside = False,
    json: Json = False,
) -> None:
    """Draw a contact sheet of images and their augmented copies, as the network sees them."""
    with exit_on_error(json):
        from ..images import preview as previewing

        if copies is None:
            copies = {"none": 0, "flip": 1}.get(augment, 5)
        settings = previewing.PreviewSettings(
            images=images, augment=augment, copies=copies, seed=seed, size=size, resize=resize
        )
        drawn = previewing.preview(sources(source, allow_outside), out, settings)
        if json:
            terminal.write_json(drawn.as_dict())
        else:
            terminal.say(f"{printable(drawn.out)}: {drawn.images} images")
            terminal.print_skipped(drawn.skipped)
        if drawn.skipped:
            raise typer.Exit(3)
