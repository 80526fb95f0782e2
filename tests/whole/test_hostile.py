"""Files of strangers: nothing of them runs, nothing outside is read, little memory is taken."""

import base64
import io
import itertools
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from corpus import chunk, encoded, write_corpus
from generated import TINY, class_folders, described, forged, rewritten
from PIL import Image

import featx
from featx.model.file import sealed

#: Runs commands one after the other and says how each ended, and the most memory of them all.
RUNNER = """
import json, sys
from pathlib import Path
from typer.testing import CliRunner
from featx.cli.app import app
outside, commands = sys.argv[1], json.load(sys.stdin)
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
ends = []
for command in commands:
    result = CliRunner().invoke(app, command)
    ends.append([result.exit_code, result.output[-2000:]])
status = Path("/proc/self/status").read_text()  # ru_maxrss would be that of the parent, too
print(json.dumps({
    "ends": ends,
    "memory": int(status.split("VmHWM:")[1].split()[0]) * 1024,
    "opened": [path for path in opened if path.startswith(outside)],
}))
"""


class Evil:
    """Unpickled, it makes the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.canary}",)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with honest files, and things outside that nobody may read or make."""
    root = tmp_path_factory.mktemp("hostile")
    class_folders(root / "photos", 5)
    featx.extract(root / "photos", root / "f.h5", **TINY)
    featx.fit(root / "f.h5", root / "m.featx", head="logreg")
    featx.fit(root / "f.h5", root / "k.featx", head="softmax")
    (root / "outside").mkdir()
    with h5py.File(root / "outside/secret.h5", "w") as file:
        file["x"] = np.zeros(15, np.int32)
        file["kernel"] = np.zeros((3, 3, 3, 64), np.float32)
    (root / "outside/secret.bin").write_bytes(bytes(100_000))
    for path in (root / "outside").iterdir():
        os.utime(path, (1, 2))  # reading moves the first, where the system keeps it
    return root


def run(made: Path, commands: list[list[object]]) -> tuple[list[tuple[int, str]], int]:
    """Run the commands and return how each ended, when nothing outside was touched."""
    result = subprocess.run(
        [sys.executable, "-c", RUNNER, str(made / "outside")],
        input=json.dumps([[str(word) for word in command] for command in commands]),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout.splitlines()[-1])
    assert found["opened"] == []
    assert not (made / "canary").exists()
    for path in (made / "outside").iterdir():
        assert path.stat().st_atime_ns == 10**9, path
    return [(code, text) for code, text in found["ends"]], found["memory"]


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


#: Texts that are no ranges of int8.
FALSE_RANGES: dict[str, object] = {
    "short": base64.b64encode(bytes(7)).decode(),
    "few": base64.b64encode(b"\0\x3c" * 5).decode(),
    "zero": base64.b64encode(b"\0\0" * 3712).decode(),
    "text": "../../canary",
    "number": 3,
}


# Models -------------------------------------------------------------------------------------


