"""The report in a real Chromium: what a person sees, clicks and reaches with the keyboard."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from browsers import HOSTILE, Browser

import featx
from featx.network.weights import Weights


def written(folder: Path, model: Path, **changes: object) -> Path:
    return featx.report(model, folder / "report.html", overwrite=True, **changes).out


def open_cell(browser: Browser, cell: str) -> int:
    """Click a cell of the first confusion matrix, and return how many images are shown."""
    browser.run(f'document.querySelector("button{cell}").click()')
    assert browser.run("return document.getElementById('gallery').open")
    return browser.run("return document.querySelectorAll('#gallery li').length")


def test_hostile_names_are_text(hostile: Path, tmp_path: Path, browser: Browser) -> None:
    page = written(tmp_path, hostile / "m.featx")
    browser.open(page)
    assert browser.problems() == []
    shown = browser.run("return document.body.innerText")
    for label in HOSTILE:
        assert label.replace("\u202e", "\\u202e") in shown
    assert "<img src=x onerror=alert(11)>0.png" in shown
    assert browser.run("return document.scripts.length") == 2
    assert browser.run("return document.querySelectorAll('b, main img[src=x]').length") == 0
    cell = "[data-true='0'][data-predicted='0']"
    count = int(browser.run(f'return document.querySelector("button{cell}").textContent'))
    there = browser.run(
        "return data.images.filter(i => i.part + i.true + i.predicted === 0).length"
    )
    assert open_cell(browser, cell) == count == there > 0
    loaded = "return [...document.querySelectorAll('#gallery img')].every(i => i.naturalWidth > 0)"
    deadline = time.monotonic() + 10
    while not browser.run(loaded) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert browser.run(loaded)
    assert browser.problems() == []


def test_no_other_script_runs_and_nothing_is_fetched(
    hostile: Path, tmp_path: Path, browser: Browser
) -> None:
    """The policy of the page holds even where a text would not have been escaped."""
    page = written(tmp_path, hostile / "m.featx", skip=("curve", "audit", "map", "images"))
    text = page.read_text()
    evil = "<script>window.evil = 1</script><img src='https://example.com/x.png'>"
    (tmp_path / "evil.html").write_text(text.replace("</main>", f"{evil}</main>"))
    browser.open(tmp_path / "evil.html")
    assert browser.run("return window.evil") is None
    assert any("Content Security Policy" in message for message in browser.problems())


def test_the_keyboard_reaches_everything(hostile: Path, tmp_path: Path, browser: Browser) -> None:
    from selenium.webdriver import ActionChains, Keys

    browser.open(written(tmp_path, hostile / "m.featx", skip=("curve", "audit")))

    def press(*keys: str) -> None:
        ActionChains(browser.driver).send_keys(*keys).perform()

    wanted = browser.run(
        "return document.querySelectorAll('a, main button, input, #map svg').length"
    )
    reached = set()
    for _ in range(wanted + 3):
        press(Keys.TAB)
        reached.add(
            browser.run(
                "const e = document.activeElement; if (!e.dataset.seen) e.dataset.seen ="
                " String(Math.random()); return e.tagName + e.dataset.seen"
            )
        )
    assert len({one for one in reached if not one.startswith(("BODY", "HTML"))}) >= wanted
    browser.run("document.getElementById('abstain').focus()")
    before = browser.run("return document.getElementById('abstained').textContent")
    press(*[Keys.ARROW_LEFT] * 40)
    assert browser.run("return document.getElementById('abstained').textContent") != before
    browser.run("document.querySelector('#map svg').focus()")
    press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert browser.run("return document.querySelectorAll('#map circle.here').length") == 1
    assert browser.run("return document.querySelector('#peek img').alt")
    browser.run("document.querySelector('main button').focus()")
    press(Keys.ENTER)
    assert browser.run("return document.getElementById('gallery').open")
    press(Keys.ESCAPE)
    assert not browser.run("return document.getElementById('gallery').open")
    assert browser.problems() == []


def test_structure_for_a_screen_reader(hostile: Path, tmp_path: Path, browser: Browser) -> None:
    browser.open(written(tmp_path, hostile / "m.featx", skip=("curve",)))
    unnamed = """return [...document.querySelectorAll('img, button, input, [role], svg')]
      .filter(e => e.getClientRects().length && !e.ariaHidden)
      .filter(e => !(e.alt || e.getAttribute('aria-label') || e.textContent.trim()
        || document.querySelector(`label[for="${e.id}"]`))).map(e => e.outerHTML)"""
    assert browser.run(unnamed) == []
    assert browser.run("return document.documentElement.lang") == "en"
    levels = browser.run(
        "return [...document.querySelectorAll('header > h1, main h2, main h3')].map(e => e.tagName)"
    )
    assert levels[0] == "H1" and levels.count("H1") == 1 and levels[1] == "H2"


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_and_text_is_readable(
    hostile: Path, tmp_path: Path, browser: Browser, width: int, scheme: str
) -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        browser.open(written(tmp_path, hostile / "m.featx", skip=("curve",)), width)
        assert browser.run("return document.documentElement.scrollWidth") <= width
        assert browser.run(CONTRAST) >= 4.5
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


#: The lowest contrast (WCAG 2.2) of texts with a plain background.
CONTRAST = """
const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
  .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const behind = (e) => {
  for (; e; e = e.parentElement) {
    const color = getComputedStyle(e).backgroundColor;
    if (color.startsWith("rgb(")) return numbers(color);
    if (color !== "rgba(0, 0, 0, 0)") return null;
  }
  return [255, 255, 255];
};
const TEXTS = "h1, h2, h3, p, small, td, th, a, dt, dd, .true, .said, caption";
let worst = 21;
for (const e of document.querySelectorAll(TEXTS)) {
  const back = behind(e), color = getComputedStyle(e).color;
  if (!back || !e.textContent.trim() || !color.startsWith("rgb(")) continue;
  const [one, two] = [light(numbers(color)), light(back)].sort((a, b) => b - a);
  worst = Math.min(worst, (one + 0.05) / (two + 0.05));
}
return worst;
"""


@pytest.mark.parametrize("name", ["hymenoptera", pytest.param("flowers17", marks=pytest.mark.slow)])
def test_photographs(
    name: str,
    photographs: Callable[[str], Path],
    imagenet: Weights,
    tmp_path: Path,
    browser: Browser,
    report: Callable[[str], None],
) -> None:
    """All photographs of a set, or a quarter of many, at 96 pixels, with the real weights."""
    listed = featx.scan(photographs(name))
    some = listed.take(np.arange(0, len(listed), 1 if len(listed) < 1000 else 4))
    featx.extract(some, tmp_path / "f.h5", size=96)
    featx.fit(tmp_path / "f.h5", tmp_path / "m.featx")
    done = featx.report(tmp_path / "m.featx", tmp_path / "report.html")
    assert done.missing == 0 and done.bytes < 15e6
    begun = time.monotonic()
    browser.open(done.out)
    opened = time.monotonic() - begun
    assert browser.problems() == []
    cell = "[data-part='0'][data-true='1'][data-predicted='1']"
    count = int(browser.run(f'return document.querySelector("button{cell}").textContent'))
    assert open_cell(browser, cell) == count > 0
    assert browser.problems() == []
    report(f"report of {name}: {done.images} images, {done.bytes / 1e6:.1f} MB, {opened:.1f} s")
