"""The bundle: one file with all that scoring needs, loaded without running foreign code.

A zip of members that are read by name, never a pickle among them:

- `bundle.json`: what the model is and how well it does;
- `head.skops`: the classifier, in skops's format, with the types only that the head's row in
  `heads.HEADS` admits; or `head.keras`, a network of layers of a fixed list;
- `out_of_fold.safetensors`: for each training picture its digest, its label, and probabilities by
  models that were not trained on it.
"""

import contextlib
import functools
import importlib.metadata
import io
import json
import logging
import os
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import __version__, files, heads, images, weights
from .errors import CorruptError, IncompatibleError, InputError, shown
from .fingerprint import Fingerprint
from .pools import POOLS, pooled
from .trunk import Trunk

__all__ = ["Bundle", "claimed", "is_bundle", "load"]

log = logging.getLogger("featx")

FORMAT = "featx-bundle"
VERSION = 1

_JSON = "bundle.json"
_SKOPS = "head.skops"
_KERAS = "head.keras"
_OUT_OF_FOLD = "out_of_fold.safetensors"
#: The members that are read, and how large each may be, in bytes.
_LIMITS = {_JSON: 64 << 20, _SKOPS: 1 << 30, _KERAS: 1 << 30, _OUT_OF_FOLD: 1 << 30}
_LIBRARIES = ("scikit-learn", "numpy", "skops", "keras", "tensorflow")


@dataclass(frozen=True, eq=False)
class Bundle:
    """A fitted model of pictures: it behaves as a scikit-learn classifier over them.

    Attributes
    ----------
    head : estimator
        The fitted classifier over rows of length 1; its classes are indices into `classes`.
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
        Figures on the training and test pictures, and the leaderboard that led to this head.
    versions : dict
        Of the libraries it was made with.
    out_of_fold : dict of ndarray, or None
        For the training pictures, in the same order: `digests` uint8 (n, 32), `labels` int32 (n,),
        `probabilities` float32 (n, classes).
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
    out_of_fold: dict[str, np.ndarray] | None = None
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
        return self.predict_proba_rows(pooled(features, self.pool))

    def predict_proba_rows(self, X: np.ndarray) -> np.ndarray:
        """Return the probabilities for rows of `Cache.matrix` with this pool, (n, d)."""
        from sklearn.preprocessing import normalize

        return np.asarray(self.head.predict_proba(normalize(X)), np.float64)

    def predict(self, pictures: Iterable[str | os.PathLike[str] | np.ndarray]) -> np.ndarray:
        """Return the name of the most probable class for each picture; see `predict_proba`."""
        return self.classes_[self.predict_proba(pictures).argmax(axis=1)]

    def save(self, path: Path) -> None:
        """Write the bundle, atomically. See `claimed` for what to do first.

        Raises
        ------
        StorageError
            When it cannot be written.
        """
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in self._members().items():
                # A fixed date: the same model gives the same entry.
                archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
        files.write_bytes(path, content.getvalue())

    def _members(self) -> dict[str, bytes]:
        import skops.io
        from safetensors.numpy import save

        described = self.as_dict()
        members = {}
        if heads.HEADS[self.head_name].keras:
            members[_KERAS], described["network"] = self.head.to_bytes()
        else:
            members[_SKOPS] = skops.io.dumps(self.head)
        if self.out_of_fold:
            members[_OUT_OF_FOLD] = save(self.out_of_fold)
        return {_JSON: json.dumps(described, indent=1).encode(), **members}

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
            return _JSON in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


@contextlib.contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Hold a path for a bundle: what would stop it from being written shows before the work.

    Raises
    ------
    InputError
        When there is something that is not a bundle; it is left alone.
    StorageError
        When nothing can be written there.
    LockedError
        When another run writes it.
    """
    if path.exists() and not is_bundle(path):
        raise InputError(f"{shown(path)} exists and is not a featx model. Give another name.")
    files.make_folder(path.parent)
    with files.lock(path):
        files.remove_partials(path)
        yield


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
            members = {
                name: _member(archive, name, refused)
                for name in _LIMITS
                if name in archive.namelist()
            }
        described = json.loads(members[_JSON])
        if described["format"] != FORMAT:
            raise CorruptError(f"{refused}: its format is not {FORMAT!r}.")
        if described["version"] != VERSION:
            raise IncompatibleError(
                f"{shown(path)} has the model version {described['version']}; this featx reads "
                f"{VERSION}. Fit it again."
            )
        _warn_of_versions(described["versions"], path)
        return _bundle(described, members, weights, refused)
    except (InputError, zipfile.BadZipFile, OSError, LookupError, ValueError, TypeError,
            AttributeError) as error:  # fmt: skip
        raise CorruptError(f"{refused}: {shown(error)}.") from error


def _member(archive: zipfile.ZipFile, name: str, refused: str) -> bytes:
    if archive.getinfo(name).file_size > _LIMITS[name]:
        raise CorruptError(f"{refused}: {name} is too large.")
    return archive.read(name)


def _bundle(
    described: dict[str, Any], members: dict[str, bytes], weights: str, refused: str
) -> Bundle:
    name = described["head"]
    if name not in heads.HEADS or described["pool"] not in POOLS:
        raise CorruptError(f"{refused}: unknown head {name!r} or pool {described['pool']!r}.")
    if heads.HEADS[name].keras:
        from .kerashead import KerasHead

        head: Any = KerasHead.from_bytes(members[_KERAS], described["network"])
    else:
        head = _from_skops(name, members[_SKOPS], refused)
    classes = tuple(described["classes"])
    if not np.array_equal(head.classes_, np.arange(len(classes))):
        raise CorruptError(f"{refused}: the head's classes are not the {len(classes)} named ones.")
    return Bundle(
        head=head,
        head_name=name,
        settings=described["settings"],
        pool=described["pool"],
        classes=classes,
        fingerprint=Fingerprint.from_json(json.dumps(described["fingerprint"])),
        source=described["weights"],
        report={key: described[key] for key in ("train", "test", "leaderboard")},
        versions=described["versions"],
        out_of_fold=_arrays(members[_OUT_OF_FOLD]) if _OUT_OF_FOLD in members else None,
        weights=weights,
    )


def _from_skops(name: str, data: bytes, refused: str) -> Any:
    import skops.io

    admitted = heads.HEADS[name].types
    foreign = set(skops.io.get_untrusted_types(data=data)) - set(admitted)
    if foreign:
        raise CorruptError(
            f"{refused}: its head holds types that {name} has no use for: "
            f"{', '.join(map(shown, sorted(foreign)))}."
        )
    return skops.io.loads(data, trusted=list(admitted))


def _arrays(data: bytes) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(data)
    except SafetensorError as error:
        raise ValueError(f"{_OUT_OF_FOLD}: {error}") from error


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
