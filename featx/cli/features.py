"""`featx features`: the features of a cache as a table for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import printable
from . import completion
from .exits import exit_on_error
from .meter import Meter
from .options import Features, Json, Overwrite, Quiet
from .pages import settings_from
from .terminal import say, write_json

__all__ = ["features"]


def features(
    features: Features = Path("features.h5"),
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            help="The table to write: .parquet (needs pyarrow), .npz for NumPy, or .csv.",
            show_default=False,
        ),
    ] = ...,  # type: ignore[assignment]
    view: Annotated[
        str | None,
        typer.Option(
            "--view",
            "--pool",
            metavar="VIEW",
            autocompletion=completion.VIEW,
            help="The features that are written of an image: one of {cache.table.UNFITTED}. avg "
            "and max are of each channel, avgmax is both, flatten is every value, and layers is "
            "the mean and maximum of several layers.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write the features of a cache as a table for other programs: Parquet, NumPy's npz, or CSV.

    Each image is a row with its path, label, split, group, SHA-256 and size, and its features,
    each row divided by its length, as classifiers see them. Augmented copies are not written. No
    network runs.
    """
    with exit_on_error(json, quiet=quiet):
        from ..cache.features import FeaturesSettings, write_features

        settings = settings_from(FeaturesSettings, locals())
        with Meter("Writing", "images", quiet=quiet) as progress:
            written = write_features(features, out, settings, progress=progress)
        if json:
            write_json(written.as_dict(), "features")
            return
        say(
            f"{printable(written.out)}: {written.images:,} images with {written.features:,} "
            f"features each, {written.bytes / 1e6:.1f} MB ({written.seconds:.1f} s)"
        )
