"""`featx finetune`: the last layers of the network, trained from a fitted head."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import printable
from . import completion
from .exits import exit_on_error
from .meter import Meter
from .options import (
    ADVANCED,
    OUTPUT,
    TRAINING,
    ClassWeight,
    Json,
    Model,
    Outside,
    Plot,
    Quiet,
    Seed,
    Verbose,
    Weights,
)
from .pages import settings_from
from .terminal import print_next, print_table, quoted, say, say_wrapped, write_json

if TYPE_CHECKING:
    from ..finetuning.finetune import FinetuneResult

__all__ = ["finetune"]


def finetune(
    model: Model,
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="SOURCE",
            help="The images that the model was trained on: their folder, or a cache of them, made "
            "at any layer.",
            show_default="the cache that the model was fitted on",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FILE", help="The model file to write.")
    ] = Path("tuned.featx"),
    unfreeze: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Number of layers to train, counted from the end; blocks are layers too.",
            show_default="4 of vgg16 and the small networks, 1 to 3 of others",
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="LAYER",
            autocompletion=completion.LAYER,
            help="The first layer to train, such as block5_conv1, instead of --unfreeze.",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(metavar="N", help="Maximum number of epochs.")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(metavar="RATE", help="Learning rate of all trained layers.")
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=completion.OPTIMIZER,
            rich_help_panel=TRAINING,
            help="One of {finetuning.recipe.OPTIMIZERS}; sgd has a momentum of 0.9.",
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            metavar="N", rich_help_panel=TRAINING, help="Number of images in a training batch."
        ),
    ] = None,
    warmup: Annotated[
        float | None,
        typer.Option(
            metavar="EPOCHS",
            rich_help_panel=TRAINING,
            help="Epochs of linear learning-rate warm-up; fractions are allowed.",
        ),
    ] = None,
    weight_decay: Annotated[
        float | None,
        typer.Option(
            metavar="RATE",
            rich_help_panel=TRAINING,
            help="Decoupled weight decay, as in AdamW.",
        ),
    ] = None,
    dropout: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            rich_help_panel=TRAINING,
            help="Dropout rate before the last layer, 0 to below 1.",
        ),
    ] = None,
    label_smoothing: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            rich_help_panel=TRAINING,
            help="Label smoothing factor, 0 to below 1.",
        ),
    ] = None,
    l2_sp: Annotated[
        float | None,
        typer.Option(
            metavar="STRENGTH",
            rich_help_panel=TRAINING,
            help="L2 penalty on the distance of the trained weights from where they start.",
        ),
    ] = None,
    cosine: Annotated[
        bool,
        typer.Option(
            "--cosine",
            rich_help_panel=TRAINING,
            help="Let the learning rate fall to 0 over all epochs like half a cosine.",
        ),
    ] = False,
    flip: Annotated[
        bool,
        typer.Option(
            "--flip",
            rich_help_panel=TRAINING,
            help="Mirror half of the cached maps at random, left to right.",
        ),
    ] = False,
    mixup: Annotated[
        float | None,
        typer.Option(
            metavar="A",
            rich_help_panel=TRAINING,
            help="Mix pairs of maps and labels by shares from Beta(A, A); 0 mixes none.",
        ),
    ] = None,
    average: Annotated[
        int | None,
        typer.Option(
            metavar="EPOCHS",
            rich_help_panel=TRAINING,
            help="Take the mean of the weights over this many epochs, the last ones.",
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            metavar="EPOCHS",
            rich_help_panel=TRAINING,
            help="Training stops after this many epochs without a lower validation loss.",
        ),
    ] = None,
    validation: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            rich_help_panel=TRAINING,
            help="Share of the training images held out to choose the best epoch.",
        ),
    ] = None,
    class_weight: ClassWeight = None,
    allow_outside: Outside = False,
    weights: Weights = "auto",
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            rich_help_panel=ADVANCED,
            help="Keep the fine-tuned network even if it is no better than the head.",
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            rich_help_panel=OUTPUT,
            help="Replace an existing output, and start again instead of continuing an interrupted "
            "run.",
        ),
    ] = False,
    seed: Seed = None,
    plot: Plot = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """Train the last layers of VGG16 from a fitted head, and keep them if they are better.

    The layers before them are frozen. Their features are extracted once and cached beside the cache
    that the model was fitted on, so an epoch runs only the last layers. The best epoch is chosen,
    and compared with the head, on training images that both have not seen. The test images are used
    once, at the end.
    """
    kept = "Finished epochs and extracted images are kept."
    with exit_on_error(json, quiet=quiet, verbose=verbose, resume=kept, without="--overwrite"):
        from ..dataset.scan import scan
        from ..finetuning.finetune import FinetuneSettings
        from ..finetuning.finetune import finetune as run
        from ..showing.figures import check_out, write_figure
        from ..showing.plots import plot_tuning

        if plot:
            check_out(plot, overwrite)
        settings = settings_from(FinetuneSettings, locals())
        with (
            Meter("Fetching weights", "MB", scale=1e6, quiet=quiet) as download,
            Meter("Extracting", "images", quiet=quiet) as extracting,
            Meter("Fine-tuning", "batches", quiet=quiet) as progress,
        ):
            listed = scan(source, allow_outside=True) if source and allow_outside else source
            found = run(
                model,
                out,
                listed,
                settings,
                weights=weights,
                progress=progress,
                extract_progress=extracting,
                download_progress=download,
            )
        if plot:
            curves = plot_tuning(found.model.report["tuning"])
            write_figure(curves, plot, overwrite=overwrite)
        if json:
            write_json(found.as_dict(), "finetune")
            return
        print_finetuned(found)
        print_next(f"featx score {quoted(found.out)} FOLDER -o scores.csv", quiet=quiet)


def print_finetuned(found: "FinetuneResult") -> None:
    """Write whether the fine-tuned network is kept, and how both do on the test images."""
    tuning = found.model.report["tuning"]
    say_wrapped(found.reason)
    say()
    rows = [
        [
            label,
            f"{test.accuracy:.4f}",
            f"{test.balanced_accuracy:.4f}",
            f"{test.log_loss:.4f}",
            "kept" if tuned == found.kept else "",
        ]
        for label, tuned, test in (
            ("head", False, found.head_test),
            ("fine-tuned", True, found.tuned_test),
        )
    ]
    title = f"{found.head_test.images} test images"
    heads = ["", "accuracy", "balanced accuracy", "log loss", "verdict"]
    print_table(title, heads, rows, left=["verdict"])
    say()
    say_wrapped(f"Trained  {', '.join(tuning['layers'])} and the head, from {tuning['head']}", "  ")
    say(f"Epochs   {tuning['epochs']}")
    say(f"Cache    {printable(found.cache)}")
    say(f"Model    {printable(found.out)} ({found.seconds:.1f} s)")
