"""Commands that make a network of a model: finetune, export."""

from pathlib import Path
from typing import Annotated

import typer

from . import terminal
from .exits import exit_on_error
from .options import ClassWeight, Json, Model, Outside, Quiet, Seed, Weights

__all__ = ["app"]

app = typer.Typer()


@app.command(
    epilog="Examples:  featx finetune model.featx -o tuned.featx   |   featx finetune model.featx "
    "-o tuned.featx --from block5_conv2 --epochs 20 --plot"
)
def finetune(
    model: Model,
    source: Annotated[
        Path | None,
        typer.Argument(
            help="A cache of the model's images, at the cut or at another, or their folder.",
            show_default="the cache that it was fitted on",
        ),
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="The model to write.")] = Path(
        "tuned.featx"
    ),
    unfreeze: Annotated[
        int, typer.Option(metavar="N", help="How many of the last layers to train, 1 to all 18.")
    ] = 4,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="LAYER", help="The first of them, in place of --unfreeze."),
    ] = None,
    epochs: Annotated[int, typer.Option(help="At most so many.")] = 10,
    learning_rate: Annotated[float, typer.Option(help="Of all layers.")] = 1e-5,
    warmup: Annotated[
        float, typer.Option(metavar="EPOCHS", help="In which the learning rate rises from 0.")
    ] = 0.5,
    optimizer: Annotated[
        str, typer.Option(metavar="adam|sgd", help="SGD has a momentum of 0.9.")
    ] = "adam",
    batch_size: Annotated[int, typer.Option(help="Images in a batch.")] = 32,
    weight_decay: Annotated[float, typer.Option(help="Apart from the gradient.")] = 0.0,
    dropout: Annotated[
        float, typer.Option(help="Share of the last layer's inputs left out while training.")
    ] = 0.0,
    label_smoothing: Annotated[
        float, typer.Option(help="Share of the truth that is spread over all classes.")
    ] = 0.0,
    patience: Annotated[
        int, typer.Option(help="Epochs without a lower validation loss before it stops.")
    ] = 2,
    validation: Annotated[
        float, typer.Option(help="Share of the training images to choose the epoch by.")
    ] = 0.15,
    class_weight: ClassWeight = None,
    seed: Seed = 0,
    force: Annotated[
        bool, typer.Option("--force", help="Keep the tuned network even where it is no better.")
    ] = False,
    plot: Annotated[
        bool, typer.Option("--plot", help="Draw the curves of both stages beside it, as .png.")
    ] = False,
    weights: Weights = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Do not go on from an interrupted run.")
    ] = False,
    allow_outside: Outside = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train the last layers of VGG16 from a fitted head, and keep them if they are better.

    The layers before them are frozen, so their features are extracted once, beside the cache that
    the model was fitted on; an epoch then runs the last layers alone. The epoch is chosen, and the
    head compared with, on training images held out from both; the test images are read once.
    """
    kept = "Finished epochs and extracted images are kept."
    with exit_on_error(json, quiet=quiet, resume=kept, without="--overwrite"):
        from ..dataset.scan import scan
        from ..finetuning import finetune as finetuning
        from ..finetuning.curves import check_plot, draw

        if plot:
            check_plot()
        settings = finetuning.FinetuneSettings(
            unfreeze=unfreeze,
            start=start,
            epochs=epochs,
            learning_rate=learning_rate,
            warmup=warmup,
            optimizer=optimizer,
            batch_size=batch_size,
            weight_decay=weight_decay,
            dropout=dropout,
            label_smoothing=label_smoothing,
            patience=patience,
            validation=validation,
            class_weight=class_weight,
            seed=seed,
            force=force,
            overwrite=overwrite,
        )
        with (
            terminal.Meter("Fetching weights", "MB", scale=1e6, quiet=quiet) as download,
            terminal.Meter("Extracting", "images", quiet=quiet) as extracting,
            terminal.Meter("Tuning", "batches", quiet=quiet) as progress,
        ):
            listed = scan(source, allow_outside=True) if source and allow_outside else source
            found = finetuning.finetune(
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
            terminal.write_json(found.as_dict())
        else:
            terminal.print_finetuned(found)


@app.command(epilog="Example:  featx export model.featx -o model.keras")
def export(
    model: Model,
    out: Annotated[Path, typer.Option("-o", "--out", help="The file to write, .keras.")] = Path(
        "model.keras"
    ),
    weights: Weights = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
    json: Json = False,
) -> None:
    """Write a model as one plain Keras file, from uint8 images to class probabilities.

    Anything that runs Keras opens it, without featx. The head must be one that can become layers.
    """
    with exit_on_error(json):
        from ..model.export import export as write
        from ..model.file import load

        with terminal.Meter("Fetching weights", "MB", scale=1e6) as download:
            loaded = load(model, weights=weights, download_progress=download)
            written = write(loaded, out, overwrite=overwrite)
        if json:
            terminal.write_json(written.as_dict())
        else:
            terminal.print_exported(written)
