"""The columns of a table of features: what each image is, and what its features are called."""

from typing import Any

import numpy as np

from ..dataset.catalog import NO_LABEL
from ..errors import InputError
from ..network.fingerprint import Fingerprint
from ..network.views import VIEWS, View, make_view
from .rows import CacheRows

__all__ = ["IMAGE_COLUMNS", "UNFITTED", "image_columns", "view_of"]

#: What stands before the features, by name → type.
IMAGE_COLUMNS: dict[str, type] = {
    "path": str,
    "label": str,
    "split": str,
    "group": str,
    "digest": str,
    "width": int,
    "height": int,
}
#: The views whose rows are the same whichever images there are.
UNFITTED = tuple(name for name, kind in VIEWS.items() if not kind.projected)


def view_of(name: str, made: Fingerprint) -> View:
    """Return a view for a table.

    Raises
    ------
    InputError
        When there is no such view, it is fitted on images, or it sees layers that are not there.
    """
    view = make_view(name, made)
    if view.kind.projected:
        raise InputError(
            f"The view {name} is learned from training images, and a table has none set apart. "
            f"Give one of {', '.join(UNFITTED)}; Cache.matrix fits it on the images it is given."
        )
    return view


def image_columns(rows: CacheRows, chosen: np.ndarray) -> dict[str, list[Any]]:
    """Return what images are, by the names of `IMAGE_COLUMNS`; None where a text is missing.

    Parameters
    ----------
    rows : CacheRows
    chosen : ndarray of int, shape (n,)
        Positions in `rows`.
    """
    listed = rows.catalog
    names: dict[int, str | None] = {NO_LABEL: None, **dict(enumerate(listed.classes))}
    width, height = rows.sizes[chosen].T.tolist() or ([], [])
    return {
        "path": listed.paths[chosen].tolist(),
        "label": [names[label] for label in listed.labels[chosen].tolist()],
        "split": [split or None for split in listed.splits[chosen].tolist()],
        "group": [group or None for group in listed.groups[chosen].tolist()],
        "digest": rows.digests[chosen].tolist(),
        "width": width,
        "height": height,
    }
