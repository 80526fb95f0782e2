"""Stage 4: a model as a file for other programs, run on images before it is put in its place."""

import logging
import os
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np

from .. import backend
from ..errors import InputError, printable, require_one_of
from ..keywords import takes
from ..model.file import load
from ..model.model import Model
from ..names import ExportPrecision, QuantizationName
from ..plain import plain
from ..progress import Progress, as_function, ignore_progress, shows_progress
from ..storage import files, locks
from ..storage.folders import replace_folder
from .about import describe
from .agreement import expect, limit_of, require_agreement, require_rows
from .formats import PRECISIONS, QUANTIZATIONS, Format, format_of
from .network import build_exported
from .pixels import COUNT, find_images
from .saved_model import IS_ONE

__all__ = ["ExportChanges", "ExportResult", "ExportSettings", "check_export", "export"]

log = logging.getLogger("featx")

_MORE_QUANTIZED = 3  # times as many images, since some differ much more than others


@dataclass(frozen=True)
class ExportSettings:
    """How a model is exported.

    Attributes
    ----------
    precision : {"auto", "float32", "bfloat16"}
        The precision that the file computes in; only a Keras file computes in bfloat16. auto is
        float32, and for a Keras file the precision that the model was made in. Processors without
        bfloat16 emulate it, several times slower than float32.
    quantize : {"float16", "int8"}, optional
        The type of the weights of a TFLite file, in place of float32: float16 makes it half the
        size, and int8 a quarter. Its probabilities may differ by up to 0.02.
    check_images : path, optional
        A folder, a manifest or an image: what the file is run on before it is written. By default
        these are images of the cache that the model was fitted on, or generated images where the
        cache or its images are gone.
    overwrite : bool
        Replace an output that exists.
    """

    precision: str = "auto"
    quantize: str | None = None
    check_images: str | os.PathLike[str] | None = None
    overwrite: bool = False


class ExportChanges(TypedDict, total=False):
    """The fields of `ExportSettings` as keywords, for editors and type checkers."""

    precision: ExportPrecision
    quantize: QuantizationName | None
    check_images: str | os.PathLike[str] | None
    overwrite: bool


