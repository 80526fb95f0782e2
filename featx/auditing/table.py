"""What an audit found as manifests: tables that a person edits and gives back to `extract`."""

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..dataset.catalog import NO_LABEL, Catalog
from ..dataset.stores.addresses import Address, is_address, joined
from ..scoring.tables import DIGITS, CsvTable
from .duplicates import DuplicateGroup
from .result import AuditResult

__all__ = ["audit_table", "groups_table", "lies_outside", "merged_groups"]

_ROLES = {"path": str, "label": str, "split": str, "group": str}
_COLUMNS = {
    **_ROLES,
    "issues": str,
    "suggested_label": str,
    "quality": float,
    "label_probability": float,
    "suggested_probability": float,
    "neighbours_agree": float,
    "duplicate_of": str,
    "similarity": float,
}

Row = dict[str, Any]


def audit_table(catalog: Catalog, found: AuditResult, folder: Path) -> bytes:
    """Return a manifest of all images, the most suspicious first.

    Images with an issue come before those without, and among each the lower quality first.
    Images without a label are the last.

    Parameters
    ----------
    catalog : Catalog
    found : AuditResult
    folder : Path
        The folder of the manifest, which paths are relative to.
    """
    places = _places(catalog, folder)
    place_of = dict(zip(catalog.paths.tolist(), places, strict=True))
    facts = _facts(found, place_of)
    rows: list[tuple[tuple[bool, bool, float, int], Row]] = []
    for index, path in enumerate(catalog.paths.tolist()):
        fact = facts.get(path, {})
        quality = fact.get("quality")
        key = (not fact.get("issues"), quality is None, quality or 0.0, index)
        fact = {**fact, "issues": ";".join(fact.get("issues", ()))}
        rows.append((key, {**_roles(catalog, index, places[index]), **fact}))
    rows.sort(key=lambda row: row[0])
    return _encoded(_COLUMNS, [row for _, row in rows])


def groups_table(catalog: Catalog, groups: np.ndarray, folder: Path) -> bytes:
    """Return a manifest of all images with other groups, in the order of the catalog."""
    places = _places(catalog, folder)
    rows = [_roles(catalog, index, place) for index, place in enumerate(places)]
    for row, group in zip(rows, groups, strict=True):
        row["group"] = group
    return _encoded(_ROLES, rows)


def lies_outside(catalog: Catalog, folder: Path) -> bool:
    """Tell whether images are not below the folder of a manifest; links are followed."""
    start = os.path.join(os.path.realpath(folder), "")
    if isinstance(catalog.root, Address):
        return False
    files = (
        os.path.realpath(catalog.file(index))
        for index in range(len(catalog))
        if not is_address(catalog.path(index))
    )
    return any(not file.startswith(start) for file in files)


def merged_groups(catalog: Catalog, images: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Return the groups of a catalog with one name for each unit of more than one image.

    A unit that has groups already takes the first of their names, in order.

    Parameters
    ----------
    catalog : Catalog
    images : ndarray of int, shape (n,)
    units : ndarray of int, shape (n,)
        Of the images: near duplicates, and what was to be kept together before.

    Returns
    -------
    ndarray of str, shape (all images,)
    """
    groups = catalog.groups.copy()
    members: dict[int, list[int]] = {}
    for index, unit in zip(images.tolist(), units.tolist(), strict=True):
        members.setdefault(unit, []).append(index)
    taken = set(catalog.groups.tolist())
    renamed: dict[str, str] = {}
    number = 0
    for some in members.values():
        if len(some) < 2:
            continue
        names = sorted(set(catalog.groups[some].tolist()) - {""})
        if names:
            name = names[0]
            renamed |= dict.fromkeys(names, name)
        else:
            number += 1
            while f"near-{number}" in taken:
                number += 1
            name = f"near-{number}"
        groups[some] = name
    # Images without a label may be in a group that was merged.
    return np.array([renamed.get(group, group) for group in groups.tolist()], dtype=object)


def _facts(found: AuditResult, place_of: Mapping[str, str]) -> dict[str, Row]:
    """Return what was found of each image, by its path."""

    def number(value: float) -> float | None:
        return None if np.isnan(value) else round(float(value), DIGITS)

    facts: dict[str, Row] = {
        str(path): {
            "issues": [],
            "quality": number(found.quality[at]),
            "label_probability": number(found.label_probability[at]),
            "neighbours_agree": number(found.neighbours_agree[at]),
        }
        for at, path in enumerate(found.paths)
    }
    for issue in found.label_issues:
        facts[issue.path]["issues"].append("label")
        facts[issue.path]["suggested_label"] = issue.suggested
        facts[issue.path]["suggested_probability"] = number(issue.suggested_probability)
    for group in found.duplicates:
        for path, (words, other, similarity) in _duplicates(group).items():
            facts[path]["issues"] += words
            facts[path]["duplicate_of"] = place_of[other]
            facts[path]["similarity"] = number(similarity)
    for odd in found.odd:
        facts[odd.path]["issues"].append(odd.kind)
    return facts


def _duplicates(group: DuplicateGroup) -> dict[str, tuple[list[str], str, float]]:
    """Return the words of each image of a group, and the one that it is most similar to."""
    closest: dict[str, tuple[float, str, str]] = {}
    for pair in group.pairs:
        for path, other in ((pair.one, pair.two), (pair.two, pair.one)):
            if path not in closest or pair.similarity > closest[path][0]:
                closest[path] = (pair.similarity, other, pair.kind)
    shared = ["conflict"] * group.has_conflict + ["leak"] * group.crosses_splits
    return {
        path: ([_WORDS.get(kind, kind), *shared], other, similarity)
        for path, (similarity, other, kind) in closest.items()
    }


_WORDS = {"near": "near_duplicate"}


def _roles(catalog: Catalog, index: int, place: str) -> Row:
    label = int(catalog.labels[index])
    return {
        "path": place,
        "label": "" if label == NO_LABEL else catalog.classes[label],
        "split": catalog.splits[index],
        "group": catalog.groups[index],
    }


def _places(catalog: Catalog, folder: Path) -> list[str]:
    """Return the paths of all images relative to a folder.

    A path that a spreadsheet would take for a formula, or that a reader would take a space off,
    starts with ``./``.
    """
    if isinstance(catalog.root, Address):
        return [joined(str(catalog.root), path) for path in catalog.paths.tolist()]
    folder = Path(os.path.realpath(folder))
    root = os.path.realpath(catalog.root)
    start = os.path.relpath(root, folder)
    places = [
        path if is_address(path) else os.path.normpath(os.path.join(start, path))
        for path in catalog.paths.tolist()
    ]
    return [place if place[0].isalnum() or place[0] in "._" else f"./{place}" for place in places]


def _encoded(columns: Mapping[str, type], rows: Sequence[Row]) -> bytes:
    table = CsvTable(columns, {})
    block = {name: [row.get(name) for row in rows] for name in columns}
    file = io.BytesIO()
    table.join(file, [table.encode(block)])  # type: ignore[arg-type]
    return file.getvalue()