def hostile_models(made: Path, out: Path) -> list[Path]:
    model, network = made / "m.featx", made / "k.featx"
    whole = members(model.read_bytes())
    skops = members(whole["head.skops"])
    schema = json.loads(skops["schema.json"])
    arrays = [name for name in skops if name.endswith(".npy")]
    coefficients = max(arrays, key=lambda name: len(skops[name]))
    layers = members(network.read_bytes())
    about = json.loads(layers["model.json"])["network"]
    numbers = iter(itertools.count())
    paths: list[Path] = []

    def add(data: bytes, name: str) -> None:
        paths.append(out / f"{next(numbers):02}-{name}.featx")
        paths[-1].write_bytes(data)

    def changed(name: str, of: Path = model, **changes: bytes | None) -> None:
        paths.append(rewritten(of, out / f"{next(numbers):02}-{name}.featx", **changes))

    def headed(name: str, **changes: bytes) -> None:
        new = {key.replace("__", "."): data for key, data in changes.items()}
        changed(name, head_skops=zipped(skops | new))

    def said(name: str, **changes: object) -> None:
        changed(name, model_json=described(model, **changes))

    def layered(name: str, **changes: object) -> None:
        changed(name, network, model_json=described(network, network=about | changes))

    evil = pickle.dumps(Evil(made / "canary"))
    add(b"", "empty")
    add(evil, "pickle")
    add(sealed(evil), "sealed-pickle")
    add(model.read_bytes()[:-1], "cut")
    add(zipped(whole), "unsealed")
    add(sealed(zipped(whole)) + b"x", "more")
    add(sealed(zipped(whole | {"head.pkl": evil})), "pickle-beside")
    add(sealed(zipped(whole | {"../../canary": b"x"})), "climbing-member")
    twice = io.BytesIO(zipped(whole))
    with zipfile.ZipFile(twice, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("model.json", b"{}")
    add(sealed(twice.getvalue()), "member-twice")
    locked = bytearray(zipped(whole))
    for at in (6, locked.index(b"PK\x01\x02") + 8):
        locked[at] |= 1
    add(sealed(bytes(locked)), "encrypted")
    strange = bytearray(zipped(whole))
    strange[strange.index(b"PK\x01\x02") + 10] = 99
    add(sealed(bytes(strange)), "unknown-packing")
    changed("json-bomb", model_json=bytes(200 << 20))
    changed("head-bomb", head_skops=bytes(200 << 20))
    changed("deep-json", model_json=b"[" * 200_000)
    changed("list-json", model_json=b"[1, 2]")
    changed("no-json", model_json=None)
    changed("no-head", head_skops=None)
    said("other-format", format="pickle")
    said("no-such-head", head="__import__")
    said("no-such-view", view="../avg")
    said("other-classes", classes=["a"])
    said("no-classes", classes=None)
    trunk = json.loads(whole["model.json"])["fingerprint"]
    said("huge-images", fingerprint=trunk | {"size": 32 * 10**8})
    said("large-images", fingerprint=trunk | {"size": 4096}, view="flatten")
    said("no-such-cut", fingerprint=trunk | {"cut": "os"})
    for name, ranges in FALSE_RANGES.items():
        said(f"ranges-{name}", fingerprint=trunk | {"precision": "int8", "ranges": ranges})
    said("other-view", view="avgmax")
    said("a-tail", tail={"until": "block5_pool"})
    headed("skops-inner-bomb", **{coefficients.replace(".", "__"): bytes(200 << 20)})
    huge = npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}", bytes(80))
    headed("huge-array", **{coefficients.replace(".", "__"): huge})
    objects = npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", evil)
    headed("array-of-objects", **{coefficients.replace(".", "__"): objects})
    few = io.BytesIO()
    np.save(few, np.zeros((3, 7)))
    headed("few-columns", **{coefficients.replace(".", "__"): few.getvalue()})
    nan = io.BytesIO()
    np.save(nan, np.full(np.load(io.BytesIO(skops[coefficients])).shape, np.nan))
    headed("nan", **{coefficients.replace(".", "__"): nan.getvalue()})
    headed("schema-is-no-json", schema__json=b"\x80\x04.")
    for name, module, kind in (
        ("system", "posix", "FunctionNode"),
        ("eval", "builtins", "FunctionNode"),
        ("Popen", "subprocess", "ObjectNode"),
        ("partial", "functools", "PartialNode"),
        ("CalibratedClassifierCV", "sklearn.calibration", "ObjectNode"),
    ):
        new = schema | {
            "__class__": name,
            "__module__": module,
            "__loader__": kind,
            "content": {"function": f"{module}.{name}", "args": [], "kwargs": {}},
        }
        headed(f"type-{name}", schema__json=json.dumps(new).encode())
    header = json.dumps({"labels": {"dtype": "I64", "shape": [1 << 40], "data_offsets": [0, 8]}})
    length = struct.pack("<Q", len(header))
    changed("training-huge", training_safetensors=length + header.encode() + bytes(8))
    changed("training-cut", training_safetensors=struct.pack("<Q", 1 << 60))
    from safetensors.numpy import load, save

    training = load(whole["training.safetensors"])
    fitted = np.full_like(training["fitted"], np.nan)
    changed("training-nan", training_safetensors=save(training | {"fitted": fitted}))
    changed("training-shapes", training_safetensors=save(training | {"labels": fitted}))
    novelty = load(whole["novelty.safetensors"])
    reference = np.zeros((3, 7), np.float16)
    changed("novelty-width", novelty_safetensors=save(novelty | {"reference": reference}))
    distances = np.full_like(novelty["distances"], np.inf)
    changed("novelty-infinite", novelty_safetensors=save(novelty | {"distances": distances}))
    parameters = about["parameters"]
    layered("layers-huge", parameters=parameters | {"hidden": [1 << 40]})
    layered("layers-more", parameters=parameters | {"hidden": [7]})
    layered("layers-code", parameters=parameters | {"__class__": "os.system"})
    layered("layers-dropout", parameters=parameters | {"dropout": "exec"})
    layered("layers-none", parameters=None)
    layered("layers-scale", scale=float("nan"))
    layered("layers-classes", classes=[0, 1])
    weights = load(layers["head.safetensors"])
    kernel = weights["dense_0/kernel"]
    for name, change in (
        ("infinite", {"dense_0/kernel": np.full_like(kernel, np.inf)}),
        ("more", {"dense_1/kernel": kernel}),
        ("short", {"dense_0/kernel": kernel[:7]}),
        ("flat", {"dense_0/kernel": kernel.ravel()}),
    ):
        changed(f"weights-{name}", network, head_safetensors=save(weights | change))
    changed("weights-none", network, head_safetensors=b"")
    changed("weights-huge", network, head_safetensors=struct.pack("<Q", 1 << 60))
    changed("weights-pickle", network, head_safetensors=evil)
    return paths


