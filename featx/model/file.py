"""The file of a model, saved and loaded without running foreign code.

It is a zip of members that are read by name; none of them is a pickle:

- `model.json`: classes, settings, scores and versions;
- `head.skops`: the classifier in skops's format, of which only the types are loaded that the
  head's row in `registry.HEADS` lists; or `head.safetensors`, the weights of a dense head;
- `training.safetensors`: for each training image its digest, its label, and out-of-fold
  probabilities where they were computed;
- `novelty.safetensors`: the reference rows of the novelty score;
- `tail.safetensors`: in a fine-tuned model, the weights of the layers between cut and view.
"""

import contextlib
import importlib.metadata
import io
import json
import logging
import math
import os
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CorruptError, IncompatibleError, InputError, printable
from ..heads import registry
from ..heads.calibration import TemperatureScaled
from ..network import weight_files
from ..network.fingerprint import Fingerprint
from ..network.views import VIEWS, make_view
from ..progress import Progress
from ..storage import files, kinds, locks
from ..storage.tensors import save_tensors
from . import estimators
from . import members as kept
from .model import FORMAT, VERSION, VERSION_OF_OTHERS, Model

__all__ = ["load", "load_bytes", "lock_model", "save", "sealed"]

log = logging.getLogger("featx")

_JSON = kinds.MODEL_MEMBER
_SKOPS = "head.skops"
_ARRAYS = "head.safetensors"
_TRAINING = "training.safetensors"
_NOVELTY = "novelty.safetensors"
_TAIL = "tail.safetensors"
_VIEW = "view.safetensors"
_REPORTED = ("train", "test", "leaderboard", "threshold", "tuning")
#: The members that are read, and how large each may be, in bytes.
_LIMITS = {
    _JSON: 32 << 20,
    _SKOPS: 1 << 30,
    _ARRAYS: 1 << 30,
    _VIEW: 64 << 20,
    _TRAINING: 1 << 30,
    _NOVELTY: 64 << 20,
    _TAIL: 64 << 20,
}
_NAMED = 5  # members in a message
#: The file ends with this and the SHA-256 of all bytes before it, as a comment of the zip.
_SEAL = "featx-model sha256 "
_SEALED = len(_SEAL) + 64
#: Seal of the files that featx wrote before version 3.
_SEAL_BEFORE = b"featx-bundle sha256 "


def save(model: Model, path: Path) -> str:
    """Write the model atomically, and return the SHA-256 of the file.

    The caller holds the path with `lock_model`.

    Raises
    ------
    StorageError
        When the file cannot be written.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in _members(model).items():
            # A fixed date: the same model gives the same entry.
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
        archive.comment = bytes(_SEALED)
    data = sealed(content.getvalue()[:-_SEALED])
    files.write_bytes(path, data)
    return files.digest(data)


def sealed(body: bytes) -> bytes:
    """Return the bytes of a model's file: the body, and its SHA-256 at the end."""
    return body + f"{_SEAL}{files.digest(body)}".encode()


def _members(model: Model) -> dict[str, bytes]:
    described = model.as_dict() | {"fingerprint": json.loads(model.fingerprint.as_json())}
    members = {}
    row = registry.HEADS[model.head_name]
    scaled = isinstance(model.head, TemperatureScaled)
    head = model.head.estimator_ if scaled else model.head
    if not row.keras:
        described["inverse_temperature"] = model.head.inverse_temperature if scaled else None
    if row.has_arrays:
        members[_ARRAYS], described["network"] = head.to_bytes()
    else:
        members[_SKOPS] = estimators.to_bytes(head)
    if model.view.projection:
        members[_VIEW] = kept.projections_to_bytes(model.view)
    members[_TRAINING] = save_tensors(model.training)
    if model.novelty:
        members[_NOVELTY] = save_tensors(vars(model.novelty))
    if model.tail:
        members[_TAIL] = weight_files.to_safetensors(model.tail.row.steps, model.tail.arrays)
    return {_JSON: json.dumps(described, indent=1).encode(), **members}


@contextlib.contextmanager
def lock_model(path: Path, overwrite: bool) -> Iterator[None]:
    """Hold the path of a model that will be written, so that errors show before the work.

    Raises
    ------
    InputError
        When the path exists and may not be replaced, or is not a model; it is left alone.
    StorageError
        When the path cannot be written.
    LockedError
        When another run writes it.
    """
    if path.exists() and not kinds.is_model(path):
        raise InputError(f"{printable(path)} exists and is not a featx model. Give another name.")
    files.require_new(path, overwrite)
    with locks.lock_output(path):
        yield


