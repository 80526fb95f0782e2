"""What results show of themselves: short lines, and tables in which names are text."""

import html.parser
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from generated import TINY, write_image

import featx
from featx.showing.display import Table, as_html

HOSTILE = "<script>alert('1')</script> & \"x\""


class Page(html.parser.HTMLParser):
    """The elements of a text, and the texts in them; refuses what no notebook should show."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.bold: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag in ("div", "span", "strong", "table", "thead", "tbody", "tr", "th", "td")
        assert {name for name, _ in attributes} <= {"style", "scope", "class"}
        assert all("url" not in (value or "") for _, value in attributes)
        self.open.append(tag)
        self.tags.append(tag)
        self._is_bold = any("font-weight: bold" in (value or "") for _, value in attributes)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self._is_bold:
            self.bold.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Return every kind of result, of images whose classes and names are hostile."""
    root = tmp_path_factory.mktemp("shown")
    photos = root / "photos"
    for hue, name in enumerate(("blue", "<b>green", "red'>")):
        for number in range(8):
            write_image(photos / name / f"<i>{number}\n.png", 1000 * hue + number, 2 - hue)
    (photos / "blue" / "<img src=x>.png").write_bytes(b"nothing")
    cache, model = root / "f.h5", root / "m.featx"
    found: dict[str, object] = {"scan": featx.scan(photos)}
    found["extract"] = featx.extract(photos, cache, **TINY)
    with featx.Cache.open(cache) as opened:
        found["open"] = opened._repr_html_(), repr(opened)
    found["closed"] = opened
    found["compare"] = featx.compare(cache, heads=("ridge", "lda"), folds=3)
    found["curve"] = featx.curve(cache, head="ridge", view="avg", folds=2, draws=2)
    found["audit"] = featx.audit(cache)
    found["fit"] = featx.fit(cache, model, heads=("ridge", "lda"))
    found["model"] = featx.load(model)
    found["evaluate"] = featx.evaluate(model, cache)
    found["score"] = featx.score(model, photos, root / "scores.csv")
    found["next"] = featx.choose_next(model, _unlabelled(root / "more"), root / "n.csv", n=3)
    found["finetune"] = featx.finetune(model, root / "t.featx", unfreeze=1, epochs=1)
    return found


def _unlabelled(folder: Path) -> Path:
    for number in range(4):
        write_image(folder / f"<u>{number}.png", 5000 + number, number)
    return folder


NAMES = ("scan", "extract", "closed", "compare", "curve", "audit", "fit", "model", "evaluate",
         "score", "next", "finetune")  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_repr_is_one_short_line(made: dict[str, object], name: str) -> None:
    line = repr(made[name])
    assert line.startswith(f"<featx.{type(made[name]).__name__}: ") and line.endswith(">")
    assert "\n" not in line and len(line.replace(str(Path("/tmp")), "")) < 250
    assert str(made[name]) == line


@pytest.mark.parametrize("name", NAMES)
def test_html_has_no_element_of_a_name(made: dict[str, object], name: str) -> None:
    text = made[name]._repr_html_()
    page = Page(text)
    assert page.texts[0] == type(made[name]).__name__ and len(text) < 30_000
    assert "table" in page.tags and "\n" not in page.text


def test_what_the_lines_and_tables_say(made: dict[str, object]) -> None:
    assert "24 images of 3 classes in " in repr(made["extract"]) and "1 skipped" in repr(
        made["extract"]
    )
    assert "blue/<img src=x>.png" in Page(made["extract"]._repr_html_()).texts
    assert "25 images of 3 classes" in repr(made["scan"])
    assert repr(made["closed"]).endswith("f.h5, closed>")
    shown, line = made["open"]
    assert line.endswith("f.h5>") and "<b>green (8)" in Page(shown).text
    assert "25 images, 24 scored" in repr(replace(made["score"], out=None))
    assert "25 images in " in repr(made["score"]) and "1 failed" in repr(made["score"])
    assert "3 classes: <b>green, blue, red'>" in repr(made["model"])
    assert " of 4 images to label" in repr(made["next"])
    test = made["fit"].test
    assert f"accuracy {test.accuracy:.4f} on {test.images} test images" in repr(made["fit"])
    right = int(test.confusion.trace())
    assert f"{right} of {test.images} images" in Page(made["model"]._repr_html_()).texts


def test_the_choice_of_a_leaderboard_is_bold(made: dict[str, object]) -> None:
    board = made["compare"]
    page = Page(board._repr_html_())
    assert page.bold[:2] == [board.choice.head, board.choice.view] and page.bold[-1] == "chosen"
    assert page.texts.count("tied") == sum(entry.tied for entry in board.entries) - 1
    assert f"{board.choice.score:.4f}" in repr(board)


def test_a_result_is_still_a_dataclass_that_pickles(made: dict[str, object]) -> None:
    again = pickle.loads(pickle.dumps(made["score"]))
    assert repr(again) == repr(made["score"]) and again.as_dict() == made["score"].as_dict()


def test_tables_are_cut_and_aligned() -> None:
    rows = [[f"{number}", number, number / 3, None, number > 3] for number in range(30)]
    text = as_html("X", HOSTILE, [Table(["a", "b", "c", "d", "e"], rows, HOSTILE, most=7), "", {}])
    page = Page(text)
    assert page.tags.count("tr") == 1 + 7 and "… and 23 more" in page.text
    assert page.texts.count(HOSTILE) == 2 and "0.3333" in page.texts and "yes" in page.texts
    assert text.count("text-align: right") == 4 * (1 + 7)
    assert "<table" not in as_html("X", "nothing", [Table(["a"], []), {"none": None, "empty": ""}])
