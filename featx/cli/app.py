"""The command line: its commands in the order of its help, and the way in."""

import os
from typing import Annotated

import typer

from .. import __version__
from . import exits
from .audit import audit
from .check import check
from .compare import compare
from .curve import curve
from .evaluate import evaluate
from .export import export
from .extract import extract
from .features import features
from .finetune import finetune
from .fit import fit
from .info import info
from .join import join
from .next import next as next_command
from .pages import Group, command
from .preview import preview
from .quiet import quiet_backend
from .report import report
from .sample import sample
from .score import score
from .similar import similar
from .streams import flush_streams, open_streams
from .terminal import say
from .verify import verify
from .weights import app as weights_app

__all__ = ["app", "main"]

app = typer.Typer(
    name="featx",
    cls=Group,
    help="Find the best model for a few labelled images, and label the next ten thousand with it."
    "\n\nEvery image goes through a frozen VGG16 once. Its features are cached, and classifiers "
    "are trained on the cache in seconds.",
    epilog="Start with `featx extract PHOTOS`, and then `featx fit`.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

command(app, "featx sample data/digits --per-class 60")(sample)
command(app, "featx check photos", "featx check list.csv --json", long=True)(check)
command(
    app,
    "featx extract photos",
    "featx extract photos -o flips.h5 --copies 1 --augment flip",
    "featx extract list.csv --cut block4_pool --json",
    "featx extract photos -o features.d --share 3/40",
    settings="cache.extract.ExtractSettings",
    long=True,
)(extract)
command(app, "featx join features.d", long=True)(join)
command(
    app,
    "featx preview photos -o sheet.png --augment article --copies 4",
    settings="images.preview.PreviewSettings",
)(preview)
command(
    app,
    "featx features features.h5 -o features.parquet",
    "featx features features.h5 -o layers.npz --view layers",
    settings="cache.features.FeaturesSettings",
    long=True,
)(features)
command(
    app,
    "featx compare",
    "featx compare features.h5 --heads logreg,rbf-svm --views all",
    "featx compare --metric log-loss --repeats 3 --out board.csv",
    "featx compare vgg16.h5 resnet50.h5 --prefer fast",
    settings="heads.settings.CompareSettings",
    long=True,
)(compare)
command(
    app,
    "featx audit",
    "featx audit features.h5 -o audit.csv --groups groups.csv",
    settings="auditing.settings.AuditSettings",
    long=True,
)(audit)
command(
    app,
    "featx similar bee.jpg features.h5 -k 5",
    "featx similar photos/*.jpg features.h5 -o similar.csv --sheet similar.png",
    settings="auditing.similar.SimilarSettings",
    long=True,
)(similar)
command(
    app,
    "featx curve",
    "featx curve features.h5 --head ridge --view layers -o curve.csv",
    settings="heads.curve.CurveSettings",
    long=True,
)(curve)
command(
    app,
    "featx fit",
    "featx fit features.h5 -o bees.featx --head linear-svm --view avg",
    "featx fit --head dense --set hidden=256 --set dropout=0.5",
    "featx fit --target-precision 0.99",
    "featx fit vgg16.h5 resnet50.h5 -o model.featx",
    settings="model.settings.FitSettings",
    long=True,
)(fit)
command(
    app,
    "featx finetune model.featx -o tuned.featx",
    "featx finetune model.featx --from block5_conv2 --epochs 20 --plot curves.png",
    settings="finetuning.finetune.FinetuneSettings",
    long=True,
)(finetune)
command(
    app,
    "featx score model.featx inbox -o scores.csv",
    "find inbox -name '*.jpg' -print0 | featx score model.featx - -0",
    "featx score model.featx features.h5 -o s.parquet --abstain 0.9",
    settings="scoring.score.ScoreSettings",
    long=True,
)(score)
command(
    app,
    "featx evaluate model.featx photos",
    "featx evaluate model.featx features.h5 --split val --json",
    settings="scoring.evaluate.EvaluateSettings",
    long=True,
)(evaluate)
command(
    app,
    "featx next model.featx inbox -n 50 -o next.csv",
    settings="scoring.next.NextSettings",
    long=True,
)(next_command)
command(
    app,
    "featx report model.featx -o report.html",
    "featx report model.featx --skip curve,audit",
    settings="reporting.report.ReportSettings",
    long=True,
)(report)
command(
    app,
    "featx export model.featx -o model.onnx",
    "featx export model.featx -o model.tflite --quantize float16",
    "featx export model.featx -o saved_model/ --check-images photos/test",
    settings="exporting.export.ExportSettings",
    long=True,
)(export)
command(
    app,
    "featx verify features.h5 model.featx",
    "featx verify features.h5 --against photos",
    long=True,
)(verify)
command(app, "featx info features.h5", "featx info model.featx --json")(info)
app.add_typer(weights_app, name="weights")


def main() -> None:
    """Run the command line."""
    open_streams()
    quiet_backend()
    try:
        try:
            app()
        except OSError as error:  # of a help page; commands have their own
            raise SystemExit(exits.code_after(0, error)) from error
    except SystemExit as end:
        exits.ignore_signals()  # TensorFlow's own end can take seconds
        code = exits.code_after(end.code, flush_streams())
        if code in exits.AT_ONCE:
            exits.end_workers()
            os._exit(int(code))
        raise SystemExit(code) from end


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"featx {__version__}")
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
