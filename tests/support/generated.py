"""Small generated images, and caches and models changed as a stranger could."""

import contextlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

import featx
from featx.cache.structure import USER_BLOCK, sealed_version, user_block
from featx.model.file import sealed
from featx.network.activations import Activations
from featx.storage import files

#: The real VGG16, on random weights and small images: a run of dozens of images takes seconds.
TINY = {"weights": "random", "size": 32}


def write_image(path: Path, seed: int, hue: int = 0, size: tuple[int, int] = (48, 36)) -> Path:
    """Write a noisy image whose colour tells its class; equal arguments give equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 120, (size[1], size[0], 3), dtype=np.uint8)
    pixels[..., hue % 3] += 130
    Image.fromarray(pixels).save(path)
    return path


def class_folders(root: Path, each: int, lies: int = 0) -> Path:
    """Write images of three classes; with `lies`, one in so many has the colour of another."""
    for hue, name in enumerate(("blue", "green", "red")):
        for number in range(each):
            lie = bool(lies) and number % lies == 0
            write_image(root / name / f"{number}.png", 1000 * hue + number, 2 - hue + lie)
    return root


def tiny_models(root: Path, each: int, *heads: str) -> Path:
    """Write photos/, their cache f.h5 and a model HEAD.featx for each head; return the folder."""
    class_folders(root / "photos", each)
    featx.extract(root / "photos", root / "f.h5", **TINY)
    for head in heads:
        featx.fit(root / "f.h5", root / f"{head}.featx", head=head)
    return root


def without_pools(features: np.ndarray) -> Activations:
    """Return features at the cut, (n, …) of images, as what a trunk gives that pools no layer."""
    return Activations(features, np.empty((*features.shape[:-3], 1, 0), np.float16))


@contextlib.contextmanager
def forged(path: Path, version: int | None = None) -> Iterator[h5py.File]:
    """Change a cache as a stranger could: the digest that it gives of itself is right again.

    Its version stays as it is, unless another is given.
    """
    if version is None:
        version = sealed_version(path)
    assert version is not None
    with h5py.File(path, "r+") as file:
        yield file
    digest = files.file_digest(path, skip=USER_BLOCK)
    with path.open("r+b") as raw:
        raw.write(user_block(digest, version))


def rewritten(path: Path, out: Path, **members: bytes | None) -> Path:
    """Write a model again with other members, as a stranger could; None leaves one out."""
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
    """Return what a model says of itself, with changes."""
    with zipfile.ZipFile(path) as archive:
        return json.dumps({**json.loads(archive.read("model.json")), **changes}).encode()
