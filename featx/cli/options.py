"""Options that several commands share, and how their values become settings."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from ..errors import InputError

if TYPE_CHECKING:
    from ..dataset.catalog import Catalog

# Panels of a help page, in the order in which they are shown.
WHAT = "What"
HOW = "How"
OUTPUT = "Output"
RARE = "Rarely needed"

# Names that `--help` shows without importing numpy; a test compares them with the tables.
POOLS = "avg|max|avgmax|flatten"
METRICS = ("accuracy", "balanced-accuracy", "macro-f1", "log-loss", "roc-auc")
AUGMENTATIONS = "none|flip|mild|article"
RESIZES = "squash|crop"
RUNTIMES = ("auto", "tensorflow", "winograd", "openvino")
PRECISIONS = ("auto", "float32", "bfloat16")
HEADS = (
    *("dummy", "nearest-centroid", "lda", "logreg", "linear-svm", "softmax", "knn", "rbf-svm"),
    *("random-forest", "dense", "hist-gradient-boosting"),
)

Settings = TypeVar("Settings")


class HelpPage(TyperCommand):
    """A command whose help page has paragraphs, and metavars in place of Python types."""

    def __init__(self, *args: Any, **others: Any) -> None:
        super().__init__(*args, **others)
        paragraphs = (self.help or "").split("\n\n")
        self.help = "\n\n".join(" ".join(text.split()) for text in paragraphs)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, without the types of flags and arguments."""
        return _without_types(super().get_params(ctx))


class HelpGroup(TyperGroup):
    """The same for a group of commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, without the types of flags."""
        return _without_types(super().get_params(ctx))


