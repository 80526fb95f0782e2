"""The bundle: one file with all that scoring needs, loaded without running foreign code.

A zip of two members, read by name: `bundle.json` (what the model is and how well it does) and
`head.skops` (the classifier, in skops's format: arrays and parameters of types that the head's
row in `heads.HEADS` admits, never a pickle).
"""

import functools
import importlib.metadata
import io
import json
import logging
import os
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import __version__, files, images, weights
from .errors import CorruptError, IncompatibleError, InputError, shown
from .fingerprint import Fingerprint
from .heads import HEADS
from .pools import POOLS, pooled
from .trunk import Trunk

__all__ = ["Bundle", "is_bundle", "load"]

log = logging.getLogger("featx")

FORMAT = "featx-bundle"
VERSION = 1

_JSON = "bundle.json"
_HEAD = "head.skops"
_LIMITS = {_JSON: 64 << 20, _HEAD: 2 << 30}
_LIBRARIES = ("scikit-learn", "numpy", "skops", "keras", "tensorflow")


@dataclass(frozen=True, eq=False)
class Bundle:
    """A fitted model of pictures: it behaves as a scikit-learn classifier over them.

    Attributes
    ----------
    head : estimator
        The fitted classifier; its classes are indices into `classes`.
    head_name : str
        Its key in `heads.HEADS`.
    settings : dict
        How it was fitted.
    pool : str
        How features become its rows.
    classes : tuple of str
        Class names.
    fingerprint : Fingerprint
        Of the features it was fitted on.
    source : str
        Where the trunk's weights came from, for people to read.
    report : dict
        Figures on the training and test pictures.
    versions : dict
        Of the libraries it was made with.
    weights : str
        Where to take the trunk's weights from, for `weights.resolve`.
    """

    head: Any
    head_name: str
    settings: dict[str, Any]
    pool: str
    classes: tuple[str, ...]
    fingerprint: Fingerprint
    source: str
    report: dict[str, Any]
    versions: dict[str, str]
    weights: str = "auto"

    @property
    def classes_(self) -> np.ndarray:
        """Class names, in the order of the columns of `predict_proba`."""
        return np.array(self.classes, dtype=object)

    @functools.cached_property
    def _trunk(self) -> Trunk:
        wanted = self.fingerprint.trunk
        chosen = weights.resolve(
            self.weights, preprocessing=wanted.preprocessing, wanted=wanted.weights
        )
        if chosen.digest != wanted.weights:
            raise IncompatibleError(
                f"The model needs the weights with the SHA-256 {wanted.weights} "
                f"({self.source}); {shown(self.weights)!r} has {chosen.digest}."
            )
        return Trunk(
            chosen,
            wanted,
            precision=self.fingerprint.precision,
            dtype=self.fingerprint.dtype,
        )

    def predict_proba(self, pictures: Iterable[str | os.PathLike[str] | np.ndarray]) -> np.ndarray:
        """Return the probability of each class for each picture.

        Parameters
        ----------
        pictures : iterable of path or ndarray
            Paths of picture files, or uint8 arrays of shape (height, width, 3), upright and RGB.

        Returns
        -------
        ndarray of float64, shape (n, len(classes_))
            Rows sum to 1; columns are in the order of `classes_`.

        Raises
        ------
        images.Rejected
            When a picture cannot be used.
        InputError
            When an array is not such a picture.
        """
        rows = []
        block: list[np.ndarray] = []
        trunk = self.fingerprint.trunk
        for picture in pictures:
            block.append(images.load(picture, trunk.size, trunk.resize).pixels)
            if len(block) == self._trunk.batch:
                rows.append(self.predict_proba_features(self._trunk.features(np.stack(block))))
                block = []
        if block:
            rows.append(self.predict_proba_features(self._trunk.features(np.stack(block))))
        return np.concatenate(rows) if rows else np.empty((0, len(self.classes)))

    def predict_proba_features(self, features: np.ndarray) -> np.ndarray:
        """Return the probabilities for features of shape (n, height, width, channels)."""
        found = self.head.predict_proba(pooled(features, self.pool)).astype(np.float64)
        return found / found.sum(axis=1, keepdims=True)

    def predict(self, pictures: Iterable[str | os.PathLike[str] | np.ndarray]) -> np.ndarray:
        """Return the name of the most probable class for each picture; see `predict_proba`."""
        return self.classes_[self.predict_proba(pictures).argmax(axis=1)]

    def save(self, path: Path) -> None:
        """Write the bundle, atomically.

        Raises
        ------
        InputError
            When `path` is something that is not a bundle; it is left alone.
        StorageError
            When it cannot be written.
        """
        import skops.io

        if path.exists() and not is_bundle(path):
            raise InputError(f"{shown(path)} exists and is not a featx model. Give another name.")
        members = {_JSON: self._as_json().encode(), _HEAD: skops.io.dumps(self.head)}
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                # A fixed date: the same model gives the same entry.
                archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
        files.make_folder(path.parent)
        with files.lock(path):
            files.remove_partials(path)
            files.write_bytes(path, content.getvalue())

    def _as_json(self) -> str:
        return json.dumps(self.as_dict(), indent=1)

    def as_dict(self) -> dict[str, Any]:
        """Return all but the head itself as plain values."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "featx": __version__,
            "head": self.head_name,
            "settings": self.settings,
            "pool": self.pool,
            "classes": list(self.classes),
            "weights": self.source,
            "fingerprint": self.fingerprint.as_dict(),
            **self.report,
            "versions": self.versions,
        }


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that a bundle depends on."""
    return {name: importlib.metadata.version(name) for name in _LIBRARIES}


