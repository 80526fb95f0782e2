"""The report as a file: what is in it, what it needs, what it refuses."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from generated import TINY, class_folders, tiny_models, write_image
from typer.testing import CliRunner

import featx
from featx.cli import app
from featx.errors import InputError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models(tmp_path_factory.mktemp("report"), 9, "logreg")


def data_of(page: Path) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text())
    assert found
    return json.loads(found[1])


class Tags(HTMLParser):
    """Tags that are opened and closed, as a check of the template."""

    VOID = frozenset(["meta", "link", "br", "img", "input", "hr", "circle", "path", "use", "rect"])

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag, self.getpos()


def test_all_sections_and_nothing_from_elsewhere(made: Path, tmp_path: Path) -> None:
    done = featx.report(made / "logreg.featx", tmp_path / "r.html")
    text = done.out.read_text()
    assert (done.images, done.missing, done.bytes) == (27, 0, done.out.stat().st_size)
    ids = re.findall(r'<section id="(\w+)"', text)
    assert ids == ["good", "wrong", "believe", "more", "odd", "map", "made"]
    assert not re.search(r'(src|href)="(?!#|data:)', text)
    tags = Tags()
    tags.feed(text)
    assert tags.open == [] and len(set(tags.ids)) == len(tags.ids)
    data = data_of(done.out)
    assert len(data["images"]) == len(data["thumbnails"]) == 27 and all(data["thumbnails"])
    assert [image["part"] for image in data["images"]].count(0) == 6  # held out
    model = featx.load(made / "logreg.featx")
    assert model.digest in text and model.fingerprint.trunk.weights in text
    right = sum(i["part"] == 0 and i["true"] == i["predicted"] for i in data["images"])
    assert f"Right on {right} of 6 held-out images" in text


def test_what_is_skipped_and_the_leaderboard(made: Path, tmp_path: Path) -> None:
    featx.fit(made / "f.h5", tmp_path / "m.featx", heads=("logreg", "lda"), view="avg")
    done = featx.report(
        tmp_path / "m.featx", tmp_path / "r.html", skip=("audit", "curve", "map", "images")
    )
    text = done.out.read_text()
    ids = re.findall(r'<section id="(\w+)"', text)
    assert ids == ["good", "wrong", "head", "believe", "made"]
    assert (done.missing, set(data_of(done.out)["thumbnails"])) == (0, {""})
    assert text.count("<svg") == 2


def test_images_that_are_gone_are_counted(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "moved")
    (tmp_path / "moved" / "photos" / "red" / "0.png").unlink()
    (tmp_path / "moved" / "photos" / "red" / "1.png").write_bytes(b"rubbish")
    featx.extract(made / "photos", tmp_path / "f.h5", weights="random", size=32)
    listed = featx.scan(tmp_path / "moved" / "photos")
    assert len(listed) == 26
    with pytest.raises(InputError, match=r"is not at .*gone.h5\. Say where it is: --cache"):
        featx.report(made / "logreg.featx", tmp_path / "r.html", cache=str(tmp_path / "gone.h5"))
    shutil.move(made / "photos" / "red" / "0.png", tmp_path / "kept.png")
    try:
        done = featx.report(
            made / "logreg.featx", tmp_path / "r.html", skip=("curve", "audit", "map")
        )
    finally:
        shutil.move(tmp_path / "kept.png", made / "photos" / "red" / "0.png")
    assert (done.missing, done.images) == (1, 27)
    assert data_of(done.out)["thumbnails"].count("") == 1


def test_what_is_refused(made: Path, tmp_path: Path) -> None:
    model, out = made / "logreg.featx", tmp_path / "r.html"
    with pytest.raises(InputError, match=r"r\.txt: expected a name that ends in \.html"):
        featx.report(model, tmp_path / "r.txt")
    with pytest.raises(InputError, match=r"Unknown part 'maps'.*audit, curve, map, images"):
        featx.report(model, out, skip=("maps",))
    with pytest.raises(InputError, match="most is 0"):
        featx.report(model, out, most=0)
    out.write_text("mine")
    with pytest.raises(InputError, match="exists"):
        featx.report(model, out)
    assert out.read_text() == "mine"
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        featx.report(model, tmp_path / "folder.html", overwrite=True)
    other = tiny_models(tmp_path / "other", 3)
    for at, path in enumerate(sorted((other / "photos").rglob("*.png"))):
        path.write_bytes(path.read_bytes() + bytes([at]))
    featx.extract(other / "photos", other / "g.h5", weights="random", size=32)
    with pytest.raises(InputError, match=r"has none of the 21 images .* --cache features\.h5"):
        featx.report(model, tmp_path / "o.html", cache=str(other / "g.h5"))
    assert not (tmp_path / "o.html").exists()


def test_the_command(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.html"
    words = ["report", str(made / "logreg.featx"), "-o", str(out), "--skip", "curve,audit,map"]
    ran = CliRunner().invoke(app.app, words)
    assert ran.exit_code == 0 and "27 images" in ran.stdout and "Open it in a browser" in ran.stdout
    assert CliRunner().invoke(app.app, words).exit_code == 2
    ran = CliRunner().invoke(app.app, [*words, "--overwrite", "--json"])
    assert json.loads(ran.stdout)["images"] == 27


def test_a_leaderboard_alone(made: Path, tmp_path: Path) -> None:
    words = ["compare", str(made / "f.h5"), "--heads", "lda,logreg", "--views", "avg", "-q"]
    out = tmp_path / "board.html"
    ran = CliRunner().invoke(app.app, [*words, "--report", str(out)])
    assert ran.exit_code == 0
    text = out.read_text()
    assert "lda" in text and "dummy" in text and "5-fold cross-validation" in text
    ran = CliRunner().invoke(app.app, [*words, "--report", str(out)])
    assert ran.exit_code == 2 and "exists" in ran.stderr


def test_what_is_not_in_the_numbers_is_said(tmp_path: Path) -> None:
    rows = ["path,label,split"]
    for hue, label in enumerate(("blue", "green", "red")):
        for number in range(10):
            write_image(tmp_path / label / f"{number}.png", 1000 * hue + number, 2 - hue)
            split = {8: "val", 9: "test"}.get(number, "train")
            rows.append(f"{label}/{number}.png,{label},{split}")
    (tmp_path / "list.csv").write_text("\n".join(rows))
    featx.extract(tmp_path / "list.csv", tmp_path / "f.h5", **TINY)
    featx.fit(tmp_path / "f.h5", tmp_path / "m.featx", head="logreg", view="avg")
    changed = [row.replace("red/0.png,red", "red/0.png,blue") for row in rows]
    changed = [row.replace("red/9.png,red", "red/9.png,pink") for row in changed]
    (tmp_path / "list.csv").write_text("\n".join(changed))
    featx.extract(tmp_path / "list.csv", tmp_path / "f.h5", **TINY)
    done = featx.report(tmp_path / "m.featx", tmp_path / "r.html", skip=("curve", "map"))
    text = done.out.read_text()
    assert "classes that the model does not know: pink (1)" in text
    assert "3 images of the val split, by which the head was chosen" in text
    assert "1 training images have another label now" in text
    # What the audit names is shown, also images that the report is not about.
    assert "not shown" not in text
    assert len(data_of(done.out)["thumbnails"]) >= len(data_of(done.out)["images"]) == 26


def test_another_picture_is_not_shown_in_its_place(made: Path, tmp_path: Path) -> None:
    path = made / "photos" / "red" / "2.png"
    kept = path.read_bytes()
    shutil.copy(made / "photos" / "blue" / "2.png", path)
    try:
        skip = ("curve", "audit", "map")
        done = featx.report(made / "logreg.featx", tmp_path / "r.html", skip=skip)
    finally:
        path.write_bytes(kept)
    assert done.missing == 1


def test_a_network_head_and_a_part_that_cannot_be_made(tmp_path: Path) -> None:
    class_folders(tmp_path / "photos", 4)
    featx.extract(tmp_path / "photos", tmp_path / "f.h5", **TINY)
    featx.fit(tmp_path / "f.h5", tmp_path / "m.featx", head="softmax", options={"epochs": 1})
    done = featx.report(tmp_path / "m.featx", tmp_path / "r.html", skip=("audit", "map"))
    text = done.out.read_text()
    assert done.images == 3 and "held-out images" in text and "Would more images help?" in text
