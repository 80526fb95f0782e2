"""Keras's own models, cut into layers: the same features, and weights read from Keras's files."""

import hashlib
import http.server
import importlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from featx import backend
from featx.errors import CorruptError, IncompatibleError
from featx.images import decode
from featx.network import downloads, networks, weight_files, weights
from featx.network.fingerprint import Fingerprint, TrunkFingerprint
from featx.network.networks import get_network
from featx.network.trunk import Trunk
from featx.network.weights import resolve_weights
from featx.storage import files

#: name → Keras's function, and the module with its preprocessing and the hashes of its files.
KERAS = {
    "vgg16": ("VGG16", "vgg16"),
    "resnet50": ("ResNet50", "resnet"),
    "efficientnet-v2-b0": ("EfficientNetV2B0", "efficientnet_v2"),
    "convnext-tiny": ("ConvNeXtTiny", "convnext"),
}
SIZE = 64


def keras_model(name: str) -> Any:
    """Return Keras's own model with random weights, those of batch normalisation among them."""
    backend.keras().utils.set_random_seed(3)
    model = getattr(backend.keras().applications, KERAS[name][0])(
        include_top=False, weights=None, input_shape=(SIZE, SIZE, 3)
    )
    random = np.random.default_rng(3)
    for weight in model.weights:
        if weight.path.endswith(("moving_variance", "gamma")):
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
        elif weight.path.endswith(("moving_mean", "beta", "bias")):
            weight.assign(random.normal(0, 0.1, weight.shape))
    return model


def written(model: Any, path: Path) -> Path:
    """Write the weights as Keras does: in its new format, or in the one of its published files."""
    if path.name.endswith(".weights.h5"):
        model.save_weights(path)
    else:
        legacy = importlib.import_module("keras.src.legacy.saving.legacy_h5_format")
        with h5py.File(path, "w") as file:
            legacy.save_weights_to_hdf5_group(file, model)
    return path


@pytest.fixture(scope="module")
def pixels(request: pytest.FixtureRequest) -> np.ndarray:
    """Return real photographs where they are at hand, else generated images."""
    folder = request.config.rootpath.parent / "shared" / "data" / "flowers17" / "train"
    photographs = sorted(folder.glob("*/*.jpg"))[::120][:6]
    if photographs:
        read = [decode.decode(path.read_bytes(), SIZE).pixels for path in photographs]
        return np.stack(read)
    return np.random.default_rng(0).integers(0, 256, (6, SIZE, SIZE, 3), np.uint8)


def preprocessed(name: str, pixels: np.ndarray) -> np.ndarray:
    module = importlib.import_module(f"keras.applications.{KERAS[name][1]}")
    found: np.ndarray = module.preprocess_input(pixels.astype(np.float32))
    return found


def marked(name: str) -> Any:
    return name if name in ("vgg16", "resnet50") else pytest.param(name, marks=pytest.mark.slow)


@pytest.mark.parametrize("name", [marked(name) for name in KERAS])
def test_features_are_those_of_keras(
    name: str, pixels: np.ndarray, tmp_path: Path, report: Callable[[str], None]
) -> None:
    model, row = keras_model(name), get_network(name)
    expected = model.predict(preprocessed(name, pixels), verbose=0)
    path = written(model, tmp_path / "published.h5")
    arrays = row.steps.from_file(path.read_bytes())
    newer = row.steps.from_file(written(model, tmp_path / "new.weights.h5").read_bytes())
    assert arrays.keys() == newer.keys()
    assert all(
        np.array_equal(one, two)
        for layer in arrays
        for one, two in zip(arrays[layer], newer[layer], strict=True)
    )
    own = resolve_weights(str(path), network=name, preprocessing=row.preprocessing[0])
    trunk = TrunkFingerprint(own.digest, own.preprocessing, row.last, SIZE, "crop", network=name)
    for runtime in ("tensorflow", "openvino"):
        made = Fingerprint(trunk, 0, "", 0, "float32", "float32", runtime, row.pooled)
        given = Trunk(own, made).activations([pixels])
        found, pools = given.features, given.pools[:, 0]
        assert found.dtype == np.float32
        scale = np.abs(expected).max()
        error = np.abs(found - expected).max() / scale
        report(f"{name} by {runtime}: {error:.1e} from Keras's own features")
        assert scale > 0 and error < 1e-4
        last = 2 * row.cuts[row.last][1]
        if row.pooled[-1] == row.last:
            assert pools[:, -last // 2 :] == pytest.approx(
                found.max(axis=(1, 2)), abs=1e-3 * float(scale)
            )


@pytest.mark.parametrize("name", [name for name in KERAS if name != "vgg16"])
def test_files_are_pinned_as_keras_pins_them(name: str) -> None:
    module = importlib.import_module(f"keras.src.applications.{KERAS[name][1]}")
    own = {"resnet50": "resnet50", "efficientnet-v2-b0": "b0", "convnext-tiny": "convnext_tiny"}
    provider = get_network(name).providers["keras"]
    assert module.WEIGHTS_HASHES[own[name]][1] == (provider.md5 or provider.digest)
    assert provider.source.origin.startswith(module.BASE_WEIGHTS_PATH)


