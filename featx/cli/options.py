"""Options that several commands share, and what their texts mean."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError
from . import completion
from .terminal import quoted

if TYPE_CHECKING:
    from ..dataset.catalog import Catalog

#: Titles of the groups of a help page, below the options that matter most.
IMAGES, NETWORK, TRAINING, OUTPUT, ADVANCED = (
    "How images are read",
    "How the network runs",
    "How it is trained",
    "What is written and printed",
    "Advanced",
)

Json = Annotated[
    bool,
    typer.Option(
        "--json",
        rich_help_panel=OUTPUT,
        help="Print the result as one JSON object, and nothing else.",
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite", rich_help_panel=OUTPUT, help="Replace the output file if it exists."
    ),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        rich_help_panel=OUTPUT,
        help="Show no progress and do not name the next command.",
    ),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        rich_help_panel=OUTPUT,
        help="Print details, such as what a download says.",
    ),
]
Model = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL", help="A model that featx fit or finetune made.", show_default=False
    ),
]
Weights = Annotated[
    str,
    typer.Option(
        metavar="FILE",
        envvar="FEATX_WEIGHTS",
        rich_help_panel=NETWORK,
        help="The file with the network's weights, if the model was made with a file of your own.",
    ),
]
Runtime = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=completion.RUNTIME,
        rich_help_panel=NETWORK,
        help="The library that computes the network: {network.runtime.RUNTIMES}. winograd is "
        "TensorFlow with fewer multiplications; openvino computes int8 and comes along on Linux "
        "with x86-64. auto uses what computed the features before. Otherwise it chooses openvino "
        "for int8, and for other networks than vgg16; winograd, which is for vgg16 alone, in "
        "float32 on processors with AVX2, for at least 128 pixels and 64 images (192 with "
        "AVX-512); and tensorflow for the rest.",
    ),
]
Precision = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=completion.PRECISION,
        rich_help_panel=NETWORK,
        help="The precision in which the network computes: one of {network.runtime.PRECISIONS}. "
        "auto uses the precision that the model was made in, where this processor computes it "
        "natively, or else float32.",
    ),
]
Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE",
        help="A folder of class folders (also under train/, val/, test/), a folder of images, "
        "a manifest (.csv, .tsv or .jsonl with path[,label][,split][,group], or .txt with a path a "
        "line), or single images. Also one or several folders, archives (.tar, .tar.gz, .zip; "
        "WebDataset: 'train-{0000..0009}.tar'), .parquet files with images, or addresses "
        "(s3://bucket/folder, gs://, https://).",
        show_default=False,
    ),
]
Outside = Annotated[
    bool,
    typer.Option(
        "--allow-outside",
        rich_help_panel=IMAGES,
        help="Allow a manifest to name files outside its own folder.",
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="ROLE=NAME",
        rich_help_panel=IMAGES,
        help="Take a column of the manifest as {dataset.columns.ROLES}, such as label=species. The "
        "option can be repeated.",
        show_default="columns with usual names",
    ),
]
Size = Annotated[
    int | None,
    typer.Option(
        metavar="PIXELS",
        rich_help_panel=IMAGES,
        help="Width and height at which the network sees an image; a multiple of 32.",
    ),
]
Resize = Annotated[
    str | None,
    typer.Option(
        metavar="RULE",
        autocompletion=completion.RESIZE,
        rich_help_panel=IMAGES,
        help="How an image becomes square: crop keeps the middle square, squash resizes both "
        "sides. One of {images.decode.RESIZE}.",
    ),
]
Bits = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        rich_help_panel=IMAGES,
        help="Number of bits that the values of grey 16-bit images really have, such as 12 for "
        "many microscopes.",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=2**32 - 1,
        metavar="N",
        rich_help_panel=ADVANCED,
        help="Seed of the random number generator.",
    ),
]
Augment = Annotated[
    str | None,
    typer.Option(
        metavar="POLICY",
        autocompletion=completion.AUGMENTATION,
        help="Augmentation policy of the copies: one of {images.augment.POLICIES}.",
    ),
]
Tta = Annotated[
    int | None,
    typer.Option(
        "--tta",
        metavar="K",
        rich_help_panel=NETWORK,
        help="Test-time augmentation: average the probabilities over the image and K augmented "
        "copies, with the policy that the model was trained with.",
    ),
]


def sources(
    given: Sequence[str],
    allow_outside: bool,
    columns: Sequence[str] | None = None,
    *,
    labelled: bool = True,
) -> "Sequence[str] | Catalog":
    """Return what is given, or the images of a manifest that is read in another way than usual.

    Raises
    ------
    InputError
        When a text of `columns` is not ROLE=NAME; see also `scan.scan`.
    """
    if not allow_outside and not columns:
        return given
    from ..dataset.scan import scan

    roles = dict(text.partition("=")[::2] for text in columns or ())
    if not all(roles.values()):
        raise InputError("--column: expected ROLE=NAME, for example --column label=species.")
    return scan(*given, labelled=labelled, allow_outside=allow_outside, columns=roles)


def source_words(given: Sequence[str], allow_outside: bool, columns: Sequence[str] | None) -> str:
    """Return a source and how it is read as they are typed, for the name of the next command."""
    options = [word for text in columns or () for word in ("--column", text)]
    options += ["--allow-outside"] if allow_outside else []
    return " ".join(map(quoted, [*given, *options]))


Features = Annotated[Path, typer.Argument(metavar="CACHE", help="A cache that featx extract made.")]
SeveralFeatures = Annotated[
    list[Path],
    typer.Argument(
        metavar="CACHE...",
        help="A cache that featx extract made; or several of the same images, by other networks.",
        show_default="features.h5",
    ),
]
Heads = Annotated[
    str | None,
    typer.Option(
        metavar="HEAD,HEAD...|all",
        autocompletion=completion.HEADS,
        help="Heads to compare: all, or some of {heads.registry.HEADS}. dummy ignores the images "
        "and is always compared, as a baseline.",
        show_default="{heads.registry.DEFAULT_HEADS}",
    ),
]
Head = Annotated[
    str,
    typer.Option(
        metavar="HEAD",
        autocompletion=completion.HEAD,
        help="The head to train: best (heads are compared first), or one of "
        "{heads.registry.HEADS}.",
    ),
]
Prefer = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=completion.PREFERENCE,
        rich_help_panel=TRAINING,
        help="Which of the tied heads is chosen: one of {heads.leaderboard.PREFERENCES}. best is "
        "the one with the lowest log loss; fast, of several networks, the one that costs an image "
        "the fewest multiplications.",
    ),
]
MetricName = Annotated[
    str | None,
    typer.Option(
        "--metric",
        metavar="METRIC",
        autocompletion=completion.METRIC,
        help="Metric by which heads and their settings are chosen: one of {metrics.METRICS}.",
    ),
]
Folds = Annotated[
    int | None,
    typer.Option(
        max=1000,
        metavar="N",
        rich_help_panel=TRAINING,
        help="Number of folds of the cross-validation over images.",
    ),
]
Repeats = Annotated[
    int | None,
    typer.Option(
        max=1000,
        metavar="N",
        rich_help_panel=TRAINING,
        help="Number of times the cross-validation is repeated, each time with new folds.",
    ),
]
MinPerClass = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        rich_help_panel=TRAINING,
        help="Leave out classes with fewer than N different images to train on.",
    ),
]
Budget = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        rich_help_panel=TRAINING,
        help="Time budget in seconds; no new fold is started after it.",
    ),
]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        rich_help_panel=TRAINING,
        help="Set a parameter of the head, such as C=3; in compare HEAD.NAME=VALUE, such as "
        "logreg.C=3. The option can be repeated.",
        show_default=False,
    ),
]
ClassWeight = Annotated[
    str | None,
    typer.Option(
        metavar="balanced",
        autocompletion=completion.CLASS_WEIGHT,
        rich_help_panel=TRAINING,
        help="Weight classes inversely to their frequency (scikit-learn's 'balanced').",
    ),
]


Plot = Annotated[
    Path | None,
    typer.Option(
        "--plot",
        metavar="FILE",
        rich_help_panel=OUTPUT,
        help="Draw what was found as a plot: a .png, .svg or .pdf file.",
    ),
]
Sheet = Annotated[
    Path | None,
    typer.Option(
        "--sheet",
        metavar="FILE",
        rich_help_panel=OUTPUT,
        help="Draw the images that are predicted wrong as a contact sheet, with their true and "
        "predicted class and the confidence: a .png or .jpg file.",
    ),
]


def names(text: str | None) -> tuple[str, ...]:
    """Return names separated by commas; none for nothing."""
    if text is None:
        return ()
    return tuple(name.strip() for name in str(text).split(",") if name.strip())


def options_of(head: str, settings: Sequence[str]) -> dict[str, Any]:
    """Return the parameters of one head that ``--set NAME=VALUE`` gives.

    Raises
    ------
    InputError
        When a text has no ``=``, no head is named, or the head has no such parameter.
    """
    from ..heads.registry import HEADS

    found = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"--set {setting}: expected NAME=VALUE, for example --set C=3.")
        if head not in HEADS:
            raise InputError(f"--set {setting} belongs to a head. Name one: --head logreg.")
        found[name] = HEADS[head].parsed(name, value)
    return found


def options_by_head(settings: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the parameters of each head that ``--set HEAD.NAME=VALUE`` gives.

    Raises
    ------
    InputError
        When a text is not of that form; see also `options_of`.
    """
    found: dict[str, dict[str, Any]] = {}
    for setting in settings:
        head, dot, rest = setting.partition(".")
        if not dot or "=" in head:
            raise InputError(f"--set {setting}: expected HEAD.NAME=VALUE, such as logreg.C=3.")
        found.setdefault(head, {}).update(options_of(head, [rest]))
    return found