def _without_types(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if parameter.param_type_name == "argument" or getattr(parameter, "is_flag", False):
            parameter.display_type_rich = lambda ctx: None
    return parameters


def settings_from(kind: type[Settings], given: Mapping[str, Any], **others: Any) -> Settings:
    """Return settings with the values of a command's parameters that are fields of theirs.

    Parameters
    ----------
    kind : dataclass
    given : mapping
        Parameters of the command, by name.
    **others
        Fields with other values than the parameter of their name has.
    """
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return kind(**{**{name: given[name] for name in names & given.keys()}, **others})


def examples(*commands: str) -> str:
    """Return the last lines of a help page, a command each."""
    return "\n\n".join(["Examples:", *(f"  featx {command}" for command in commands)])


Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print one JSON object on standard output and nothing else.",
        rich_help_panel=OUTPUT,
    ),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="Show no progress and no next step.", rich_help_panel=OUTPUT
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Start again, and replace an output that exists.",
        rich_help_panel=OUTPUT,
    ),
]
Model = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL", help="A model that featx fit or featx finetune made.", show_default=False
    ),
]
Features = Annotated[
    Path, typer.Argument(metavar="CACHE", help="A cache of features that featx extract made.")
]
Sources = Annotated[
    list[Path],
    typer.Argument(
        metavar="SOURCE",
        help="A folder with one sub-folder a class (also below train/, val/ and test/), a flat "
        "folder, a manifest (.csv or .jsonl with the columns path, label, split and group), or "
        "image files.",
        show_default=False,
    ),
]
Outside = Annotated[
    bool,
    typer.Option(
        "--allow-outside",
        help="Let a manifest name files that are not below its own folder.",
        rich_help_panel=RARE,
    ),
]
Seed = Annotated[
    int,
    typer.Option(metavar="N", help="Seed of everything that is random.", rich_help_panel=HOW),
]
Size = Annotated[
    int,
    typer.Option(
        metavar="PIXELS",
        help="Width and height of the image that the network sees; a multiple of 32.",
        rich_help_panel=HOW,
    ),
]
Resize = Annotated[
    str,
    typer.Option(
        metavar=RESIZES,
        help="How an image becomes square: crop keeps the middle, squash resizes both sides.",
        rich_help_panel=HOW,
    ),
]
Weights = Annotated[
    str,
    typer.Option(
        metavar="FILE",
        envvar="FEATX_WEIGHTS",
        help="File of the weights that the model was made with, if featx does not know them.",
        rich_help_panel=RARE,
    ),
]
Runtime = Annotated[
    str,
    typer.Option(
        metavar="RUNTIME",
        help=f"Library that computes the network: {', '.join(RUNTIMES)}. "
        "auto takes the one that the cache or model was "
        "made with, or else the fastest: winograd for 64 or more images of at least 128 pixels in "
        "float32 on processors with AVX2 but without AVX-512, otherwise tensorflow. openvino is "
        "an extra.",
        rich_help_panel=RARE,
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        metavar="PRECISION",
        help=f"Precision in which the network computes: {', '.join(PRECISIONS)}. "
        "auto takes the one that the model was made "
        "in where this processor has it, or else float32.",
        rich_help_panel=RARE,
    ),
]
Copies = Annotated[
    int,
    typer.Option(
        "--tta",
        metavar="K",
        help="Average the probabilities over the image and K augmented copies of it "
        "(test-time augmentation).",
        rich_help_panel=HOW,
    ),
]
Heads = Annotated[
    str,
    typer.Option(
        metavar="HEAD,...",
        help=f"Heads to compare: all, or some of {', '.join(HEADS)}. dummy is always compared too.",
        rich_help_panel=WHAT,
    ),
]
MetricName = Annotated[
    str,
    typer.Option(
        "--metric",
        metavar="METRIC",
        help=f"Metric by which heads and their parameters are chosen: {', '.join(METRICS)}.",
        rich_help_panel=HOW,
    ),
]
Folds = Annotated[
    int,
    typer.Option(
        metavar="N", help="Number of cross-validation folds over the images.", rich_help_panel=HOW
    ),
]
Repeats = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="How often the cross-validation is repeated, each time with other folds.",
        rich_help_panel=HOW,
    ),
]
Budget = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="Time budget of the comparison; no new fold is started after it.",
        rich_help_panel=HOW,
    ),
]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Set a parameter of the head, such as C=3; in compare with the head's name, such as "
        "logreg.C=3. The option can be repeated.",
        show_default=False,
        rich_help_panel=HOW,
    ),
]
ClassWeight = Annotated[
    str | None,
    typer.Option(
        metavar="balanced",
        help="Weight classes inversely to their frequency (scikit-learn's 'balanced').",
        rich_help_panel=HOW,
    ),
]


def listed_sources(
    given: list[Path], allow_outside: bool, *, labelled: bool = True
) -> "list[Path] | Catalog":
    """Return what is given, or the images of a manifest that may name files anywhere."""
    if not allow_outside:
        return given
    from ..dataset.scan import scan

    return scan(*given, labelled=labelled, allow_outside=True)


def split_names(text: str | None) -> tuple[str, ...]:
    """Return names separated by commas; none for "all" and for nothing."""
    if text in (None, "all"):
        return ()
    return tuple(name.strip() for name in str(text).split(",") if name.strip())


def options_of(head: str, settings: list[str]) -> dict[str, Any]:
    """Return the parameters that ``--set NAME=VALUE`` gives to one head."""
    from ..heads import registry

    found = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"--set {setting}: expected NAME=VALUE, for example --set C=3.")
        if head not in registry.HEADS:
            raise InputError(f"--set {setting} belongs to a head. Name one: --head logreg.")
        found[name] = registry.HEADS[head].parsed(name, value)
    return found


def options_by_head(settings: list[str]) -> dict[str, dict[str, Any]]:
    """Return the parameters that ``--set HEAD.NAME=VALUE`` gives to each head."""
    found: dict[str, dict[str, Any]] = {}
    for setting in settings:
        head, dot, rest = setting.partition(".")
        if not dot or "=" in head:
            raise InputError(f"--set {setting}: expected HEAD.NAME=VALUE, such as logreg.C=3.")
        found.setdefault(head, {}).update(options_of(head, [rest]))
    return found
