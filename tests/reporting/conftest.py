"""A real browser, where there is one, and a report with hostile names."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsers import HOSTILE, Browser
from generated import TINY, write_image

import featx


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with images of hostile names and labels, their cache and a model."""
    root = tmp_path_factory.mktemp("hostile")
    rows = ["path,label,split"]
    for hue, label in enumerate(HOSTILE):
        for number in range(12):
            name = f"{hue} ü日本 {number}.png"
            if number in (2, 11):  # of the test; the second one lies, so that a card shows it
                name = f"<img src=x onerror=alert({number})>{hue}.png"
            lie = number == 11
            write_image(root / "photos" / name, 1000 * hue + number, 2 - hue + lie)
            quoted = label.replace('"', '""')
            rows.append(f'photos/{name},"{quoted}",{"test" if number % 3 == 2 else "train"}')
    (root / "list.csv").write_text("\n".join(rows), "utf-8")
    featx.extract(root / "list.csv", root / "f.h5", **TINY)
    featx.fit(root / "f.h5", root / "m.featx", heads=("logreg", "lda"), view="avg")
    return root


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start a Chromium; skips where there is none, or no driver for it."""
    selenium = pytest.importorskip("selenium.webdriver", reason="no selenium: pip install selenium")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("no Chromium with its driver: apt-get install chromium chromium-driver")
    options = selenium.ChromeOptions()
    options.binary_location = program
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = selenium.Chrome(options, selenium.ChromeService(driver))
    yield Browser(started)
    started.quit()