def test_weights_of_a_trained_model_are_read(tmp_path: Path) -> None:
    model, steps = keras_model("resnet50"), get_network("resnet50").steps
    expected = steps.from_file(written(model, tmp_path / "before.weights.h5").read_bytes())
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    path = written(model, tmp_path / "after.weights.h5")
    with h5py.File(path) as file:
        assert "optimizer" in file
    found = steps.from_file(path.read_bytes())
    assert found.keys() == expected.keys()
    for layer, arrays in expected.items():
        assert all(map(np.array_equal, arrays, found[layer]))


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".h5", ".weights.h5"])
def test_damaged_files_are_refused(ending: str, tmp_path: Path) -> None:
    steps, path = get_network("resnet50").steps, tmp_path / f"network{ending}"
    data = written(keras_model("resnet50"), path).read_bytes()
    with pytest.raises(CorruptError, match="Not a readable HDF5 file"):
        steps.from_file(data[: len(data) // 2])
    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visit(lambda name: names.append(name) if hasattr(file[name], "shape") else None)
        kernel = next(name for name in names if file[name].ndim == 4)
        intact = file[kernel][()]
        file[kernel][...] = np.nan
    with pytest.raises(CorruptError, match="not all finite numbers"):
        steps.from_file(path.read_bytes())
    with h5py.File(path, "r+") as file:
        del file[kernel]
        file[kernel] = intact[..., :-1]
    with pytest.raises(CorruptError, match="Not a file of these weights"):
        steps.from_file(path.read_bytes())
    with h5py.File(path, "r+") as file:
        del file[kernel]
    with pytest.raises(CorruptError, match="Not a file of these weights"):
        steps.from_file(path.read_bytes())


def test_other_files_are_refused(tmp_path: Path) -> None:
    steps = get_network("resnet50").steps
    other = written(keras_model("efficientnet-v2-b0"), tmp_path / "other.h5").read_bytes()
    for data in (other, other[: len(other) // 2], b"\x89HDF\r\n" + bytes(100), b"nothing", b""):
        with pytest.raises(CorruptError):
            steps.from_file(data)


def test_a_tail_goes_through_a_file() -> None:
    row = get_network("efficientnet-lite0")
    arrays, names = row.steps.random_arrays(4), ["block16", "last_relu"]
    some = {name: arrays[name] for name in names}
    data = weight_files.to_safetensors(row.steps, some)
    found = weight_files.from_safetensors(row.steps, data, names)
    assert all(map(np.array_equal, some["block16"], found["block16"]))
    with pytest.raises(CorruptError, match=r"The first that is missing or not expected is block15"):
        weight_files.from_safetensors(row.steps, data, ["block15", *names])
    bad = {**some, "block16": tuple(np.full_like(one, np.nan) for one in some["block16"])}
    with pytest.raises(CorruptError, match="not all finite numbers"):
        weight_files.from_safetensors(row.steps, weight_files.to_safetensors(row.steps, bad), names)


# Files that are pinned by their MD5 alone -----------------------------------------------------


class Handler(http.server.BaseHTTPRequestHandler):
    content = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()


def test_a_first_download_is_recorded(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "folder", lambda: tmp_path / "cache")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    model = keras_model("efficientnet-v2-b0")
    data = written(model, tmp_path / "published.h5").read_bytes()
    row = get_network("efficientnet-v2-b0")
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    at = downloads.Url(f"{server}/{row.providers['keras'].file}")
    provider = replace(row.providers["keras"], source=at, md5=md5)
    changed = {**networks.NETWORKS, row.name: replace(row, providers={"keras": provider})}
    for module in (networks, weights):
        monkeypatch.setattr(module, "NETWORKS", changed)
    Handler.content = b"<html>a login page</html>"
    with pytest.raises(CorruptError, match=f"its MD5 is .*, expected {md5}"):
        downloads.fetch(provider)
    assert provider.recorded == "" and downloads.find_weights(provider) is None
    Handler.content = data
    found = resolve_weights("auto", network=row.name)
    assert found.provider == "keras" and found.digest == files.digest(data) == provider.recorded
    assert weights.provider_of(found.digest) == "keras"
    assert found.arrays().keys() == row.steps.random_arrays(0).keys()
    Handler.content = b""  # it is not asked again
    assert resolve_weights("auto", network=row.name, wanted=found.digest) == found
    with pytest.raises(IncompatibleError, match="no known source has them"):
        resolve_weights("auto", network=row.name, wanted="f" * 64)
    assert found.path
    found.path.write_bytes(data + b" ")  # of the same MD5 it could be; the SHA-256 is another
    assert downloads.find_weights(provider) is None
    with pytest.raises(CorruptError, match="its SHA-256 is"):
        found.arrays()
    Handler.content = data + b" "  # nor is it taken from there, whatever its MD5 is
    with pytest.raises(CorruptError, match=f"expected {found.digest}"):
        downloads.fetch(replace(provider, md5=hashlib.md5(data + b" ").hexdigest()))
