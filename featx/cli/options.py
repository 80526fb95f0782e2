"""Options that several commands share, and what their texts mean."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError

if TYPE_CHECKING:
    from ..dataset.catalog import Catalog

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Model = Annotated[Path, typer.Argument(help="A model that featx fit made.", show_default=False)]
Weights = Annotated[
    str,
    typer.Option(
        envvar="FEATX_WEIGHTS",
        help="Where the model's own weights are, when they are a file of yours.",
    ),
]
Runtime = Annotated[
    str,
    typer.Option(
        metavar="auto|tensorflow|winograd|openvino",
        help="What computes the network; winograd is TensorFlow with fewer multiplications, "
        "openvino an extra. auto is what computed the features before, else winograd for 64 and "
        "more images of 128 and more pixels, in float32 on processors with AVX2 and not AVX-512, "
        "else tensorflow.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
Sources = Annotated[
    list[Path],
    typer.Argument(
        metavar="SOURCE",
        help="A folder (of class folders, also under train/ val/ test/, or flat), a manifest "
        "(.csv or .jsonl with path[,label][,split][,group]), or images.",
        show_default=False,
    ),
]
Outside = Annotated[
    bool,
    typer.Option(
        "--allow-outside", help="A manifest may name files that are not below its own folder."
    ),
]
Size = Annotated[int, typer.Option(help="Pixels a side that the network sees; a multiple of 32.")]
Resize = Annotated[
    str, typer.Option(metavar="squash|crop", help="Resize both sides, or keep the middle square.")
]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]


def sources(
    given: list[Path], allow_outside: bool, *, labelled: bool = True
) -> "list[Path] | Catalog":
    """Return what is given, or the images of a manifest that may name files anywhere."""
    if not allow_outside:
        return given
    from ..dataset.scan import scan

    return scan(*given, labelled=labelled, allow_outside=True)


# Spelled out, so that --help needs no scikit-learn; a test compares them with the tables.
POOLS = "avg|max|avgmax|flatten"
HEADS = (
    "dummy, nearest-centroid, lda, logreg, linear-svm, softmax, knn, rbf-svm, random-forest, "
    "dense, hist-gradient-boosting"
)
Features = Annotated[Path, typer.Argument(help="A cache that featx extract made.")]
Heads = Annotated[
    str,
    typer.Option(
        metavar="HEAD,HEAD...",
        help=f"Which heads are compared: all, or some of {HEADS}. dummy always is.",
    ),
]
MetricName = Annotated[
    str,
    typer.Option(
        "--metric",
        metavar="accuracy|balanced-accuracy|macro-f1|log-loss|roc-auc",
        help="What heads and their settings are chosen by.",
    ),
]
Folds = Annotated[int, typer.Option(help="Folds of the cross-validation over images.")]
Repeats = Annotated[int, typer.Option(help="Repeats of it, with other folds each time.")]
Budget = Annotated[
    float | None, typer.Option(metavar="SECONDS", help="Start no further fold after that.")
]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="An option of the head; in compare HEAD.NAME=VALUE. Can be repeated.",
        show_default=False,
    ),
]
ClassWeight = Annotated[
    str | None, typer.Option(metavar="balanced", help="Count every class alike.")
]


def names(text: str | None) -> tuple[str, ...]:
    """Return names separated by commas; none for "all" and for nothing."""
    if text in (None, "all"):
        return ()
    return tuple(name.strip() for name in str(text).split(",") if name.strip())


def options_of(head: str, settings: list[str]) -> dict[str, Any]:
    """Return what ``--set NAME=VALUE`` says of one head."""
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
    """Return what ``--set HEAD.NAME=VALUE`` says of each head."""
    found: dict[str, dict[str, Any]] = {}
    for setting in settings:
        head, dot, rest = setting.partition(".")
        if not dot or "=" in head:
            raise InputError(f"--set {setting}: expected HEAD.NAME=VALUE, such as logreg.C=3.")
        found.setdefault(head, {}).update(options_of(head, [rest]))
    return found
