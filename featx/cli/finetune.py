"""The command finetune."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import printable
from .exits import exit_on_error
from .meter import Meter
from .options import (
    HOW,
    OUTPUT,
    WHAT,
    ClassWeight,
    HelpPage,
    Json,
    Model,
    Outside,
    Quiet,
    Seed,
    Weights,
    examples,
    settings_from,
)
from .terminal import say, say_next, table, write_json

if TYPE_CHECKING:
    from ..finetuning.finetune import FinetuneResult

__all__ = ["app"]

app = typer.Typer()


@app.command(
    cls=HelpPage,
    epilog=examples(
        "finetune model.featx -o tuned.featx",
        "finetune model.featx -o tuned.featx --from block5_conv2 --epochs 20 --plot",
    ),
)
def finetune(
    model: Model,
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="SOURCE",
            help="A cache of the model's images, at the cut or at another layer, or their folder.",
            show_default="the cache that the model was fitted on",
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            metavar="MODEL",
            help="The model file to write.",
            rich_help_panel=WHAT,
        ),
    ] = Path("tuned.featx"),
    unfreeze: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="How many of the last layers of VGG16 are trained, 1 to all 18.",
            rich_help_panel=WHAT,
        ),
    ] = 4,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="LAYER",
            help="First layer that is trained, in place of --unfreeze.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    epochs: Annotated[
        int, typer.Option(metavar="N", help="Maximum number of epochs.", rich_help_panel=WHAT)
    ] = 10,
    learning_rate: Annotated[
        float,
        typer.Option(
            metavar="RATE",
            help="Learning rate of the optimizer, the same for all trained layers.",
            rich_help_panel=WHAT,
        ),
    ] = 1e-5,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Keep the fine-tuned network even where it is no better than the head.",
            rich_help_panel=WHAT,
        ),
    ] = False,
    warmup: Annotated[
        float,
        typer.Option(
            metavar="EPOCHS",
            help="Epochs of linear learning-rate warm-up; fractions are allowed.",
            rich_help_panel=HOW,
        ),
    ] = 0.5,
    optimizer: Annotated[
        str,
        typer.Option(
            metavar="adam|sgd",
            help="Optimizer of Keras; sgd has a momentum of 0.9.",
            rich_help_panel=HOW,
        ),
    ] = "adam",
    batch_size: Annotated[
        int,
        typer.Option(metavar="N", help="Number of images in a batch.", rich_help_panel=HOW),
    ] = 32,
    weight_decay: Annotated[
        float,
        typer.Option(
            metavar="RATE", help="Decoupled weight decay, as in AdamW.", rich_help_panel=HOW
        ),
    ] = 0.0,
    dropout: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="Dropout rate before the last layer, while it is trained.",
            rich_help_panel=HOW,
        ),
    ] = 0.0,
    label_smoothing: Annotated[
        float,
        typer.Option(
            metavar="FACTOR", help="Label smoothing factor, 0 to below 1.", rich_help_panel=HOW
        ),
    ] = 0.0,
    patience: Annotated[
        int,
        typer.Option(
            metavar="EPOCHS",
            help="Epochs without a lower validation loss after which training stops.",
            rich_help_panel=HOW,
        ),
    ] = 2,
    validation: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="Share of the training images held out to choose the number of epochs by.",
            rich_help_panel=HOW,
        ),
    ] = 0.15,
    class_weight: ClassWeight = None,
    seed: Seed = 0,
    weights: Weights = "auto",
    allow_outside: Outside = False,
    plot: Annotated[
        bool,
        typer.Option(
            "--plot",
            help="Draw the training curves into a .png file beside the model.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Start again in place of continuing an interrupted run.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train the last layers of VGG16 from a fitted head, and keep them if they are better.

    The layers before them are frozen, so their output is cached once, beside the cache that the
    model was fitted on; an epoch then computes the last layers only. The number of epochs is
    chosen, and the result compared with the head, on training images that neither was trained on.
    The test images are read once, at the end.
    """
    given = locals()
    kept = "Finished epochs and extracted images are kept."
    with exit_on_error(json, quiet=quiet, resume=kept, without="--overwrite"):
        from ..dataset.scan import scan
        from ..finetuning.curves import check_plot, draw
        from ..finetuning.finetune import FinetuneSettings
        from ..finetuning.finetune import finetune as run

        if plot:
            check_plot()
        settings = settings_from(FinetuneSettings, given)
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
            draw(found.model.report["tuning"], out.with_suffix(".png"))
        if json:
            write_json(found.as_dict())
        else:
            _show(found)
            say_next(f"featx score {printable(out)} FOLDER", "labels other images", quiet=quiet)


def _show(found: "FinetuneResult") -> None:
    """Write what fine-tuning came to."""
    tuning = found.model.report["tuning"]
    say(found.reason)
    say()
    rows = [
        [name, f"{test.accuracy:.4f}", f"{test.balanced_accuracy:.4f}", f"{test.log_loss:.4f}",
         "kept" if (name == "fine-tuned") == found.kept else ""]
        for name, test in (("head", found.head_test), ("fine-tuned", found.tuned_test))
    ]  # fmt: skip
    title = f"{found.head_test.images} test images"
    table(title, ["", "accuracy", "balanced accuracy", "log loss", ""], rows)
    say()
    say(f"Trained layers     {', '.join(tuning['layers'])} and the head, from {tuning['head']}")
    say(f"Epochs             {tuning['epochs']}")
    say(f"Cache at the cut   {printable(found.cache)}")
    say(f"{printable(found.out)} was written ({found.seconds:.1f} s in all).")
