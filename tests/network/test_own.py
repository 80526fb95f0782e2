"""A network of the user's own: what it gives is the file's, and what it may do is little."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from featx import backend
from featx.errors import CorruptError, FeatxError, InputError, StorageError
from featx.network import onnx_bytes, own_process, own_runtimes
from featx.network.own import OwnNetwork, runtime_of
from featx.network.preprocessing import normalize
from featx.storage import files

SIZE, BATCH = 32, 3
RUNTIMES = ("onnxruntime", "openvino")
PIXELS = np.random.default_rng(0).integers(0, 256, (BATCH, SIZE, SIZE, 3), np.uint8)


def own(path: Path, **settings: Any) -> OwnNetwork:
    return OwnNetwork(path, files.file_digest(path), **settings)


# Keras --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a functional model of Keras, as both kinds of file."""
    keras = backend.keras()
    keras.utils.set_random_seed(0)
    given = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(given)
    x = keras.layers.BatchNormalization()(x)
    model = keras.Model(given, keras.layers.DepthwiseConv2D(3)(x))
    model(PIXELS.astype(np.float32))
    place = tmp_path_factory.mktemp("networks")
    model.save(place / "one.keras")
    model.export(place / "one.onnx", format="onnx", verbose=False)
    return place


@pytest.fixture(scope="module")
def expected(folder: Path) -> Callable[[str], np.ndarray]:
    model = backend.keras().saving.load_model(folder / "one.keras")
    return lambda preprocessing: np.asarray(
        model(normalize(PIXELS.astype(np.float32), preprocessing))
    )


@pytest.fixture(scope="module")
def by_keras(folder: Path) -> Iterator[OwnNetwork]:
    with own(folder / "one.keras") as network:
        yield network


@pytest.mark.parametrize("preprocessing", ["caffe", "torch", "tf", "none"])
def test_keras_gives_what_it_gives_here(
    by_keras: OwnNetwork, expected: Callable[[str], np.ndarray], preprocessing: str
) -> None:
    assert by_keras.describe(SIZE) == (14, 14, 8)
    features, pools = by_keras.compile(SIZE, preprocessing, BATCH)(PIXELS)
    assert features.dtype == pools.dtype == np.float32
    assert pools.shape == (BATCH, 0)
    here = expected(preprocessing)
    np.testing.assert_allclose(features, here, atol=1e-5 * np.abs(here).max())


def test_another_size_names_the_right_one(by_keras: OwnNetwork) -> None:
    before = by_keras._process
    with pytest.raises(InputError, match=r"images of 32 pixels, and not of 64. Use --size 32"):
        by_keras.describe(64)
    assert by_keras._process is before
    assert by_keras.describe(SIZE) == (14, 14, 8)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_export_of_keras_gives_the_same(
    folder: Path, expected: Callable[[str], np.ndarray], runtime: str
) -> None:
    with own(folder / "one.onnx", runtime=runtime) as network:
        features, _ = network.compile(SIZE, "torch", BATCH)(PIXELS)
        np.testing.assert_allclose(features, expected("torch"), atol=1e-5)
        again, _ = network.compile(SIZE, "torch", BATCH)(PIXELS)
        assert np.array_equal(features, again)


