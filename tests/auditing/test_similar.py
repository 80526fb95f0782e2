"""The images of a cache that are most like an image: exactly, whatever the blocks."""

import csv
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from generated import TINY, class_folders, write_image
from PIL import Image
from typer.testing import CliRunner

import featx
from featx.auditing import queries, similar
from featx.cli import app
from featx.errors import IncompatibleError, InputError
from featx.network.trunk import Trunk


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with photos/ and f.h5; red/1.png is there twice, red/2.png is a flip."""
    root = tmp_path_factory.mktemp("similar")
    class_folders(root / "photos", 8)
    red = root / "photos" / "red"
    shutil.copy(red / "1.png", red / "z again.png")
    write_image(root / "new.png", 77, 1)
    featx.extract(root / "photos", root / "f.h5", **TINY)
    return root


@pytest.fixture
def network_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(*_: object, **__: object) -> None:
        raise AssertionError("the network ran")

    monkeypatch.setattr(queries, "same_trunk", off)


def by_hand(cache: featx.Cache, row: np.ndarray, view: str = "avg") -> list[tuple[float, str]]:
    """Return all images by how similar they are, computed one by one."""
    X = cache.matrix(view, copies=0).X.astype(float)
    row = row.astype(float)
    cosines = [float(x @ row / np.linalg.norm(x) / np.linalg.norm(row)) for x in X]
    pairs = zip(np.round(cosines, 9), cache.catalog.paths.tolist(), strict=True)
    return sorted(pairs, key=lambda pair: (-pair[0], os.fsencode(pair[1])))


@pytest.mark.parametrize("view", ["avg", "max", "avgmax", "flatten", "layers"])
@pytest.mark.parametrize("block", [1, 40_000, 1 << 25])
def test_the_nearest_are_those_of_an_exhaustive_search(
    made: Path, monkeypatch: pytest.MonkeyPatch, view: str, block: int
) -> None:
    monkeypatch.setattr(similar, "_BLOCK", block)
    found = featx.find_similar(made / "new.png", made / "f.h5", k=9, view=view)
    with featx.Cache.open(made / "f.h5") as cache:
        table = [{"image": str(made / "new.png")}]
        featx.extract(table, made / "q.h5", overwrite=True, **TINY)
        with featx.Cache.open(made / "q.h5") as own:
            wanted = by_hand(cache, own.matrix(view).X[0], view)[:9]
        (query,) = found.queries
        assert [near.path for near in query.nearest] == [path for _, path in wanted]
        assert [near.similarity for near in query.nearest] == pytest.approx(
            [cosine for cosine, _ in wanted], abs=1e-6
        )
        at = cache.catalog.paths.tolist().index(query.nearest[0].path)
        assert query.nearest[0].digest == cache.digests[at]
        assert query.nearest[0].label == cache.catalog.classes[cache.labels[at]]
    assert [near.rank for near in query.nearest] == list(range(1, 10))
    assert (query.is_cached, found.images, found.view) == (False, 25, view)
    assert not any(near.is_equal for near in query.nearest)


@pytest.mark.usefixtures("network_is_off")
def test_an_image_of_the_cache_is_left_out_and_its_double_is_marked(made: Path) -> None:
    red = made / "photos" / "red"
    found = featx.find_similar([red / "1.png", red / "2.png"], made / "f.h5", k=30)
    one, two = found.queries
    assert one.is_cached and two.is_cached
    assert len(one.nearest) == 24 and "red/1.png" not in [near.path for near in one.nearest]
    first = one.nearest[0]
    assert (first.path, first.is_equal, first.similarity) == ("red/z again.png", True, 1.0)
    assert not any(near.is_equal for near in [*one.nearest[1:], *two.nearest])
    # Equally similar ones are in the order of their paths.
    same = [near.path for near in two.nearest if "1.png" in near.path or "z" in near.path]
    assert same.index("red/1.png") + 1 == same.index("red/z again.png")
    with featx.Cache.open(made / "f.h5") as cache:
        at = cache.catalog.paths.tolist().index("red/2.png")
        wanted = [path for _, path in by_hand(cache, cache.matrix("avg").X[at])]
    assert [near.path for near in two.nearest] == [path for path in wanted if path != "red/2.png"]


@pytest.mark.usefixtures("network_is_off")
def test_a_copy_elsewhere_finds_the_image_itself(made: Path, tmp_path: Path) -> None:
    shutil.copy(made / "photos/red/3.png", tmp_path / "copy.png")
    (tmp_path / "link.png").symlink_to(made / "photos/red/3.png")
    data = (made / "photos/red/3.png").read_bytes()
    with featx.Cache.open(made / "f.h5") as cache:
        found = featx.find_similar([tmp_path / "copy.png", tmp_path / "link.png", data], cache, k=2)
        assert len(cache) == 25  # it stays open
    copy, link, content = found.queries
    for query in (copy, content):
        assert query.nearest[0].path == "red/3.png" and query.nearest[0].is_equal
    assert "red/3.png" not in [near.path for near in link.nearest]
    assert content.name == "The image at index 2"


def test_images_in_memory_are_the_same(made: Path) -> None:
    path = made / "new.png"
    image = Image.open(path)
    found = featx.find_similar([path, path.read_bytes(), image, np.asarray(image)], made / "f.h5")
    lists = [[(near.path, near.similarity) for near in query.nearest] for query in found.queries]
    assert lists[0] == lists[1] == lists[2] == lists[3] and len(lists[0]) == 10
    assert found.queries[2].digest == found.queries[3].digest != found.queries[0].digest
    assert len(featx.find_similar(image, made / "f.h5", k=1).queries) == 1


def test_each_image_is_sent_through_the_network_once(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    stream = Trunk.activations
    monkeypatch.setattr(
        Trunk, "activations",
        lambda self, pixels: sent.append(len(pixels[0])) or stream(self, pixels),
    )  # fmt: skip
    files = [made / "new.png", made / "photos/red/1.png"] * 3
    found = featx.find_similar(files, made / "f.h5", k=2)
    assert sum(sent) == 3 and [query.is_cached for query in found.queries] == [False, True] * 3
    assert found.queries[0].nearest == found.queries[2].nearest


def test_the_table_and_the_frame_have_a_row_for_each(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "=s.csv"
    files = [made / "new.png", made / "photos/red/1.png"]
    found = featx.find_similar(files, made / "f.h5", out, k=3)
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    frame = found.to_frame()
    assert list(rows[0]) == list(frame.columns) == [
        "query", "rank", "path", "label", "split", "similarity", "equal", "digest"
    ]  # fmt: skip
    assert len(rows) == len(frame) == 6 and [row["rank"] for row in rows] == list("123123")
    assert rows[3]["query"] == str(files[1]) and rows[3]["equal"] == "1"
    assert [float(row["similarity"]) for row in rows] == frame["similarity"].tolist()
    told = found.as_dict()
    assert told["queries"][1]["nearest"][0]["path"] == rows[3]["path"]
    assert json.loads(json.dumps(told)) == told and told["fingerprint"]["size"] == 32
    with pytest.raises(InputError, match=r"=s\.csv exists"):
        featx.find_similar(files, made / "f.h5", out)
    for suffix in ("jsonl", "parquet"):
        featx.find_similar(files, made / "f.h5", tmp_path / f"s.{suffix}", k=3)
    lines = (tmp_path / "s.jsonl").read_text().splitlines()
    assert [json.loads(line)["path"] for line in lines] == frame["path"].tolist()


def test_images_that_cannot_be_used(made: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_text("junk")
    found = featx.find_similar([tmp_path / "bad.jpg", made / "new.png", "gone.png"], made / "f.h5")
    assert [(Path(row.path).name, row.reason) for row in found.skipped] == [
        ("bad.jpg", "not_image"), ("gone.png", "vanished")
    ]  # fmt: skip
    assert [query.name for query in found.queries] == [str(made / "new.png")]
    with pytest.raises(InputError, match=r"The image cannot be used: .*bad\.jpg, not_image"):
        featx.find_similar(tmp_path / "bad.jpg", made / "f.h5")
    with pytest.raises(InputError, match=r"None of the 2 images can be used: the first is .*gone"):
        featx.find_similar(["gone.png", tmp_path / "bad.jpg"], made / "f.h5")
    with pytest.raises(InputError, match="No image was given"):
        featx.find_similar([], made / "f.h5")
    with pytest.raises(InputError, match="3 is not a list of images"):
        featx.find_similar(3, made / "f.h5")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"k is 0\. Expected 1 or more"):
        featx.find_similar(made / "new.png", made / "f.h5", k=0)
    with pytest.raises(InputError, match="has no known table format"):
        featx.find_similar(made / "new.png", made / "f.h5", tmp_path / "s.txt")
    with pytest.raises(InputError, match="covariance is learned from training images"):
        featx.find_similar(made / "new.png", made / "f.h5", view="covariance")


def test_other_weights_are_refused(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with featx.Cache.open(made / "f.h5") as cache:
        trunk = replace(cache.fingerprint.trunk, weights="ab" * 32)
        cache.fingerprint = replace(cache.fingerprint, trunk=trunk)
        with pytest.raises(IncompatibleError, match=r"The cache needs the weights with .*abab"):
            featx.find_similar(made / "new.png", cache, weights="random")


def test_a_cache_of_images_in_memory_is_searched(made: Path, tmp_path: Path) -> None:
    files = sorted((made / "photos").rglob("*.png"))
    rows = [{"image": Image.open(file), "label": file.parent.name} for file in files]
    featx.extract(rows, tmp_path / "m.h5", **TINY)
    found = featx.find_similar(Image.open(files[3]), tmp_path / "m.h5", k=2)
    assert found.queries[0].is_cached and found.queries[0].nearest[0].path == "image 000003"
    assert found.queries[0].nearest[0].is_equal


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app.app, ["similar", *map(str, words)])
    return result.exit_code, result.output


def test_the_command_tells_and_draws(made: Path, tmp_path: Path) -> None:
    odd = tmp_path / "a\nü.png"
    shutil.copy(made / "new.png", odd)
    sheet, table = tmp_path / "s.png", tmp_path / "s.csv"
    red = made / "photos/red/1.png"
    code, said = run(odd, red, made / "f.h5", "-k", 4, "--sheet", sheet, "-o", table)
    assert code == 0 and "a\\nü.png\n" in said and "25 images compared" in said
    assert "(its features are in the cache)" in said and "the same file" in said
    drawn = Image.open(sheet)
    given = np.asarray(drawn)[33 + 10 : 33 + 160, 18:170].astype(float)
    assert given.std() > 10, "the image that is given is not drawn"
    code, said = run(odd, made / "f.h5", "--sheet", sheet)
    assert code == 2 and "s.png exists" in said
    code, said = run(odd, tmp_path / "gone.png", made / "f.h5", "--json", "-k", 2, "-q")
    told = json.loads(said[said.index("{") :])
    assert code == 3 and len(told["queries"][0]["nearest"]) == 2 and len(told["skipped"]) == 1
    code, said = run(odd)
    assert code == 2 and "Missing argument" in said
    code, said = run(odd, odd)
    assert code != 0 and "cache" in said


def test_memory_does_not_grow_with_the_cache(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more rows are read at a time than fit into a block."""
    most: list[int] = []
    matrix = featx.Cache.matrix

    def watched(self: featx.Cache, view: object, **more: object) -> object:
        most.append(len(more["images"]))  # type: ignore[arg-type]
        return matrix(self, view, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(featx.Cache, "matrix", watched)
    monkeypatch.setattr(similar, "_BLOCK", 8 * 512 * 4)
    featx.find_similar(made / "new.png", made / "f.h5")
    assert max(most) == 4 and sum(most) == 25


def test_a_result_shows_itself(made: Path) -> None:
    found = featx.find_similar(made / "new.png", made / "f.h5", k=3)
    assert repr(found) == "<featx.SimilarResult: 1 image compared with 25 by avg, 0 skipped>"
    shown = found._repr_html_()
    assert all(near.path in shown for near in found.queries[0].nearest)
