"""`featx export`: a model as a file for other programs."""

from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import printable
from . import completion
from .exits import exit_on_error
from .meter import Meter
from .options import NETWORK, Json, Model, Overwrite, Quiet, Verbose, Weights
from .pages import settings_from
from .terminal import print_next, say, say_wrapped, write_json

if TYPE_CHECKING:
    from ..exporting.export import ExportResult

__all__ = ["export"]


def export(
    model: Model,
    out: Annotated[
        str,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            help="The file to write. Its ending says the format: .onnx for ONNX, .tflite for "
            "LiteRT (TensorFlow Lite), .keras for Keras. A name without an ending, or with / at "
            "the end, is the folder of a TensorFlow SavedModel.",
        ),
    ] = "model.keras",
    quantize: Annotated[
        str | None,
        typer.Option(
            metavar="TYPE",
            autocompletion=completion.QUANTIZATION,
            help="The type of the weights of a .tflite file, one of "
            "{exporting.formats.QUANTIZATIONS}: float16 makes it half the size, and int8 a "
            "quarter. Its probabilities may then differ by up to 0.02.",
            show_default="float32",
        ),
    ] = None,
    check_images: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="A folder of images or a manifest. The file is run on some of these images before "
            "it is written.",
            show_default="images of the cache that the model was fitted on; generated images if "
            "those are gone",
        ),
    ] = None,
    overwrite: Overwrite = False,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=completion.EXPORT_PRECISION,
            rich_help_panel=NETWORK,
            help="The precision in which the file computes: one of {exporting.formats.PRECISIONS}. "
            "auto is float32, and for a .keras file the precision that the model was made in, or "
            "float32 if that is int8. Only .keras files compute in bfloat16.",
        ),
    ] = None,
    weights: Weights = "auto",
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """Write a model as a file for other programs: ONNX, TFLite, Keras or SavedModel.

    The file is run without featx: it takes images as pixels and gives the probabilities of the
    classes. The names of the classes, the size and the resize rule are in it. Before the file is
    written, it is run on images, and it is refused if it does not give the probabilities of
    featx score.
    """
    with exit_on_error(json, quiet=quiet, verbose=verbose):
        from ..exporting.export import ExportSettings, check_export
        from ..exporting.export import export as run
        from ..model.file import load

        settings = settings_from(ExportSettings, locals())
        _, wanted = check_export(out, settings)  # before a download
        with Meter("Fetching weights", "MB", scale=1e6, quiet=quiet) as download:
            loaded = load(model, weights=weights, download_progress=download)
            _ = loaded.trunk
        with Meter("Exporting", "steps", quiet=quiet) as progress:
            written = run(loaded, out, settings, progress=progress)
        if json:
            write_json(written.as_dict(), "export")
            return
        _say(written)
        print_next(f"{wanted.opened.format(repr(printable(written.out)))}   in Python", quiet=quiet)


def _say(written: "ExportResult") -> None:
    side, classes = written.size, len(written.classes)
    say(f"{printable(written.out)}: {written.bytes / 1e6:.0f} MB ({written.seconds:.0f} s)")
    say_wrapped(
        f"  input: uint8 RGB images (n, {side}, {side}, 3); output: probabilities of {classes} "
        f"classes (n, {classes})",
        "  ",
    )
    here = written.apart_here
    default = ""
    if here is not None and here != written.apart:
        default = f", and {here:.2g} from those that featx score gives here by default"
    say_wrapped(
        f"  checked: {written.runtime} on {written.images} {written.checked_on}; probabilities are "
        f"at most {written.apart:.2g} from those of the model in {written.precision}{default}",
        "  ",
    )
