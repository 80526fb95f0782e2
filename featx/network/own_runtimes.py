"""What loads and runs a network of the user's own, in the process that it has for itself."""

import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from .. import backend
from ..errors import CorruptError, FeatxError, InputError
from .onnx_bytes import require_self_contained
from .openvino import require_openvino
from .preprocessing import normalize

__all__ = ["LOADERS", "Loaded", "features"]

#: A length of an axis, or None where any is taken.
Axes = tuple[int | None, ...]


@dataclass(frozen=True)
class Loaded:
    """A network that is loaded.

    Attributes
    ----------
    axes : tuple
        Of its input, (n, height, width, 3) or (n, 3, height, width).
    dtype : str
        Of its input, as NumPy calls it.
    run : callable
        From images to what the network gives for them, both arrays.
    """

    axes: Axes
    dtype: str
    run: Callable[[np.ndarray], Any]


def features(
    network: Loaded, data: bytes, *, count: int, size: int, preprocessing: str
) -> np.ndarray:
    """Return float32 features (count, height, width, channels), in C order.

    Parameters
    ----------
    network : Loaded
    data : bytes
        Pixels in RGB, uint8 (count, size, size, 3).
    count, size : int
    preprocessing : str
        A member of `preprocessing.PREPROCESSING`.

    Raises
    ------
    InputError
        When the network does not take such images, or gives what are no features.
    """
    is_first = _channels_are_first(network.axes)
    _require_size(network.axes, is_first, size)
    images: np.ndarray = np.frombuffer(data, np.uint8).reshape(count, size, size, 3)
    if network.dtype == "uint8":
        if preprocessing != "none":
            raise InputError(
                "It takes pixels as they are (uint8), and so normalises them itself. Use "
                f"--preprocessing none and not {preprocessing}."
            )
    elif network.dtype in ("float32", "float16"):
        images = normalize(images.astype(np.float32), preprocessing).astype(network.dtype)
    else:
        raise InputError(f"It takes {network.dtype}. Expected float32, float16 or uint8.")
    if is_first:
        images = images.transpose(0, 3, 1, 2)
    together = network.axes[0] or count
    found = []
    for start in range(0, count, together):
        block = images[start : start + together]
        padding = np.zeros((together - len(block), *block.shape[1:]), block.dtype)
        whole = np.ascontiguousarray(np.concatenate([block, padding]))
        found.append(_as_features(_run(network, whole), together, is_first)[: len(block)])
    return np.ascontiguousarray(np.concatenate(found))


def _run(network: Loaded, images: np.ndarray) -> np.ndarray:
    try:
        return np.asarray(network.run(images))
    except Exception as error:
        side = images.shape[2]
        raise InputError(f"It does not run on images of {side} pixels: {error}") from error


def _channels_are_first(axes: Axes) -> bool:
    if len(axes) == 4 and (axes[1] == 3) != (axes[3] == 3):
        return axes[1] == 3
    shown = ", ".join("any" if axis is None else str(axis) for axis in axes)
    raise InputError(
        f"Its input has the shape ({shown}). Expected RGB images, (n, height, width, 3) or "
        "(n, 3, height, width)."
    )


def _require_size(axes: Axes, is_first: bool, size: int) -> None:
    height, width = axes[2:] if is_first else axes[1:3]
    if height and width and height != width:
        raise InputError(
            f"It takes images of {height} x {width} pixels. featx gives square ones: export it for "
            "those."
        )
    wanted = height or width
    if wanted and wanted != size:
        raise InputError(
            f"It takes images of {wanted} pixels, and not of {size}. Use --size {wanted}."
        )


def _as_features(found: np.ndarray, count: int, is_first: bool) -> np.ndarray:
    """Return what a network gives as float32 (n, height, width, channels)."""
    shape = ", ".join(map(str, found.shape))
    if found.dtype.name not in ("float32", "float16", "bfloat16"):
        raise InputError(f"It gives {found.dtype}. Expected float32 or float16.")
    if found.ndim not in (2, 4) or len(found) != count or not found.size:
        raise InputError(
            f"It gives the shape ({shape}) for a batch of {count}. Expected ({count}, height, "
            f"width, channels), or vectors ({count}, channels)."
        )
    if found.ndim == 2:
        found = found[:, None, None]
    elif is_first:
        found = found.transpose(0, 2, 3, 1)
    return found.astype(np.float32)