def load(
    path: str | os.PathLike[str],
    *,
    weights: str = "auto",
    runtime: str = "auto",
    precision: str = "auto",
    download_progress: Progress | None = None,
) -> Model:
    """Load a model. No code of the file is run, whoever it comes from.

    Parameters
    ----------
    path : path
    weights : str
        Source of the trunk's weights, which are read before the first image is predicted. They
        must be the weights that the model was fitted with. See `weights.resolve_weights`.
    runtime : {"auto", "tensorflow", "winograd", "openvino"}
        Runtime of the trunk; auto is the one that computed the features of the model's fit.
    precision : {"auto", "float32", "bfloat16", "int8"}
        Precision of the trunk; auto is the precision of those features where this machine has
        it natively, else float32.
    download_progress : callable, optional
        See `progress.Progress`; in bytes.

    Returns
    -------
    Model
        A classifier over images, with scikit-learn's methods.

    Raises
    ------
    InputError
        When the file does not exist, or is a cache.
    CorruptError
        When the file is damaged, or holds types that its head does not need.
    IncompatibleError
        When another version of featx wrote the file, in a form that this one does not read.

    Examples
    --------
    >>> import featx
    >>> model = featx.load("model.featx")  # doctest: +SKIP
    >>> model.predict(["photos/train/0/0000.png"]).shape  # doctest: +SKIP
    (1,)
    """
    path = Path(path)
    kinds.require_kind(path, "model", "featx fit features.h5")
    if files.file_size(path) > sum(_LIMITS.values()):
        raise CorruptError(f"{printable(path)} is not a whole featx model: it is too large.")
    return load_bytes(
        files.read_bytes(path),
        path,
        weights=weights,
        runtime=runtime,
        precision=precision,
        download_progress=download_progress,
    )


def load_bytes(
    data: bytes,
    path: Path,
    *,
    weights: str = "auto",
    runtime: str = "auto",
    precision: str = "auto",
    download_progress: Progress | None = None,
) -> Model:
    """Load a model from the bytes of its file, which messages call by its path; see `load`."""
    refused = f"{printable(path)} is not a whole featx model"
    try:
        if data[-len(_SEAL_BEFORE) - 64 :].startswith(_SEAL_BEFORE):
            raise IncompatibleError(
                f"{printable(path)} was made by an earlier featx: it has the model version 2, and "
                f"this one reads {VERSION}. Make it again from its cache, which takes seconds: "
                f"featx fit features.h5 -o {printable(path)} (and featx finetune, where it was "
                "fine-tuned)."
            )
        if data != sealed(data[:-_SEALED]):
            raise CorruptError(
                f"{refused}: its bytes are not those that were written. Copy it again, or make it "
                "anew."
            )
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            unexpected = sorted(set(names) - set(_LIMITS))
            if unexpected:
                named = ", ".join(map(printable, unexpected[:_NAMED]))
                raise CorruptError(f"{refused}: it contains unexpected members: {named}.")
            if len(set(names)) != len(names):
                raise CorruptError(f"{refused}: it contains a member twice.")
            members = {name: _member(archive, name, refused) for name in names}
        described = json.loads(members[_JSON])
        if described["format"] != FORMAT:
            raise CorruptError(f"{refused}: its format is not {FORMAT!r}.")
        if described["version"] not in (VERSION, VERSION_OF_OTHERS):
            raise IncompatibleError(
                f"{printable(path)} has the model version {described['version']}; this featx reads "
                f"{VERSION} and {VERSION_OF_OTHERS}. Fit it again."
            )
        found = _whole(described, members, path)
        return replace(
            found,
            digest=files.digest(data),
            weights=weights,
            runtime=runtime,
            precision=precision,
            download_progress=download_progress,
        )
    except (zipfile.BadZipFile, zlib.error, LookupError, ValueError, TypeError,
            AttributeError, RuntimeError, ArithmeticError, MemoryError) as error:  # fmt: skip
        raise CorruptError(f"{refused}: {printable(error)}.") from error


