"""`featx extract`: images → a cache of features."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError, printable
from ..showing.words import number_of
from . import completion
from .exits import exit_on_error
from .listing import print_classes, print_dark, print_equal
from .meter import Meter
from .options import (
    ADVANCED,
    IMAGES,
    NETWORK,
    OUTPUT,
    Augment,
    Bits,
    Columns,
    Json,
    Outside,
    Quiet,
    Resize,
    Runtime,
    Seed,
    Sources,
    Verbose,
    names,
    sources,
)
from .pages import settings_from
from .runs import Backend, MaxHours, Scheduler
from .terminal import (
    print_next,
    print_skipped,
    print_some,
    quoted,
    say,
    warn,
    write_json,
)

if TYPE_CHECKING:
    from ..cache.extract import ExtractResult

__all__ = ["extract"]


def extract(
    context: typer.Context,
    source: Sources,
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            help="The cache to create or to update. With a name that ends in .d it is a folder, "
            "which takes a million images and more.",
        ),
    ] = Path("features.h5"),
    network: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            autocompletion=completion.NETWORK,
            help="The network: one of {network.networks.NETWORKS}, or a .keras or .onnx file of "
            "your own.",
            show_default="that of the cache, else vgg16",
        ),
    ] = None,
    cut: Annotated[
        str | None,
        typer.Option(
            metavar="LAYER",
            autocompletion=completion.LAYER,
            help="The layer whose output is cached, such as VGG16's block4_pool.",
            show_default="the last one",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            envvar="FEATX_WEIGHTS",
            help="The network's weights: auto (the first within reach), a source that featx "
            "weights lists, random (for tests), or a file: .h5, .safetensors, or of PyTorch.",
        ),
    ] = None,
    copies: Annotated[
        int | None,
        typer.Option(metavar="N", help="Number of augmented copies that are cached per image."),
    ] = None,
    augment: Augment = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace an existing cache, even one made with other settings."
        ),
    ] = False,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            rich_help_panel=OUTPUT,
            help="Drop the features of images that are no longer listed. Without this option they "
            "are kept, hidden from fit, until the images come back.",
        ),
    ] = False,
    quality: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=completion.QUALITY,
            help="fast, or best: larger images and mirrored ones, for better classifiers in four "
            "times the time. One of {cache.plan.QUALITIES}.",
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="PIXELS[,PIXELS...]",
            rich_help_panel=IMAGES,
            help="Width and height at which the network sees an image; a multiple of 32. Of "
            "further sizes, only the pools of layers are kept.",
            show_default="224, or 320 with --quality best",
        ),
    ] = None,
    mirror: Annotated[
        bool | None,
        typer.Option(
            "--mirror/--no-mirror",
            rich_help_panel=IMAGES,
            help="Pool the layers of the mirrored image too; classifiers see the mean of both.",
            show_default="only with --quality best",
        ),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            metavar="LAYER,LAYER...|none",
            autocompletion=completion.LAYERS,
            rich_help_panel=NETWORK,
            help="The layers whose mean and maximum are kept beside the features.",
            show_default="late ones, for VGG16 the convolutions of blocks 4 and 5",
        ),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=completion.KEEP,
            rich_help_panel=OUTPUT,
            help="What is kept of the features at the cut: one of {network.fingerprint.KEEP}. "
            "pooled is their mean and maximum: a smaller cache, without the views flatten and "
            "covariance and without heat maps.",
            show_default="what the cache has, else all",
        ),
    ] = None,
    resize: Resize = None,
    bits: Bits = None,
    max_bad: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            rich_help_panel=IMAGES,
            help="Stop when more than this share of the images cannot be used.",
            show_default="0.1, and 10 images are always tolerated",
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            rich_help_panel=IMAGES,
            help="Stop at the first image that cannot be used.",
        ),
    ] = False,
    columns: Columns = None,
    allow_outside: Outside = False,
    runtime: Runtime = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=completion.PRECISION,
            rich_help_panel=NETWORK,
            help="The number format that the network computes with: one of "
            "{network.runtime.PRECISIONS}. auto is the fastest that is as accurate and that "
            "this processor supports: int8 (of vgg16), bfloat16 or float32.",
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            rich_help_panel=NETWORK,
            help="Number of images that go through the network at a time.",
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            metavar="TYPE",
            autocompletion=completion.DTYPE,
            rich_help_panel=ADVANCED,
            help="Data type of the cached features: one of {network.fingerprint.DTYPES}.",
        ),
    ] = None,
    preprocessing: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=completion.PREPROCESSING,
            rich_help_panel=ADVANCED,
            help="The preprocessing that the weights expect, needed only for a file that featx "
            "does not know: one of {network.preprocessing.PREPROCESSING}.",
        ),
    ] = None,
    seed: Seed = None,
    share: Annotated[
        str | None,
        typer.Option(
            metavar="K/N",
            rich_help_panel=ADVANCED,
            help="Compute share K of N, as one of N processes or machines that see the same "
            "folder. When all have ended, `featx join` makes the cache.",
        ),
    ] = None,
    backend: Backend = None,
    scheduler: Scheduler = None,
    max_hours: MaxHours = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """Send images through a frozen network once and cache their features.

    When the command runs again, it computes only the features of new images. After an interruption
    it continues where it stopped. Images that cannot be used are skipped, and features of images
    that are no longer listed are kept but hidden: both are listed, and the exit code is then 3.
    """
    with exit_on_error(json, quiet=quiet, verbose=verbose, resume="Finished parts are kept."):
        from ..cache.extract import ExtractSettings
        from ..cache.extract import extract as run
        from ..network.networks import DEFAULT

        if network not in (None, DEFAULT) and _is_from_environment(context, "weights"):
            weights = None  # FEATX_WEIGHTS says which of VGG16's weights are taken
        settings = settings_from(
            ExtractSettings, locals(), size=_sizes(size), layers=_layers(layers)
        )
        with (
            Meter("Fetching weights", "MB", scale=1e6, quiet=quiet) as download,
            Meter("Extracting", "images", quiet=quiet) as progress,
        ):
            listed = sources(source, allow_outside, columns)
            done = run(listed, out, settings, progress=progress, download_progress=download)
        if json:
            write_json(done.as_dict(), "extract")
        else:
            print_extracted(done)
            after = f"featx fit {quoted(done.out)}"
            if done.share:
                after = f"featx join {quoted(done.out)}"
            elif len(done.classes) < 2:
                after = f"featx score MODEL {quoted(done.out)} -o scores.csv"
            print_next(after, quiet=quiet)
        if done.skipped or done.removed:
            raise typer.Exit(3)


def _is_from_environment(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "ENVIRONMENT"


def _sizes(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    sizes = names(text)
    if not sizes or not all(size.isdigit() for size in sizes):
        raise InputError(f"--size {text}: expected a number of pixels, or several: 224,320.")
    return tuple(map(int, sizes))


def _layers(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else () if text == "none" else names(text)


def print_extracted(done: "ExtractResult", *, here: bool = True) -> None:
    """Write which images are cached, and which are not; of shares, without a rate."""
    fingerprint = done.fingerprint
    shape = "×".join(map(str, fingerprint.trunk.shape))
    copies = f", {fingerprint.copies} copies of each" if fingerprint.copies else ""
    pooled = fingerprint.pooled
    rate = f" in {done.seconds:.1f} s" if here else " by all shares"
    if here and done.computed:
        rate += f" ({done.computed / done.seconds:.1f} a second)"
    if fingerprint.keep == "pooled":
        shape = f"mean and maximum of {shape}"
    share = f", share {done.share}" if done.share else ""
    say(
        f"{printable(done.out)}{share}: {shape} features of {fingerprint.trunk.row.title} at "
        f"{fingerprint.trunk.cut}{copies}, "
        f"in {fingerprint.precision} by {fingerprint.runtime}"
    )
    if pooled.names:
        passes = ", ".join(map(str, pooled.passes))
        say(f"  mean and maximum of {len(pooled.names)} layers, at {passes} pixels")
    say(
        f"  {done.listed} listed = {done.cached} cached + {done.duplicates} duplicates "
        f"+ {len(done.skipped)} skipped"
    )
    print_classes(done.classes, done.splits)
    say(f"  {done.reused} reused; {done.computed} computed{rate}")
    if done.ignored:
        say(f"  {done.ignored} files that do not look like images were ignored")
    if done.pruned:
        say(f"  {done.pruned} images are no longer listed: their features were dropped")
    print_skipped([(row.path, row.reason, done.details[row.path]) for row in done.skipped])
    print_equal(done.equal)
    print_dark(done.dark)
    if done.removed:
        print_some(
            [f"gone, or changed since: {printable(row.path or row.digest)}" for row in done.removed]
        )
        warn(
            f"  The features of {number_of(len(done.removed), 'image')} that "
            f"{'is' if len(done.removed) == 1 else 'are'} gone or changed are kept, hidden from "
            "fit; --prune drops them."
        )