@dataclass(frozen=True)
class ExportResult:
    """What `export` wrote.

    Attributes
    ----------
    out : Path
    format : str
        A key of `formats.FORMATS`.
    size : int
        Pixels a side of the images it takes.
    classes : tuple of str
        In the order of the probabilities.
    threshold : float or None
        The confidence below which the model had better abstain, where it was fitted with a target
        precision. The file says it; it does not apply it.
    bytes : int
    precision : str
        The precision that the file computes in.
    quantized : str or None
        The type of its weights, if they are quantised.
    made_in : str
        The precision of the features that the model was fitted on.
    runtime : str
        What the file was run by, with its version.
    images : int
        How many images it was run on.
    checked_on : str
        Where they are from.
    apart : float
        How far probabilities of the file and of the model were apart at most, the model computed in
        the precision of the file.
    apart_here : float or None
        The same, the model computed as `score` does on this machine unless it is told otherwise;
        None where it cannot.
    seconds : float
    """

    out: Path
    format: str
    size: int
    classes: tuple[str, ...]
    threshold: float | None
    bytes: int
    precision: str
    quantized: str | None
    made_in: str
    runtime: str
    images: int
    checked_on: str
    apart: float
    apart_here: float | None
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return what was written as plain values, for JSON."""
        found: dict[str, Any] = plain(self)
        return found


@takes(ExportSettings, ExportChanges)
@shows_progress
@backend.own_settings()
def export(
    model: Model | str | os.PathLike[str],
    out: str | os.PathLike[str],
    settings: ExportSettings | None = None,
    *,
    progress: Progress | bool | None = None,
    **changes: Unpack[ExportChanges],
) -> ExportResult:
    """Write a model as a file that other programs run without featx.

    It takes upright RGB images of type uint8 and shape (n, size, size, 3), brought to that size
    by the model's resize rule, and gives probabilities float32 (n, classes). Preprocessing, view,
    head and calibration are inside, and so are the names of the classes, the resize rule and the
    threshold. The file is run on images, and is not written when it disagrees with the model.

    Parameters
    ----------
    model : Model or path
    out : path
        Ends in ``.keras``, ``.onnx`` or ``.tflite``. A name without an ending, or with ``/`` at the
        end, is the folder of a TensorFlow SavedModel.
    settings : ExportSettings, optional
    progress : callable or True, optional
        True shows a bar; else see `progress.Progress`;
        the detail is what is under way.
    **changes
        Fields of `ExportSettings`, over those of `settings`.

    Returns
    -------
    ExportResult
        What was written, and how near it is to the model.

    Raises
    ------
    InputError
        When `out` is no name for this or exists, a package is missing, a setting does not fit the
        format, or the model sees images at several sizes.
    IncompatibleError
        When the file disagrees with the model, or the weights are not at hand.
    CorruptError, StorageError, LockedError
        When the model cannot be read, or the file cannot be written.

    Examples
    --------
    >>> import featx
    >>> made = featx.export("model.featx", "model.keras")  # doctest: +SKIP
    >>> made.format, made.apart < 1e-3  # doctest: +SKIP
    ('keras', True)
    """
    progress = as_function(progress)
    settings = replace(settings or ExportSettings(), **changes)
    begun = time.monotonic()
    name, wanted = check_export(out, settings)
    out = Path(out)
    told = _Steps(progress or ignore_progress)
    if not isinstance(model, Model):
        model = load(model)
    precision = _precision(wanted, settings, model.fingerprint.precision)
    told("building the network")
    network = build_exported(model, precision)
    told("reading images")
    count = COUNT * (_MORE_QUANTIZED if settings.quantize else 1)
    images = find_images(model, settings.check_images, count)
    told("running the model")
    with backend.during_import():  # the first run logs too
        expected = expect(model, images.pixels, precision)
        require_rows(network, expected, precision)
    about = describe(model)
    with tempfile.TemporaryDirectory(prefix="featx-") as folder:
        made = Path(folder) / f"model{wanted.suffix}"
        told(f"writing for {wanted.runtime}")
        with backend.during_import():  # exporters and runtimes log as imports do
            wanted.write(network, about, made, settings.quantize)
            told(f"running by {wanted.runtime}")
            run, pixels = wanted.load(made), images.pixels
            blocks = [run(pixels[at : at + COUNT]) for at in range(0, len(pixels), COUNT)]
            found = np.concatenate(blocks).astype(np.float64)
        apart = require_agreement(
            found, expected, limit_of(precision, settings.quantize), _advice(settings)
        )
        told("writing")
        size = _publish(made, out, wanted, settings.overwrite)
    told("done")
    made_in = model.fingerprint.precision
    if settings.quantize or made_in != precision:
        log.warning(
            "The file %s %s, and the model was made in %s: probabilities differ a little. "
            "docs/export.md says how much.",
            "has weights in" if settings.quantize else "computes in",
            settings.quantize or precision,
            made_in,
        )
    elif precision == "bfloat16":
        log.info(
            "The file computes in bfloat16, as the model does. For processors without it, where "
            "Keras emulates it several times slower, export with --precision float32."
        )
    here = expected.here
    return ExportResult(
        out=out,
        format=name,
        size=model.fingerprint.trunk.size,
        classes=model.classes,
        threshold=about["threshold"],
        bytes=size,
        precision=precision,
        quantized=settings.quantize,
        made_in=made_in,
        runtime=wanted.version,
        images=len(images.pixels),
        checked_on=images.source,
        apart=apart,
        apart_here=None if here is None else float(np.abs(found - here).max()),
        seconds=round(time.monotonic() - begun, 3),
    )


class _Steps:
    """Tells the progress of the steps, each by its name."""

    _ALL = 6

    def __init__(self, progress: Progress) -> None:
        self._progress, self._done = progress, 0

    def __call__(self, name: str) -> None:
        self._progress(self._done, self._ALL, name)
        self._done += 1


def check_export(out: str | os.PathLike[str], settings: ExportSettings) -> tuple[str, Format]:
    """Return the format and its name in the table, before anything is fetched or computed.

    Raises
    ------
    InputError
        When a setting is wrong, `out` cannot be written, or a package is missing.
    """
    name, wanted = format_of(out)
    out = Path(out)
    require_one_of("precision", settings.precision, PRECISIONS)
    if settings.precision == "bfloat16" and not wanted.half:
        raise InputError(
            f"{wanted.name} computes in float32; only a Keras file (.keras) computes in bfloat16. "
            "Leave the precision out, or name a file that ends in .keras."
        )
    if settings.quantize is not None:
        require_one_of("quantization", settings.quantize, QUANTIZATIONS)
    if settings.quantize and not wanted.quantizes:
        raise InputError(
            f"{wanted.name} cannot be quantised, only a TFLite file. Leave quantize out, or name a "
            "file that ends in .tflite."
        )
    if out.is_dir() and settings.overwrite and not (out / IS_ONE).is_file():
        raise InputError(
            f"{printable(out)} is a folder with something else than a SavedModel in it, and is not "
            "replaced. Give the name of a new folder."
        )
    if not wanted.suffix and out.exists() and not out.is_dir():
        raise InputError(
            f"{printable(out)} is a file, and a SavedModel a folder. Give another name."
        )
    files.require_new(out, settings.overwrite)
    wanted.require_modules()
    return name, wanted


def _precision(wanted: Format, settings: ExportSettings, made_in: str) -> str:
    if settings.precision != "auto":
        return settings.precision
    return made_in if wanted.half and made_in in PRECISIONS else "float32"


def _advice(settings: ExportSettings) -> str:
    if settings.quantize == "int8":
        return "Quantise to float16, or leave quantize out."
    return (
        "Heads that jump, such as knn and random-forest, can turn the smallest rounding into "
        "another answer: fit another head, such as ridge."
    )


def _publish(made: Path, out: Path, wanted: Format, overwrite: bool) -> int:
    """Put what was made in its place, and return its bytes."""
    with locks.lock_output(out):
        files.require_new(out, overwrite)  # another run may have written it meanwhile
        if wanted.suffix:
            data = made.read_bytes()
            files.write_bytes(out, data)
            return len(data)
        replace_folder(made, out)
    return sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