@pytest.mark.slow
def test_models(made: Path, tmp_path: Path) -> None:
    paths = hostile_models(made, tmp_path)
    commands: list[list[object]] = [["verify", path] for path in paths]
    commands += [
        ["score", path, made / "photos", "-o", tmp_path / f"{number}.csv"]
        for number, path in enumerate(paths)
    ]
    ends, memory = run(made, commands)
    for command, (code, text) in zip(commands, ends, strict=True):
        assert code == 4, (command, text)
        assert "Traceback" not in text
    assert not list(tmp_path.glob("*.csv"))
    assert memory < 1 << 30
    assert len(paths) >= 50


# Caches -------------------------------------------------------------------------------------


def pools_bombed(file: h5py.File) -> None:
    file["pools"].id.write_direct_chunk((0, 0, 0, 0), zlib.compress(bytes(200 << 20)))


def hostile_caches(made: Path, out: Path) -> list[Path]:
    paths: list[Path] = []
    secret = str(made / "outside/secret.h5")

    def changed(name: str, change: Callable[[h5py.File], object]) -> None:
        path = out / f"{len(paths):02}-{name}.h5"
        path.write_bytes((made / "f.h5").read_bytes())
        with forged(path) as file:
            change(file)
        paths.append(path)

    def replaced(name: str, where: str, value: object = None, **options: object) -> None:
        def change(file: h5py.File) -> None:
            del file[where]
            if options:
                file.create_dataset(where, **options)
            else:
                file[where] = value

        changed(name, change)

    replaced("external-link", "images/label", h5py.ExternalLink(secret, "x"))
    replaced("external-features", "features", h5py.ExternalLink(secret, "kernel"))
    replaced("soft-link", "images/path", h5py.SoftLink("/images/digest"))
    replaced("soft-group", "skipped", h5py.SoftLink("/images"))
    storage = [(str(made / "outside/secret.bin"), 0, 60)]
    replaced("external-storage", "images/label", shape=(15,), dtype="i4", external=storage)
    layout = h5py.VirtualLayout((15,), "i4")
    layout[:] = h5py.VirtualSource(secret, "x", (15,))

    def virtual(file: h5py.File) -> None:
        del file["images/label"]
        file.create_virtual_dataset("images/label", layout)

    changed("virtual", virtual)
    shape = (15, 1, 1, 1, 512)
    rows = {"shape": shape, "dtype": "f2", "chunks": (1, 1, 1, 1, 512)}
    replaced("lzf", "features", **rows, compression="lzf")
    replaced("shuffle", "features", **rows, compression="gzip", shuffle=True)
    replaced("no-data", "features", **rows, compression="gzip")
    replaced("no-chunks", "features", np.zeros(shape, np.float16))
    replaced("many-rows", "features", **rows | {"shape": (1 << 40, 1, 1, 1, 512)})
    replaced("huge-labels", "images/label", shape=(1 << 34,), dtype="i4", chunks=(1 << 20,))
    replaced("huge-paths", "images/path", shape=(1 << 30,), dtype="S255", chunks=(1 << 10,))
    replaced("huge-classes", "classes", shape=(1 << 34,), dtype="S9", chunks=(1 << 10,))
    replaced("objects", "images/path", np.array(["x"] * 15, object))
    replaced("compound", "images/width", np.zeros(15, [("a", "i4"), ("b", "f8")]))
    replaced("doubles", "features", **rows | {"dtype": "f8"}, compression="gzip")
    replaced("text-labels", "images/label", np.array([b"1"] * 15))
    replaced("labels-outside", "images/label", np.full(15, 99))
    replaced("fewer-paths", "images/path", np.array([b"x"] * 3))
    replaced("number-for-classes", "classes", 3)
    changed("deep-fingerprint", lambda file: file.attrs.update(fingerprint="[" * 60_000))
    changed("number-fingerprint", lambda file: file.attrs.update(fingerprint=3))
    trunk = json.dumps({"size": 10**9})
    changed("huge-fingerprint", lambda file: file.attrs.update(fingerprint=trunk))
    changed("other-format", lambda file: file.attrs.update(format="other"))
    with featx.Cache.open(made / "f.h5") as cache:
        whole = json.loads(cache.fingerprint.as_json())
        pools = cache.pools.shape
    for name, ranges in FALSE_RANGES.items():
        text = json.dumps(whole | {"precision": "int8", "ranges": ranges})
        changed(f"ranges-{name}", lambda file, text=text: file.attrs.update(fingerprint=text))
    packed = {"dtype": "f2", "chunks": (1, 1, *pools[2:])}
    replaced("pools-unpacked", "pools", np.zeros(pools, np.float16))
    replaced("pools-no-data", "pools", shape=pools, **packed, compression="gzip")
    replaced("pools-many", "pools", shape=(1 << 40, *pools[1:]), **packed, compression="gzip")
    replaced("pools-link", "pools", h5py.SoftLink("/features"))
    wide = {"dtype": "f2", "chunks": (1, 1, 1, 9), "compression": "gzip"}
    replaced("pools-narrow", "pools", data=np.zeros((15, 1, 1, 9), np.float16), **wide)
    changed("pools-nan", lambda file: file["pools"].__setitem__(0, np.nan))
    changed("pools-bomb", pools_bombed)

    def features(value: object) -> Callable[[h5py.File], object]:
        return lambda file: file["features"].__setitem__(0, value)

    def bombed(file: h5py.File) -> None:
        file["features"].id.write_direct_chunk((0, 0, 0, 0, 0), zlib.compress(bytes(200 << 20)))

    changed("nan", features(np.nan))
    changed("chunk-bomb", bombed)
    whole = (made / "f.h5").read_bytes()
    for name, data in (("empty", b""), ("head-alone", whole[:512]), ("cut", whole[:-1])):
        paths.append(out / f"{len(paths):02}-{name}.h5")
        paths[-1].write_bytes(data)
    return paths


