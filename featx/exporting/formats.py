"""The table of formats: what a file is called, who writes it, and who runs it."""

import importlib.metadata
import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..errors import InputError, printable
from .about import About, Run
from .keras_file import load_keras, write_keras
from .onnx_file import load_onnx, write_onnx
from .saved_model import load_saved_model, write_saved_model
from .tflite_file import load_tflite, write_tflite

__all__ = ["FORMATS", "PRECISIONS", "QUANTIZATIONS", "Format", "format_of"]

#: Precisions that Keras computes in.
PRECISIONS = ("auto", "float32", "bfloat16")
#: Types that the weights of a quantised file have.
QUANTIZATIONS = ("float16", "int8")


@dataclass(frozen=True)
class Format:
    """A row of the table.

    Attributes
    ----------
    name : str
        For people.
    suffix : str
        What the name of a file ends in; "" for a folder.
    write : callable
        (network, about, path, quantize): writes a file or folder.
    load : callable
        Path → what runs it.
    runtime : str
        What runs it, for people.
    opened : str
        The call that opens it, with {} for its name.
    package : str
        The package of the runtime, which has its version.
    modules : tuple of str
        What has to be imported to write and to run it, beside TensorFlow.
    extra : str
        The extra of featx that brings these.
    half : bool
        Whether it can compute in bfloat16.
    quantizes : bool
        Whether its weights can have another type than it computes in.
    """

    name: str
    suffix: str
    write: Callable[[Any, About, Path, str | None], None]
    load: Callable[[Path], Run]
    runtime: str
    opened: str
    package: str
    modules: tuple[str, ...] = ()
    extra: str = ""
    half: bool = False
    quantizes: bool = False

    @property
    def version(self) -> str:
        """What runs it, with its version."""
        return f"{self.runtime} {importlib.metadata.version(self.package)}"

    def require_modules(self) -> None:
        """Check that what it needs is installed.

        Raises
        ------
        InputError
            When something is not; the message says how to install it.
        """
        missing = [module for module in self.modules if not _is_installed(module)]
        if missing:
            raise InputError(
                f"{self.name} needs {' and '.join(missing)}, which is not installed. Install it: "
                f"pip install 'featx[{self.extra}]'"
            )


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "keras": Format(
            "A Keras file",
            ".keras",
            write_keras,
            load_keras,
            "Keras",
            "keras.saving.load_model({})",
            "keras",
            half=True,
        ),
        "onnx": Format(
            "An ONNX file",
            ".onnx",
            write_onnx,
            load_onnx,
            "ONNX Runtime",
            "onnxruntime.InferenceSession({})",
            "onnxruntime",
            modules=("onnx", "tf2onnx", "onnxruntime"),
            extra="onnx",
        ),
        "tflite": Format(
            "A TFLite file",
            ".tflite",
            write_tflite,
            load_tflite,
            "LiteRT",
            "ai_edge_litert.interpreter.Interpreter({})",
            "ai-edge-litert",
            modules=("ai_edge_litert",),
            extra="tflite",
            quantizes=True,
        ),
        "saved-model": Format(
            "A SavedModel",
            "",
            write_saved_model,
            load_saved_model,
            "TensorFlow",
            "tensorflow.saved_model.load({})",
            "tensorflow",
        ),
    }
)


def _is_installed(module: str) -> bool:
    """Tell whether a package can be imported, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # something keeps it from being imported
        return False


def format_of(out: str | os.PathLike[str]) -> tuple[str, Format]:
    """Return the format that the name of an output means, and its name in the table.

    A SavedModel is a folder: its name ends in ``/`` or has no suffix, or it is a folder already.

    Raises
    ------
    InputError
        When the name means none.

    Examples
    --------
    >>> format_of("bees.onnx")[0], format_of("bees")[0], format_of("bees.v2/")[0]
    ('onnx', 'saved-model', 'saved-model')
    """
    text, path = os.fspath(out), Path(out)
    is_folder = text.endswith(("/", os.sep)) or path.is_dir()
    for name, row in FORMATS.items():
        if not row.suffix and (is_folder or not path.suffix):
            return name, row
        if row.suffix and path.suffix == row.suffix and not is_folder:
            return name, row
    suffixes = [row.suffix for row in FORMATS.values() if row.suffix]
    raise InputError(
        f"{printable(text)}: expected a name that ends in {', '.join(suffixes[:-1])} or "
        f"{suffixes[-1]}, or for a SavedModel the name of a folder, without an ending or with / "
        "at the end."
    )
