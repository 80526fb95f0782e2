"""Small generated pictures, and the real photographs where they are at hand."""

import contextlib
import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from featx.cache.file import USER_BLOCK, VERSION, user_block
from featx.errors import StorageError
from featx.model.file import sealed
from featx.network import weights
from featx.storage import files

ROOT = Path(__file__).parents[1]
PHOTOGRAPHS = Path(os.environ.get("FEATX_PHOTOGRAPHS", ROOT.parent / "shared" / "data"))

#: The real VGG16, on random weights and small pictures: a run of dozens of pictures takes seconds.
TINY = {"weights": "random", "size": 32}


@pytest.fixture(autouse=True)
def no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEATX_WEIGHTS", raising=False)


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Return a function that has a line shown at the end of the run."""
    return lambda line: record_property("report", line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = [
        str(value)
        for found in terminalreporter.stats.get("passed", [])
        for name, value in found.user_properties
        if name == "report"
    ]
    if lines:
        terminalreporter.section("report")
        for line in lines:
            terminalreporter.write_line(line)


def picture(path: Path, seed: int, hue: int = 0, size: tuple[int, int] = (48, 36)) -> Path:
    """Write a noisy picture whose colour tells its class; equal arguments give equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 120, (size[1], size[0], 3), dtype=np.uint8)
    pixels[..., hue % 3] += 130
    Image.fromarray(pixels).save(path)
    return path


def class_folders(root: Path, each: int, lies: int = 0) -> Path:
    """Write pictures of three classes; with `lies`, one in so many has the colour of another."""
    for hue, name in enumerate(("blue", "green", "red")):
        for number in range(each):
            lie = bool(lies) and number % lies == 0
            picture(root / name / f"{number}.png", 1000 * hue + number, 2 - hue + lie)
    return root


@contextlib.contextmanager
def forged(path: Path, version: int = VERSION) -> Iterator[h5py.File]:
    """Change a cache as a stranger could: the digest that it gives of itself is right again."""
    with h5py.File(path, "r+") as file:
        yield file
    digest = files.file_digest(path, skip=USER_BLOCK)
    with path.open("r+b") as raw:
        raw.write(user_block(digest, version))


def rewritten(path: Path, out: Path, **members: bytes | None) -> Path:
    """Write a bundle again with other members, as a stranger could; None leaves one out."""
    body = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as new:
        content = {name: old.read(name) for name in old.namelist()}
        content.update({name.replace("_", "."): data for name, data in members.items()})
        for name, data in content.items():
            if data is not None:
                new.writestr(name, data)
        new.comment = old.comment
    out.write_bytes(sealed(body.getvalue()[: -len(new.comment)]))
    return out


def described(path: Path, **changes: object) -> bytes:
    """Return what a bundle says of itself, with changes."""
    with zipfile.ZipFile(path) as archive:
        return json.dumps({**json.loads(archive.read("model.json")), **changes}).encode()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder of three classes with eight pictures each."""
    return class_folders(tmp_path / "photos", 8)


@pytest.fixture(scope="session")
def photographs() -> Callable[[str], Path]:
    """Return a function of the name of a set of real photographs; skips where it is absent."""

    def folder(name: str) -> Path:
        path = PHOTOGRAPHS / name
        if not path.is_dir():
            pytest.skip(
                f"the photographs {name} are not here; FEATX_PHOTOGRAPHS names their folder"
            )
        return path

    return folder


@pytest.fixture(scope="session")
def imagenet() -> weights.Weights:
    """Return VGG16's real weights; skips where no source can be reached."""
    try:
        return weights.resolve("auto")
    except StorageError as error:
        pytest.skip(f"no ImageNet weights: {error}")