@pytest.mark.slow
def test_caches(made: Path, tmp_path: Path) -> None:
    paths = hostile_caches(made, tmp_path)
    seen_by_content = ("nan", "bomb")  # by verify; fit meets them as numbers
    commands: list[list[object]] = [["verify", path] for path in paths]
    commands += [
        ["fit", path, "-o", tmp_path / "m.featx", "--head", "lda"]
        for path in paths
        if not path.stem.endswith(seen_by_content)
    ]
    ends, memory = run(made, commands)
    for command, (code, text) in zip(commands, ends, strict=True):
        assert code == 4, (command, text)
        assert "Traceback" not in text
    assert not (tmp_path / "m.featx").exists()
    assert memory < 1 << 30
    assert len(paths) >= 25


# Weights, manifests, images ---------------------------------------------------------------


def test_weights(made: Path, tmp_path: Path) -> None:
    from safetensors.numpy import save

    files: dict[str, bytes] = {}

    def hdf5(name: str, make: Callable[[h5py.File], object]) -> None:
        out = io.BytesIO()
        with h5py.File(out, "w") as file:
            make(file)
        files[f"{name}.h5"] = out.getvalue()

    evil = pickle.dumps(Evil(made / "canary"))
    files |= {"pickle.h5": evil, "pickle.safetensors": evil, "empty.h5": b""}
    files["zip.safetensors"] = zipped({"archive/data.pkl": evil})
    files["length.safetensors"] = struct.pack("<Q", 1 << 60)
    files["few.safetensors"] = save({"block1_conv1/kernel": np.zeros((3, 3, 3, 64), np.float32)})
    secret = str(made / "outside/secret.h5")
    hdf5("link", lambda file: file.__setitem__("k", h5py.ExternalLink(secret, "kernel")))
    storage = [(str(made / "outside/secret.bin"), 0, 6912)]
    hdf5("storage", lambda file: file.create_dataset(
        "k", (3, 3, 3, 64), "f4", external=storage))  # fmt: skip
    hdf5("bomb", lambda file: [file.create_dataset(
        f"k{n}", (3, 3, 512, 512), "f4", chunks=(3, 3, 512, 512), compression="gzip")
        for n in range(500)])  # fmt: skip
    hdf5("few", lambda file: file.__setitem__("k", np.zeros((3, 3, 3, 64))))
    commands: list[list[object]] = []
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        commands.append(["extract", made / "photos", "-o", tmp_path / "f.h5", "--size", 32,
                         "--weights", tmp_path / name, "--preprocessing", "caffe"])  # fmt: skip
    ends, memory = run(made, commands)
    for command, (code, text) in zip(commands, ends, strict=True):
        assert code == 4, (command, text)
    assert not (tmp_path / "f.h5").exists()
    assert memory < 1 << 30


