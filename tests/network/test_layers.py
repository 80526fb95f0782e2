import io
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from featx.errors import CorruptError, InputError
from featx.network import vgg16, weight_files
from featx.network.networks import get_network
from featx.network.steps import Arrays

VGG16 = vgg16.VGG16()


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    return VGG16.random_arrays(1)


def equal(one: Arrays, other: Arrays) -> bool:
    return all(np.array_equal(a, b) for n in one for a, b in zip(one[n], other[n], strict=True))


def test_layers() -> None:
    assert list(vgg16.CONVOLUTIONS) == [name for name in vgg16.LAYERS if "conv" in name]
    assert len(vgg16.CONVOLUTIONS) == 13
    assert get_network("vgg16").shape("block4_pool", 224) == (14, 14, 512)
    assert get_network("vgg16").shape("block1_conv1", 64) == (64, 64, 64)
    with pytest.raises(
        InputError, match=r"Unknown layer 'fc1'\. Expected one of input, block1_conv1"
    ):
        get_network("vgg16").shape("fc1", 224)
    with pytest.raises(InputError, match="The size 200 is not a multiple of 32"):
        get_network("vgg16").shape("block5_pool", 200)


def test_random_is_seeded_he_normal(arrays: Arrays) -> None:
    assert equal(arrays, VGG16.random_arrays(1)) and not equal(arrays, VGG16.random_arrays(2))
    kernel = arrays["block3_conv2"][0]
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * 256)), rel=0.01)


def test_safetensors(arrays: Arrays) -> None:
    data = weight_files.to_safetensors(VGG16, arrays)
    assert data == weight_files.to_safetensors(VGG16, arrays)
    assert equal(vgg16.from_file(data), arrays)


def test_torchvision_names(arrays: Arrays) -> None:
    from safetensors.numpy import save

    places = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]  # of the convolutions in features
    tensors = {}
    for place, (kernel, bias) in zip(places, arrays.values(), strict=True):
        tensors[f"features.{place}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
        tensors[f"features.{place}.bias"] = bias
    assert equal(vgg16.from_file(save(tensors)), arrays)


def test_keras_files_new_and_old(arrays: Arrays, tmp_path: Path) -> None:
    from featx import backend

    model = backend.keras().applications.VGG16(
        weights=None, include_top=False, input_shape=(32, 32, 3)
    )
    for name, pair in arrays.items():
        model.get_layer(name).set_weights(pair)
    model.save_weights(tmp_path / "new.weights.h5")
    assert equal(vgg16.from_file((tmp_path / "new.weights.h5").read_bytes()), arrays)
    # The layout of the file that keras.applications downloads.
    old = io.BytesIO()
    with h5py.File(old, "w") as file:
        for name, (kernel, bias) in arrays.items():
            file[f"{name}/{name}_W_1:0"] = kernel
            file[f"{name}/{name}_b_1:0"] = bias
    assert equal(vgg16.from_file(old.getvalue()), arrays)


def test_files_that_are_not_vgg16(arrays: Arrays) -> None:
    from safetensors.numpy import save

    with pytest.raises(CorruptError, match="Neither an HDF5 nor a safetensors"):
        vgg16.from_file(b"not weights at all")
    with pytest.raises(CorruptError, match="has 0 convolutions; VGG16 has 13"):
        vgg16.from_file(save({"x": np.zeros(3, np.float32)}))
    bad = dict(arrays)
    bad["block2_conv1"] = (np.zeros((3, 3, 64, 64), np.float32), np.zeros(64, np.float32))
    with pytest.raises(CorruptError, match=r"block2_conv1 have the shapes \(3, 3, 64, 64\)"):
        vgg16.from_file(weight_files.to_safetensors(VGG16, bad))
    bad["block2_conv1"] = (np.full((3, 3, 64, 128), np.nan, np.float32), np.zeros(128, np.float32))
    with pytest.raises(CorruptError, match="block2_conv1 are not all finite"):
        vgg16.from_file(weight_files.to_safetensors(VGG16, bad))


def checkpoint(arrays: Arrays) -> dict[str, object]:
    pairs = enumerate(arrays.values())
    return {"VGG16_0": {f"Conv_{i}": {"kernel": k, "bias": b} for i, (k, b) in pairs}}


def test_checkpoint(arrays: Arrays) -> None:
    data = pickle.dumps(checkpoint(arrays), protocol=3).replace(
        b"numpy._core.multiarray", b"numpy.core.multiarray"
    )
    assert equal(vgg16.from_checkpoint(data), arrays)


class Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_checkpoint_runs_nothing(arrays: Arrays, tmp_path: Path) -> None:
    for content in (Canary(tmp_path / "canary"), {"VGG16_0": Canary(tmp_path / "canary")}):
        with pytest.raises(CorruptError, match="which is not admitted"):
            vgg16.from_checkpoint(pickle.dumps(content))
    assert not (tmp_path / "canary").exists()
    pickle.loads(pickle.dumps(Canary(tmp_path / "canary")))  # the canary does sing
    assert (tmp_path / "canary").exists()