def is_bundle(path: Path) -> bool:
    """Tell whether a file looks like a bundle, by its first bytes and members."""
    try:
        with zipfile.ZipFile(path) as archive:
            return set(_LIMITS) <= set(archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def load(path: str | os.PathLike[str], *, weights: str = "auto") -> Bundle:
    """Load a bundle. No code of the file is run, whoever it comes from.

    Parameters
    ----------
    path : path
    weights : str
        Where the trunk's weights come from once a picture is to be predicted; only those that
        the bundle was fitted with are taken. See `weights.resolve`.

    Raises
    ------
    InputError
        When there is no such file.
    CorruptError
        When it is damaged, or holds anything that its head may not hold.
    IncompatibleError
        When another version of featx wrote it in a form that this one does not read.

    Examples
    --------
    >>> import featx
    >>> model = featx.load("model.featx")  # doctest: +SKIP
    >>> model.predict(["photos/new.jpg"])  # doctest: +SKIP
    array(['bees'], dtype=object)
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{shown(path)} does not exist. Make it with: featx fit features.h5")
    refused = f"{shown(path)} is not a whole featx model"
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name: _member(archive, name, refused) for name in _LIMITS}
        described = json.loads(members[_JSON])
        if described["format"] != FORMAT:
            raise CorruptError(f"{refused}: its format is not {FORMAT!r}.")
        if described["version"] != VERSION:
            raise IncompatibleError(
                f"{shown(path)} has the model version {described['version']}; this featx reads "
                f"{VERSION}. Fit it again."
            )
        _warn_of_versions(described["versions"], path)
        return _bundle(described, members[_HEAD], weights, refused)
    except (zipfile.BadZipFile, OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise CorruptError(f"{refused}: {shown(error)}.") from error


def _member(archive: zipfile.ZipFile, name: str, refused: str) -> bytes:
    if archive.getinfo(name).file_size > _LIMITS[name]:
        raise CorruptError(f"{refused}: {name} is too large.")
    return archive.read(name)


def _bundle(described: dict[str, Any], head: bytes, weights: str, refused: str) -> Bundle:
    import skops.io

    name = described["head"]
    if name not in HEADS or described["pool"] not in POOLS:
        raise CorruptError(f"{refused}: unknown head {name!r} or pool {described['pool']!r}.")
    foreign = set(skops.io.get_untrusted_types(data=head)) - set(HEADS[name].types)
    if foreign:
        raise CorruptError(
            f"{refused}: its head holds types that {name} has no use for: "
            f"{', '.join(map(shown, sorted(foreign)))}."
        )
    estimator = skops.io.loads(head, trusted=list(HEADS[name].types))
    classes = tuple(described["classes"])
    if not np.array_equal(estimator.classes_, np.arange(len(classes))):
        raise CorruptError(f"{refused}: the head's classes are not the {len(classes)} named ones.")
    return Bundle(
        head=estimator,
        head_name=name,
        settings=described["settings"],
        pool=described["pool"],
        classes=classes,
        fingerprint=Fingerprint.from_json(json.dumps(described["fingerprint"])),
        source=described["weights"],
        report={"train": described["train"], "test": described["test"]},
        versions=described["versions"],
        weights=weights,
    )


def _warn_of_versions(versions: dict[str, str], path: Path) -> None:
    here = importlib.metadata.version("scikit-learn")
    there = str(versions["scikit-learn"])
    if there.split(".")[:2] != here.split(".")[:2]:
        log.warning(
            "%s was fitted with scikit-learn %s and runs with %s; fit it again to be safe.",
            shown(path),
            shown(there),
            here,
        )