def test_manifests(made: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(made / "outside")
    texts = {
        "climbing.csv": "path\n../outside/secret.bin\n",
        "absolute.csv": f"path\n{made}/outside/secret.bin\n",
        "linked.csv": "path\nlink/secret.bin\n",
        "nul.csv": "path\na\0b.png\n",
        "long.csv": f"path\n{'a' * 200_000}.png\n",
        "quoted.csv": 'path\n"a.png\n',
        "fields.csv": "path,label\na.png,b,os\n",
        "deep.jsonl": '{"path": ' + "[" * 200_000,
        "object.jsonl": '{"path": {"a": 1}}\n',
        "label.jsonl": '{"path": "a.png", "label": ["b"]}\n',
        "bytes.jsonl": "\udcff\udcfe",
    }
    commands: list[list[object]] = []
    for name, text in texts.items():
        (tmp_path / name).write_bytes(os.fsencode(text))
        commands.append(["extract", tmp_path / name, "-o", tmp_path / "f.h5",
                         "--weights", "random"])  # fmt: skip
    ends, memory = run(made, commands)
    for command, (code, text) in zip(commands, ends, strict=True):
        assert code == 2, (command, text)
        assert "line " in text, (command, text)
    assert memory < 1 << 30


def hostile_images() -> dict[str, bytes]:
    """Return images that claim much, or hide it: name → bytes."""
    start, end = b"\x89PNG\r\n\x1a\n", chunk(b"IEND", b"")

    def png(width: int, height: int, *more: bytes) -> bytes:
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        return start + chunk(b"IHDR", header) + b"".join(more) + end

    zeros = zlib.compress(bytes(100 << 20), 9)
    small = encoded(Image.new("RGB", (8, 8)), "PNG")
    tiff = bytearray(encoded(Image.new("RGB", (8, 8)), "TIFF"))
    (first,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, first)
    struct.pack_into("<I", tiff, first + 2 + 12 * count, first)  # the next page is this one
    gif = bytearray(encoded(Image.new("P", (8, 8)), "GIF"))
    struct.pack_into("<HH", gif, 6, 65535, 65535)
    bmp = bytearray(encoded(Image.new("RGB", (8, 8)), "BMP"))
    struct.pack_into("<ii", bmp, 18, 1 << 30, -(1 << 30))
    return {
        "wide.png": png(178_000_000, 1, chunk(b"IDAT", zeros)),
        "tall.png": png(1, 178_000_000, chunk(b"IDAT", zeros)),
        "square.png": png(13_000, 13_000, chunk(b"IDAT", zeros)),
        "beyond.png": png(50_000, 50_000, chunk(b"IDAT", zeros)),
        "text.png": start + small[8:33] + chunk(b"zTXt", b"a\0\0" + zeros) + small[33:],
        "profile.png": start + small[8:33] + chunk(b"iCCP", b"a\0\0" + zeros) + small[33:],
        "circle.tif": bytes(tiff),
        "canvas.gif": bytes(gif),
        "negative.bmp": bytes(bmp),
    }


@pytest.mark.slow
def test_images(made: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    expected = write_corpus(photos)
    for name, data in hostile_images().items():
        (photos / name).write_bytes(data)
    command = ["extract", photos, "-o", tmp_path / "f.h5", "--size", 32, "--weights", "random",
               "--max-bad", "1", "--json"]  # fmt: skip
    [(code, text)], memory = run(made, [command])
    assert code == 3, text
    with featx.Cache.open(tmp_path / "f.h5") as cache:
        skipped = {row.path: row.reason for row in cache.skipped}
    assert {name: skipped.get(name, "ok") for name in expected} == expected
    hostile = {name: skipped.get(name, "ok") for name in hostile_images()}
    assert set(hostile.values()) <= {"ok", "truncated", "too_large", "unsupported", "not_image"}
    assert hostile["beyond.png"] == "too_large" and hostile["negative.bmp"] != "ok"
    assert hostile["square.png"] == "truncated"
    assert memory < 2 << 30  # TensorFlow has a gigabyte of its own; decoders cannot have more