def _only(inputs: Sequence[Any]) -> Any:
    if len(inputs) != 1:
        raise InputError(f"It has {len(inputs)} inputs. Expected one, for images.")
    return inputs[0]


def _axes(lengths: Sequence[Any]) -> Axes:
    """Return lengths where they are known; runtimes have names or None for the rest."""
    return tuple(one if isinstance(one, int) and one > 0 else None for one in lengths)


# Keras --------------------------------------------------------------------------------------


def _load_keras(path: Path) -> Loaded:
    _require_whole_zip(path)
    # Keras imports what it draws with, which would look at every font first.
    with backend.block_imports("matplotlib", "sklearn"):
        keras, tf = backend.keras(), backend.tensorflow()
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise InputError(
            f"Keras {keras.__version__} does not load it. Code of layers of its own (Lambda, "
            "custom classes) is not run: save it without them, or export it as ONNX. Keras says: "
            f"{_reason(error)}"
        ) from error
    taken = _only(getattr(model, "inputs", None) or ())

    @tf.function(autograph=False, reduce_retracing=True)
    def outputs(images: Any) -> Any:
        found = tf.nest.flatten(model(images, training=False))[0]
        return tf.cast(found, tf.float32) if found.dtype == tf.bfloat16 else found

    return Loaded(_axes(taken.shape), str(taken.dtype), lambda images: outputs(images).numpy())


def _reason(error: Exception) -> str:
    """Return what Keras says, without the whole config before it and the advice after it."""
    text = str(error).rpartition("Exception encountered: ")[2]
    for end in ("Full object config", "If you trust the source"):
        text = text.partition(end)[0]
    return text


def _require_whole_zip(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
            names = archive.namelist()
    except Exception as error:  # a hostile archive raises what it likes
        raise CorruptError(f"It is not a whole .keras file: {error}") from error
    if broken or "config.json" not in names:
        raise CorruptError(f"It is not a whole .keras file: {broken or 'config.json'} is not there")


# ONNX ---------------------------------------------------------------------------------------

_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}


def _load_onnxruntime(path: Path) -> Loaded:
    data = _onnx(path)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = _cores()
    options.use_deterministic_compute = True
    # Else it looks whether the bytes are of its own format, which nobody checked.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        session = onnxruntime.InferenceSession(
            data, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except Exception as error:
        raise _not_loaded(f"ONNX Runtime {onnxruntime.__version__}", error) from error
    taken, given = _only(session.get_inputs()), session.get_outputs()[0]
    return Loaded(
        _axes(taken.shape),
        _DTYPES.get(taken.type, taken.type),
        lambda images: session.run([given.name], {taken.name: images})[0],
    )


def _load_openvino(path: Path) -> Loaded:
    data = _onnx(path)
    openvino = require_openvino()
    import io

    from openvino.frontend import FrontEndManager

    # `read_model` takes other formats too, which nobody checked.
    reader = FrontEndManager().load_by_framework("onnx")
    try:
        model = reader.convert(reader.load(io.BytesIO(data)))
        taken = _only(model.inputs)
        lengths = [0 if one.is_dynamic else one.get_length() for one in taken.partial_shape]
        compiled = openvino.Core().compile_model(
            model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        )
    except FeatxError:
        raise
    except Exception as error:
        raise _not_loaded(f"OpenVINO {openvino.__version__}", error) from error
    dtype = taken.element_type.to_dtype().name
    return Loaded(_axes(lengths), dtype, lambda images: compiled(images)[0])


def _onnx(path: Path) -> bytes:
    data = path.read_bytes()
    require_self_contained(data)
    return data


def _not_loaded(whose: str, error: Exception) -> InputError:
    return InputError(
        f"{whose} does not load it. Operators that are not ONNX's own are not run. It says: {error}"
    )


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # Linux has it
    return len(affinity(0)) if affinity else os.cpu_count() or 1


#: From the name of a runtime to what loads a file for it.
LOADERS: Mapping[str, Callable[[Path], Loaded]] = MappingProxyType(
    {"keras": _load_keras, "onnxruntime": _load_onnxruntime, "openvino": _load_openvino}
)