def _whole(described: dict[str, Any], members: dict[str, bytes], path: Path) -> Model:
    """Return the model of a file, as far as the scikit-learn that is installed can read it.

    Raises
    ------
    IncompatibleError
        When another version of scikit-learn made a head that this one does not read.
    """
    refused = f"{printable(path)} is not a whole featx model"
    there = printable(described["versions"]["scikit-learn"])
    here = importlib.metadata.version("scikit-learn")
    is_other = there.split(".")[:2] != here.split(".")[:2]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn tells of versions too
            found = _model(described, members, refused)
            _try(found)
    except Exception as error:
        if not is_other:
            raise
        raise IncompatibleError(
            f"{printable(path)} was fitted with scikit-learn {there}, and scikit-learn {here} does "
            f"not read its head, {printable(described['head'])}. Fit it again, which takes "
            f"seconds: featx fit features.h5 -o {printable(path)} --overwrite. Or install the "
            f"version that it was fitted with: pip install scikit-learn=={there}"
        ) from error
    if is_other:
        log.warning(
            "%s was fitted with scikit-learn %s and runs with %s; fit it again to be safe.",
            printable(path), there, here,
        )  # fmt: skip
    return found


def _member(archive: zipfile.ZipFile, name: str, refused: str) -> bytes:
    info = archive.getinfo(name)
    packed = max(estimators.SMALL, estimators.PACKED * info.compress_size)
    if info.file_size > min(_LIMITS[name], packed):
        raise CorruptError(f"{refused}: {name} is too large.")
    return archive.read(name)  # zipfile reads no more than file_size


def _model(described: dict[str, Any], members: dict[str, bytes], refused: str) -> Model:
    name = described["head"]
    seen = described["view"] if "view" in described else described["pool"]  # its former name
    if name not in registry.HEADS or seen not in VIEWS:
        raise CorruptError(f"{refused}: unknown head {name!r} or view {seen!r}.")
    row = registry.HEADS[name]
    if row.has_arrays:
        head: Any = row.from_bytes(members[_ARRAYS], described["network"])
    else:
        head = estimators.from_bytes(name, members[_SKOPS], refused)
    if not row.keras:
        factor = described["inverse_temperature"]
        if row.calibrated != (factor is not None):
            raise CorruptError(f"{refused}: its calibration is not that of {name}.")
        if factor is not None:
            if not 0 < factor < math.inf:
                raise CorruptError(f"{refused}: its inverse temperature is {factor!r}.")
            head = TemperatureScaled.of(head, float(factor))
    classes = tuple(described["classes"])
    if not np.array_equal(head.classes_, np.arange(len(classes))):
        raise CorruptError(f"{refused}: the head's classes are not the {len(classes)} named ones.")
    fingerprint = Fingerprint.from_json(json.dumps(described["fingerprint"]))
    tail = kept.tail(members[_TAIL], described["tail"], fingerprint) if described["tail"] else None
    if tail and fingerprint.also:
        raise CorruptError(f"{refused}: several networks are not fine-tuned.")
    until = tail.until if tail else fingerprint.trunk.cut
    view = make_view(seen, fingerprint, fingerprint.trunk.shape_at(until))
    if view.kind.projected:
        view = kept.projected(members[_VIEW], view)
    return Model(
        head=head,
        head_name=name,
        settings=described["settings"],
        view=view,
        classes=classes,
        fingerprint=fingerprint,
        provider=described["weights"],
        report={key: described[key] for key in _REPORTED},
        versions=described["versions"],
        training=kept.training(members[_TRAINING], len(classes)),
        novelty=kept.novelty(members[_NOVELTY]) if _NOVELTY in members else None,
        tail=tail,
    )


def _try(model: Model) -> None:
    """Check that head, view, novelty and features fit one another and give probabilities.

    Raises
    ------
    ValueError
        When they do not fit.
    """
    for name, array in (model.training | (vars(model.novelty) if model.novelty else {})).items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{name} has values that are not finite")
    width = model.view.width
    rows = np.eye(3, width, dtype=np.float32)
    found = model.predict_proba_rows(rows)
    if found.shape != (3, len(model.classes)) or not np.allclose(found.sum(axis=1), 1):
        raise ValueError(f"its head does not give probabilities for {width} columns")
    columns = list(model.view.for_novelty.widths.values())[-1]
    if model.novelty and model.novelty.reference.shape[1] != columns:
        raise ValueError("its novelty is of other features")
