"""What is wrong with a file is found, and said."""

import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generated import TINY, class_folders, forged, write_image
from typer.testing import CliRunner

import featx
from featx.cache.parts import Parts
from featx.cli import app
from featx.errors import InputError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("verify")
    class_folders(root / "photos", 6)
    (root / "photos/red/bad.png").write_bytes(b"no image")
    featx.extract(root / "photos", root / "f.h5", copies=1, augment="flip", **TINY)
    featx.fit(root / "f.h5", root / "m.featx", head="lda")
    return root


def problems(path: Path, **options: Any) -> str:
    return "\n".join(featx.verify(path, **options).problems)


def test_whole_files_have_no_problems(made: Path) -> None:
    seen: list[tuple[int, int]] = []
    cache = featx.verify(made / "f.h5", against=made / "photos",
                         progress=lambda *done: seen.append(done))  # fmt: skip
    assert (cache.kind, cache.images, cache.problems, cache.usable) == ("cache", 18, [], [])
    assert seen[-1] == (18, 18)
    model = featx.verify(made / "m.featx", against=made / "photos")
    assert (model.kind, model.problems) == ("model", [])
    assert model.images == 14


def test_flipped_bytes_and_foreign_files(made: Path, tmp_path: Path) -> None:
    for name in ("f.h5", "m.featx"):
        data = bytearray((made / name).read_bytes())
        data[len(data) // 2] ^= 1
        (tmp_path / name).write_bytes(data)
        assert "its bytes are not those that were written" in problems(tmp_path / name)
        assert featx.verify(tmp_path / name).usable
    (tmp_path / "x").write_bytes(b"anything")
    assert "neither a featx cache nor a model" in problems(tmp_path / "x")
    with pytest.raises(InputError, match="does not exist"):
        featx.verify(tmp_path / "none")


def test_the_content_of_a_sealed_cache(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "f.h5"

    def changed(name: str, row: int, value: object) -> str:
        shutil.copy(made / "f.h5", path)
        with forged(path) as file:
            file[name][row] = value
        return problems(path)

    assert "1 image (blue/0.png) cannot be unpacked, or are not finite" in changed(
        "features", 0, np.inf
    )
    assert "1 images have no SHA-256" in changed("images/digest", 2, b"zz")
    assert "stands in it twice" in changed("images/path", 1, b"blue/0.png")
    assert "have no size" in changed("images/width", 0, 0)
    assert "unknown split, 'dev'" in (changed_split(made, path))
    shutil.copy(made / "f.h5", path)
    whole = zlib.compress(bytes(2 * 512))
    for chunk in (whole[:-6], zlib.compress(bytes(1 << 24)), b"", b"none"):
        with forged(path) as file:
            file["features"].id.write_direct_chunk((3, 1, 0, 0, 0), chunk or b"\0")
        assert "(blue/3.png) cannot be unpacked" in problems(path)


def changed_split(made: Path, path: Path) -> str:
    shutil.copy(made / "f.h5", path)
    with forged(path) as file:
        del file["images/split"]
        file["images/split"] = np.array([b"dev"] * 18)
    return problems(path)


def test_images_that_are_others_now(made: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(made / "photos", photos)
    write_image(photos / "red/0.png", 99999)
    (photos / "red/1.png").unlink()
    (photos / "red/2.png").rename(photos / "blue/77.png")
    (photos / "red/bad.png").write_bytes(b"another")
    found = problems(made / "f.h5", against=photos)
    assert "2 images (red/1.png, red/2.png) of" in found and "not there any more" in found
    assert "2 images (red/0.png, red/bad.png) of" in found and "not the file that it was" in found
    assert "1 image (blue/77.png) of" in found and "not in the cache" in found
    rows = ["path,label"]
    for path in sorted(photos.rglob("*.png")):
        name = path.parent.name
        rows.append(f"{name}/{path.name},{'blue' if name == 'green' else name}")
    (photos / "list.csv").write_text("\n".join(rows))
    assert "6 images (green/0.png" in problems(made / "f.h5", against=photos / "list.csv")
    assert "of the 14 images" in problems(made / "m.featx", against=photos)


def test_parts_are_looked_through(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.h5"
    parts = Parts(out)
    with featx.Cache.open(made / "f.h5") as cache:
        for start in (0, 9):
            _, block = next(cache.blocks(np.arange(start, start + 9), 1))
            sizes = [(48, 36)] * 9
            parts.write(block, cache.digests[start : start + 9], sizes, cache.fingerprint)
    assert featx.verify(out).parts == 2
    damaged = parts.paths()[1]
    data = bytearray(damaged.read_bytes())
    data[-3000] ^= 1
    damaged.write_bytes(data)
    found = featx.verify(out)
    assert found.parts == 1 and "00000001.safetensors is damaged" in found.problems[0]
    assert "1 parts in" in found.usable[0]


def test_on_the_command_line(made: Path, tmp_path: Path) -> None:
    def run(*arguments: object, code: int) -> str:
        result = CliRunner().invoke(app.app, ["verify", *map(str, arguments)])
        assert result.exit_code == code, result.output
        return result.output

    text = run(made / "f.h5", made / "m.featx", code=0)
    assert "whole, a cache of 18 images" in text and "whole, a model of 14" in text
    (tmp_path / "bad.h5").write_bytes((made / "f.h5").read_bytes()[:-1])
    text = run(tmp_path / "bad.h5", code=4)
    assert "wrong: " in text and "still usable: The images" in text
    assert '"ok": false' in run(tmp_path / "bad.h5", "--json", code=4)
    assert "does not exist" in run(tmp_path / "none.h5", code=2)