def hostile(folder: Path, path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Write the model of Keras with another config."""
    with zipfile.ZipFile(folder / "one.keras") as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "config.json":
                config = json.loads(data)
                change(config)
                data = json.dumps(config).encode()
            new.writestr(name, data)
    return path


def with_layer(config: dict[str, Any], changes: dict[str, Any]) -> None:
    layer = config["config"]["layers"][1]
    layer |= changes
    layer.pop("build_config", None)


def test_code_of_a_lambda_layer_does_not_run(tmp_path: Path) -> None:
    keras, marker = backend.keras(), tmp_path / "marker"
    given = keras.Input((8, 8, 3))
    named = str(marker)
    model = keras.Sequential(
        [given, keras.layers.Lambda(lambda x: (open(named, "a").close(), x)[1])]
    )
    path = tmp_path / "code.keras"
    model.save(path)
    marker.unlink(missing_ok=True)
    with pytest.raises(InputError, match=r"Code of layers .* is not run"):
        own_runtimes.LOADERS["keras"](path)  # here it could write the marker
    assert not marker.exists()
    with own(path) as network, pytest.raises(InputError, match=r"code.keras: Keras .*`Lambda`"):
        network.describe(8)
    assert not marker.exists()


def call(module: str, called: str, /, **settings: object) -> dict[str, Any]:
    return {"module": module, "class_name": called, "config": settings, "registered_name": None}


def function(module: str, called: str) -> dict[str, Any]:
    return {**call(module, "function"), "config": called}


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (call("os", "system", command="false"), "Could not locate class 'system'"),
        (call("subprocess", "Popen", args="false"), "Could not locate class 'Popen'"),
        (function("builtins", "eval"), "Could not locate function 'eval'"),
        (function("keras.utils", "get_file"), "not a modeling function"),
        (function("keras.config", "enable_unsafe_deserialization"), "not a modeling function"),
        (call("keras.utils", "get_file", origin="http://127.0.0.1:9/a"), "not a modeling function"),
        (call("keras.layers", "TFSMLayer", filepath="/tmp"), "loads an external SavedModel"),
        (call("keras.layers", "StringLookup", vocabulary="/etc/passwd"), "file outside of"),
        (
            call("keras.layers", "Lambda", function=function("os", "system")),
            "Could not locate function 'system'",
        ),
        (
            call("keras.layers", "Activation", activation=function("os", "system")),
            "Could not locate function 'system'",
        ),
        (call("mine", "Mine"), "Could not locate class 'Mine'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_config_that_names_code_is_refused(
    folder: Path, tmp_path: Path, layer: dict[str, Any], reason: str
) -> None:
    path = hostile(folder, tmp_path / "a.keras", lambda config: with_layer(config, layer))
    with pytest.raises(InputError, match=f"(?s)Code of layers .* is not run.*{reason}") as raised:
        own_runtimes.LOADERS["keras"](path)
    assert "safe_mode" not in str(raised.value)


# ONNX ---------------------------------------------------------------------------------------


def graph(
    shape: tuple[object, ...],
    *nodes: onnx.NodeProto,
    dtype: int = TensorProto.FLOAT,
    gives: int = TensorProto.FLOAT,
    weights: tuple[onnx.TensorProto, ...] = (),
    inputs: int = 1,
) -> bytes:
    """Return an ONNX file from the input x to the output y."""
    taken = [helper.make_tensor_value_info("xzw"[at], dtype, shape) for at in range(inputs)]
    made = helper.make_graph(
        nodes or [helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])],
        "own",
        taken,
        [helper.make_tensor_value_info("y", gives, None)],
        list(weights),
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
    model = helper.make_model(made, opset_imports=opsets, ir_version=8)
    return bytes(model.SerializeToString())


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def run(
    path: Path, data: bytes, preprocessing: str = "none", runtime: str | None = None
) -> np.ndarray:
    with own(write(path, data), runtime=runtime) as network:
        features, _ = network.compile(SIZE, preprocessing, BATCH)(PIXELS)
        assert network.describe(SIZE) == features.shape[1:]
    return features


def halved(pixels: np.ndarray) -> np.ndarray:
    n, height, width, channels = pixels.shape
    blocks = pixels.reshape(n, height // 2, 2, width // 2, 2, channels)
    return blocks.max((2, 4))


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("batch", ["n", 1, 2, BATCH])
def test_channels_first_become_last(tmp_path: Path, runtime: str, batch: object) -> None:
    found = run(tmp_path / "a.onnx", graph((batch, 3, "h", "w")), runtime=runtime)
    assert np.array_equal(found, halved(PIXELS))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_channels_last_stay(tmp_path: Path, runtime: str) -> None:
    data = graph(("n", SIZE, SIZE, 3), helper.make_node("Relu", ["x"], ["y"]))
    assert np.array_equal(run(tmp_path / "a.onnx", data, runtime=runtime), PIXELS)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("dtype", [TensorProto.FLOAT, TensorProto.FLOAT16])
def test_a_vector_has_one_position(tmp_path: Path, runtime: str, dtype: int) -> None:
    nodes = [
        helper.make_node("GlobalMaxPool", ["x"], ["p"]),
        helper.make_node("Flatten", ["p"], ["y"]),
    ]
    data = graph(("n", 3, SIZE, SIZE), *nodes, dtype=dtype, gives=dtype)
    found = run(tmp_path / "a.onnx", data, runtime=runtime)
    assert np.array_equal(found, PIXELS.max((1, 2))[:, None, None])


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_pixels_as_they_are(tmp_path: Path, runtime: str) -> None:
    nodes = [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)]
    data = graph(("n", SIZE, SIZE, 3), *nodes, dtype=TensorProto.UINT8)
    assert np.array_equal(run(tmp_path / "a.onnx", data, runtime=runtime), PIXELS)
    with pytest.raises(InputError, match="Use --preprocessing none and not torch"):
        run(tmp_path / "a.onnx", data, "torch", runtime)


def test_what_is_not_finite_passes(tmp_path: Path) -> None:
    data = graph(("n", SIZE, SIZE, 3), helper.make_node("Log", ["x"], ["y"]))
    found = run(tmp_path / "a.onnx", data)
    assert np.isneginf(found).any()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (graph(("n", 3, SIZE, 3)), r"shape \(any, 3, 32, 3\). Expected RGB images"),
        (graph(("n", "c", "h", "w")), r"shape \(any, any, any, any\). Expected RGB"),
        (graph(("n", 3, SIZE), helper.make_node("Relu", ["x"], ["y"])),
         r"shape \(any, 3, 32\). Expected RGB"),
        (graph(("n", 3, 64, SIZE)), "images of 64 x 32 pixels"),
        (graph(("n", 3, 48, 48)), "images of 48 pixels, and not of 32. Use --size 48"),
        (graph(("n", 3, SIZE, SIZE), dtype=TensorProto.DOUBLE, gives=TensorProto.DOUBLE),
         "Expected float32, float16 or uint8"),
        (graph(("n", 3, "h", "w"), helper.make_node("Add", ["x", "z"], ["y"]), inputs=2),
         "2 inputs"),
        (graph(("n", 3, "h", "w"), helper.make_node("Shape", ["x"], ["y"]),
               gives=TensorProto.INT64), "It gives int64"),
        (graph(("n", 3, "h", "w"), helper.make_node("ReduceMax", ["x"], ["y"], axes=[3],
                                                    keepdims=0)),
         r"It gives the shape \(1, 3, 32\) for a batch of 1\."),
        (graph(("n", 3, "h", "w"), helper.make_node("Mine", ["x"], ["y"], domain="com.example")),
         "ONNX Runtime .* does not load it.*Mine"),
    ],
)  # fmt: skip
def test_what_is_no_network_of_images_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        run(tmp_path / "a.onnx", data)
    assert len(str(raised.value)) < 700


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_weights_in_other_files_are_refused(tmp_path: Path, runtime: str) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(12))
    outside = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3], data_location=1)
    outside.external_data.add(key="location", value=str(tmp_path / "w.bin"))
    adds = helper.make_node("Add", ["x", "w"], ["y"])
    constant = helper.make_node("Constant", [], ["w"], value=outside)
    for data in (
        graph(("n", "h", "w", 3), adds, weights=(outside,)),
        graph(("n", "h", "w", 3), constant, adds),
    ):
        with pytest.raises(InputError, match="lie in another file"):
            run(tmp_path / "a.onnx", data, runtime=runtime)


def test_external_tensors_are_found_wherever_they_can_be() -> None:
    inside = numpy_helper.from_array(np.zeros(3, np.float32), "w")
    outside = TensorProto(name="w", data_type=1, dims=[3])
    outside.external_data.add(key="location", value="*/_ORT_MEM_ADDR_/*")

    def models(tensor: onnx.TensorProto) -> Iterator[onnx.ModelProto]:
        node = helper.make_node("Constant", [], ["w"], value=tensor)
        body = helper.make_graph([node], "body", [], [])
        sparse = onnx.SparseTensorProto(values=tensor)
        many = onnx.AttributeProto(name="a", type=onnx.AttributeProto.TENSORS, tensors=[tensor])
        yield helper.make_model(body)
        yield helper.make_model(helper.make_graph([], "g", [], [], [tensor]))
        yield helper.make_model(helper.make_graph([], "g", [], [], sparse_initializer=[sparse]))
        nested = helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=body)
        yield helper.make_model(helper.make_graph([nested], "g", [], []))
        listed = onnx.NodeProto(op_type="A", attribute=[many])
        yield helper.make_model(helper.make_graph([listed], "g", [], []))
        model = helper.make_model(helper.make_graph([], "g", [], []))
        model.functions.add(name="f", node=[node])
        yield model
        model = helper.make_model(helper.make_graph([], "g", [], []))
        model.training_info.add(algorithm=body)
        yield model

    for model in models(inside):
        onnx_bytes.require_self_contained(model.SerializeToString())
    for model in models(outside):
        with pytest.raises(InputError, match="external data"):
            onnx_bytes.require_self_contained(model.SerializeToString())


@pytest.mark.parametrize("name", ["one.onnx", "one.keras"])
def test_a_file_that_is_cut_is_damaged(folder: Path, tmp_path: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    load = own_runtimes.LOADERS["keras" if name.endswith("keras") else "onnxruntime"]
    for count in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path = write(tmp_path / name, whole[:count])
        with pytest.raises(CorruptError, match="not"):
            load(path)
    with own(path) as network, pytest.raises(CorruptError, match=f"{name}: It is not"):
        network.describe(SIZE)


def test_a_flipped_bit_of_the_weights_is_damage(folder: Path, tmp_path: Path) -> None:
    data = bytearray((folder / "one.keras").read_bytes())
    data[data.index(b"\x89HDF") + 100] ^= 1
    with pytest.raises(CorruptError, match=r"not a whole \.keras file"):
        own_runtimes.LOADERS["keras"](write(tmp_path / "a.keras", bytes(data)))


# The process --------------------------------------------------------------------------------


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return write(tmp_path / "pool.onnx", graph(("n", 3, "h", "w")))


def test_the_file_that_was_checked_is_the_one_that_runs(pool: Path) -> None:
    network = own(pool)
    pool.write_bytes(graph(("n", 3, 64, 64)))
    with pytest.raises(CorruptError, match="its SHA-256 is"):
        network.describe(SIZE)
    pool.unlink()
    with pytest.raises(StorageError):
        network.describe(SIZE)


def test_one_process_serves_several_sizes(pool: Path) -> None:
    with own(pool) as network:
        assert network.describe(SIZE) == (16, 16, 3)
        process = network._process
        pool.unlink()  # it has a copy
        assert network.describe(2 * SIZE) == (32, 32, 3)
        assert network._process is process


def test_it_is_pickled_without_its_process(pool: Path) -> None:
    with own(pool) as network:
        network.describe(SIZE)
        with pickle.loads(pickle.dumps(network)) as other:
            assert other.describe(SIZE) == (16, 16, 3)
            assert other._process is not network._process


def test_nothing_is_left(pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    network = own(pool)
    network.describe(SIZE)
    assert network._process
    popen = network._process._process
    assert [*place.iterdir()]
    assert not [*place.rglob("*.onnx")]  # nor where it is killed
    del network
    assert popen.poll() is not None
    assert not [*place.iterdir()]


def test_a_death_says_so_and_is_no_new_start(pool: Path) -> None:
    network = own(pool)
    compiled = network.compile(SIZE, "none", BATCH)
    assert network._process
    os.kill(network._process._process.pid, signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(FeatxError, match=r"pool.onnx: the process .* ended by SIGKILL"):
            compiled(PIXELS)


def test_a_network_without_an_end_is_ended(tmp_path: Path) -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Exp", ["a"], ["b"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("a", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("b", TensorProto.FLOAT, None),
        ],
    )
    often = numpy_helper.from_array(np.array(1 << 62), "often")
    true = numpy_helper.from_array(np.array(True), "true")
    loop = helper.make_node("Loop", ["often", "true", "x"], ["y"], body=body)
    data = graph(("n", SIZE, SIZE, 3), loop, weights=(often, true))
    with own(write(tmp_path / "a.onnx", data), seconds=2) as network:
        start = time.monotonic()
        with pytest.raises(FeatxError, match="it took more than 2 seconds, and was ended"):
            network.describe(SIZE)
        assert time.monotonic() - start < 20


SAYS = "import struct, sys; sys.stdout.buffer.write({}); sys.stdout.flush(); sys.stdin.read()"
HEAD = "(lambda head: struct.pack('<Q', len(head)) + head)({})"


@pytest.mark.parametrize(
    ("program", "kind", "message"),
    [
        ("raise SystemExit(3)", FeatxError, "it ended with exit code 3"),
        (SAYS.format("b'\\xff' * 8"), FeatxError, "no answer"),
        (SAYS.format(HEAD.format("b'[' * 60000")), FeatxError, "no answer"),
        (SAYS.format(HEAD.format("b'3'")), FeatxError, "no answer"),
        (SAYS.format(HEAD.format("b'{}'")), CorruptError, "The answer is none"),
        (SAYS.format(HEAD.format('b\'{"shape": [1, 1, 99999999999]}\'')), CorruptError, "shape"),
        (SAYS.format(HEAD.format('b\'{"shape": [1, -1, "a"]}\'')), CorruptError, "shape"),
        (SAYS.format(HEAD.format('b\'{"shape": [1, 1, 1]}\'')), FeatxError, "more than 2 seconds"),
        (SAYS.format(HEAD.format('b\'{"input": "a\\\\u001b[1m\\\\nb"}\'')), InputError,
         r"pool.onnx: a\\x1b\[1m b$"),
        ("import os, time; os.close(1); time.sleep(60)", FeatxError, "it closed its pipes"),
    ],
)  # fmt: skip
def test_nothing_that_it_says_is_believed(
    monkeypatch: pytest.MonkeyPatch, pool: Path, program: str, kind: type, message: str
) -> None:
    monkeypatch.setattr(own_process, "_PROGRAM", program)
    with own(pool, seconds=2) as network, pytest.raises(kind, match=message):
        network.describe(SIZE)


def test_an_interrupt_ends_it(pool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_process, "_PROGRAM", "import time; time.sleep(60)")
    network, started = own(pool), []
    start = network._start
    monkeypatch.setattr(network, "_start", lambda: started.append(start()) or started[0])
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with pytest.raises(KeyboardInterrupt):
            network.describe(SIZE)
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert started[0]._process.poll() == -signal.SIGKILL


CONFINED = """
import json, os, pathlib, socket, subprocess, sys
from featx.network.confinement import confine
folder, outside, port = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
confine(1 << 30, folder)
def tried(what):
    try:
        what()
    except (OSError, MemoryError) as error:
        return type(error).__name__
    return "done"
def grow():
    with open(folder / "b", "w") as file:
        file.write("a")
print(json.dumps({
    "create": tried(lambda: (outside / "new").touch()),
    "change": tried(lambda: open(outside / "old", "r+")),
    "delete": tried(lambda: os.unlink(outside / "old")),
    "folder inside": tried(lambda: (folder / "a").mkdir()),
    "grow inside": tried(grow),
    "start": tried(lambda: subprocess.run(["/bin/true"])),
    "connect": tried(lambda: socket.create_connection(("127.0.0.1", port), 5)),
    "kill": tried(lambda: os.kill(os.getppid(), 0)),
    "memory": tried(lambda: bytearray(2 << 30)),
    "read": tried(lambda: (outside / "old").read_bytes()),
}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux keeps it")
def test_what_it_cannot_do(tmp_path: Path) -> None:
    import ctypes
    import socket

    version = ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1)
    if version < 6:
        pytest.skip(f"Landlock is of version {version} here")
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "old").write_text("old")
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = [sys.executable, "-c", CONFINED, inside, outside, server.getsockname()[1]]
        done = subprocess.run(list(map(str, command)), capture_output=True, check=True)
    refused = "PermissionError"
    found = json.loads(done.stdout)
    assert found.pop("connect") in (refused, "OSError")  # without Landlock, or without a network
    assert found == {
        "create": refused,
        "change": refused,
        "delete": refused,
        "folder inside": "done",
        "grow inside": "OSError",
        "start": refused,
        "kill": refused,
        "memory": "MemoryError",
        "read": "done",
    }


def test_what_runs_a_file() -> None:
    assert runtime_of(Path("a.KERAS")) == "keras"
    assert runtime_of(Path("a.onnx")) == "onnxruntime"
    with pytest.raises(InputError, match=r"a.h5 is no network .* a .keras or an .onnx file"):
        runtime_of(Path("a.h5"))
